//! The people of the model, by number; they sign by keyed hashes, since nobody there makes up bytes.

use p2pchat::identity::PeerId;

pub use crate::shared::Hands;

/// A member or newcomer, by number: its key is its number, so ascending keys are ascending numbers.
pub type Who = u8;

/// The key of a person.
pub fn key_of(who: Who) -> PeerId {
    PeerId([who + 1; 32])
}

/// Whose key it is.
pub fn who_is(key: &PeerId) -> Who {
    key.0[0] - 1
}

/// A person's signer.
pub fn hand(who: Who) -> crate::shared::Hand {
    crate::shared::Hand(key_of(who))
}
