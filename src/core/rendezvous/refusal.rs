//! Noes, each with a sentence that tells a person what to do next.

use sha2::{Digest as _, Sha256};

use super::{Output, SessionId};
use crate::identity::RoomName;
use crate::wire::{FromServer, RefusalCode, Text};

/// A no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct Refusal {
    /// For programs.
    pub(super) code: RefusalCode,
    /// For people: what is wrong, and what to do.
    pub(super) sentence: &'static str,
}

impl Refusal {
    /// As it goes to a client.
    pub(super) fn to(self, session: SessionId, room: Option<RoomName>) -> Output {
        let message = FromServer::Refused((room, self.code, Text::cut(self.sentence)));
        Output::Send { session, message }
    }
}

/// A no for this reason.
pub(super) fn no(code: RefusalCode, sentence: &'static str) -> Refusal {
    Refusal { code, sentence }
}

/// Asked about a room that isn't here.
pub(super) fn no_such_room() -> Refusal {
    no(RefusalCode::NoSuchRoom, "there is no room of that name here; list the rooms, or create it")
}

/// Something signed wasn't, by whom it should be.
pub(super) fn bad_signature() -> Refusal {
    no(RefusalCode::Invalid, "a signature does not fit what it signs; update your client if this comes again")
}

/// Spoke as a member without being one.
pub(super) fn not_member() -> Refusal {
    no(RefusalCode::NotMember, "only members of the room may do that; knock first")
}

/// Whether two secrets are the same, in a time that tells nothing of how much of them is: digests of one length are
/// compared as a whole.
pub(super) fn same_secret(left: &str, right: &str) -> bool {
    let (left, right) = (Sha256::digest(left), Sha256::digest(right));
    left.iter().zip(right.iter()).fold(0, |differing, (left, right)| differing | (left ^ right)) == 0
}
