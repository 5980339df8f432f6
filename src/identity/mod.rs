//! Who speaks: keys, names, fingerprints, and signatures that say what they are for.
//!
//! Never does any IO. Nothing in here knows rooms or messages; it makes sure that whatever is built on top is used only
//! after its signature was checked ([`Signed`] in, [`Verified`] out).

mod encoding;
mod fingerprint;
mod keys;
mod name;
mod sealing;
mod signed;

pub use encoding::{encode_into, encoded_len, encodes_to};
pub use fingerprint::Fingerprint;
pub use keys::{Ed25519, Identity, PeerId, Scheme, Signature, Signer, in_order};
pub use name::{Name, NameError, RoomName};
pub use sealing::Sealer;
pub use signed::{BadSignature, Digest, Record, Signed, Verified, signing_bytes};
