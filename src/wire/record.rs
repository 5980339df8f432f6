//! The signed shapes of consent, and the roster they are about (DESIGN.md §3, §4).

use serde::{Deserialize, Serialize};

use super::Few;
use crate::identity::{Digest, Name, PeerId, Record, RoomName, Signature, Signed, signing_bytes};
use crate::limits::ROOM_SIZE_MAX;

/// Most members, as a number of elements.
const MEMBERS: usize = ROOM_SIZE_MAX as usize;

macro_rules! hash_type {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub struct $type(pub $crate::identity::Digest);

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                $crate::identity::in_order(&self.0, &other.0)
            }
        }

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        /// All of it, in hex.
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::wire::DecodeError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let malformed = $crate::wire::DecodeError::Malformed;
                if text.len() != 64 || !text.is_ascii() {
                    return Err(malformed);
                }
                let mut digest: $crate::identity::Digest = [0; 32];
                for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| malformed)?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| malformed)?;
                }
                Ok($type(digest))
            }
        }
    };
}
pub(super) use hash_type;

hash_type!(
    /// SHA-256 of a room's genesis.
    RoomId
);
hash_type!(
    /// SHA-256 of a roster.
    RosterHash
);
hash_type!(
    /// SHA-256 of a proposal: of a knock, or of a drop.
    ProposalHash
);

/// What a room is, for good.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Genesis {
    /// What the room is called where it was founded.
    pub name: RoomName,
    /// Most members it may have, 2 to 256.
    pub size: u16,
    /// The first member.
    pub creator: PeerId,
    /// What the creator is called in the first roster.
    pub creator_name: Name,
    /// Keeps two rooms of one name and creator apart.
    pub nonce: [u8; 16],
    /// How it is run.
    pub settings: Settings,
}

impl Record for Genesis {
    const PURPOSE: &'static str = "genesis";
    fn signer(&self) -> PeerId {
        self.creator
    }
}

/// How a room is run; everybody who joins agrees to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// Seconds members have to answer a knock before their silence is a no.
    pub consent_timeout_s: u16,
    /// Seconds an unreachable member keeps their seat.
    pub grace_s: u32,
}

/// One seat in a roster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub key: PeerId,
    /// What they are called in this room.
    pub name: Name,
}

/// Who is in a room, at one point of its history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Roster {
    /// Which room.
    pub room: RoomId,
    /// 0 for the first, then one more each step.
    pub epoch: u64,
    /// The roster this one follows; all zeros for the first.
    pub previous: RosterHash,
    /// In the order they came in: the most senior first.
    pub members: Few<Member, MEMBERS>,
    /// The proposal that made it from the previous one; for the first, the genesis.
    pub cause: ProposalHash,
}

impl Roster {
    /// What a roster's hash is for.
    pub const PURPOSE: &'static str = "roster";

    /// The hash by which consents, entries and later rosters name this one.
    pub fn hash(&self) -> RosterHash {
        RosterHash(sha256(&signing_bytes(Self::PURPOSE, self)))
    }
}

/// A newcomer's request to enter one exact roster, and their acceptance of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Knock {
    /// Which room.
    pub room: RoomId,
    /// The roster they were shown, and accept.
    pub roster: RosterHash,
    /// Who wants in.
    pub key: PeerId,
    /// What they would be called.
    pub name: Name,
    /// Keeps two knocks of one newcomer at one roster apart.
    pub nonce: [u8; 16],
    /// When it lapses by the newcomer's clock, in seconds since 1970. No object's validity depends on it: it only keeps a
    /// client from asking its user about a knock from last week.
    pub expires_unix_s: u64,
}

impl Record for Knock {
    const PURPOSE: &'static str = "knock";
    fn signer(&self) -> PeerId {
        self.key
    }
}

/// The proposal that a set of members be gone without. Unsigned: it counts for nothing until those who stay have signed
/// consents to it, and two members that mean the same drop must name the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Drop {
    /// Which room.
    pub room: RoomId,
    /// The roster they are dropped from.
    pub roster: RosterHash,
    /// Who, in ascending order of key, none twice.
    pub dropped: Few<PeerId, MEMBERS>,
    /// Why, which the signers stand for.
    pub why: DropReason,
    /// 0 at first, one more after each refusal, so that what was refused can be proposed again.
    pub nonce: u32,
}

/// Why a set of members is to be gone without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DropReason {
    /// The signers can't reach them, or were left by them.
    Gone,
    /// The signer leaves.
    Leave,
    /// The users of the signers decided it.
    Removal,
}

impl Drop {
    /// What a drop's hash is for.
    pub const PURPOSE: &'static str = "drop";

    /// The hash by which consents name it.
    pub fn hash(&self) -> ProposalHash {
        ProposalHash(sha256(&signing_bytes(Self::PURPOSE, self)))
    }
}

/// What a roster changes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Proposal {
    /// Somebody comes in.
    Admit(Signed<Knock>),
    /// Somebody is gone without.
    Drop(Drop),
}

impl Proposal {
    /// The hash by which consents name it.
    pub fn hash(&self) -> ProposalHash {
        match self {
            Proposal::Admit(knock) => ProposalHash(sha256(&signing_bytes(Knock::PURPOSE, knock.unverified()))),
            Proposal::Drop(drop) => drop.hash(),
        }
    }

    /// The roster it would change.
    pub fn roster(&self) -> RosterHash {
        match self {
            Proposal::Admit(knock) => knock.unverified().roster,
            Proposal::Drop(drop) => drop.roster,
        }
    }

    /// The room it is about.
    pub fn room(&self) -> RoomId {
        match self {
            Proposal::Admit(knock) => knock.unverified().room,
            Proposal::Drop(drop) => drop.room,
        }
    }
}

/// Yes, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Decision {
    /// The signer wants it.
    Yes,
    /// The signer's user said no, or the client knows better.
    No,
    /// Nobody answered in time: silence is refusal.
    Silent,
    /// The room has moved on from that roster.
    Late,
}

/// One member's signed answer to one proposal at one roster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Consent {
    /// Which room.
    pub room: RoomId,
    /// The roster that would change.
    pub roster: RosterHash,
    /// Which proposal.
    pub proposal: ProposalHash,
    /// Who answers.
    pub by: PeerId,
    /// The answer.
    pub decision: Decision,
}

impl Record for Consent {
    const PURPOSE: &'static str = "consent";
    fn signer(&self) -> PeerId {
        self.by
    }
}

/// A proposal with the consents that make its successor valid: how a roster becomes the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step {
    /// What changed.
    pub proposal: Proposal,
    /// The signatures under the yes-consents of all who stay, in the order of the roster before. The consents themselves
    /// follow from the proposal and that roster, which the verifier takes from its own copy.
    pub signatures: Few<Signature, MEMBERS>,
}

impl Step {
    /// Whether it goes on without members by the decision of people.
    pub fn is_removal(&self) -> bool {
        matches!(&self.proposal, Proposal::Drop(drop) if drop.why == DropReason::Removal)
    }

    /// Whether it parts with members who could not be reached.
    pub fn is_parting(&self) -> bool {
        matches!(&self.proposal, Proposal::Drop(drop) if drop.why == DropReason::Gone)
    }
}

/// Which roster a member is on, told to each other member over their own link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which room.
    pub room: RoomId,
    /// The roster the signer is on.
    pub roster: RosterHash,
    /// Grows with each head that the signer makes, across restarts.
    pub counter: u64,
    /// Who says so.
    pub by: PeerId,
}

impl Record for Head {
    const PURPOSE: &'static str = "head";
    fn signer(&self) -> PeerId {
        self.by
    }
}

/// Bytes of a key by which a [`LinkState`] names a member: whoever makes a key that begins like another's gains nothing, since
/// a link counts only when both its ends state it.
pub const KEY_START_BYTES: usize = 8;

/// With whom a member has links in a room. It is passed on to all who have no link with the signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Which room.
    pub room: RoomId,
    /// The roster the signer is on.
    pub roster: RosterHash,
    /// The counter of the signer's newest [`Head`].
    pub counter: u64,
    /// Grows with each of these within one run of the signer's program; the counter before it grows with each run.
    pub turn: u32,
    /// The beginnings of the keys of those the signer has links with, ascending.
    pub links: Few<[u8; KEY_START_BYTES], MEMBERS>,
    /// Who says so.
    pub by: PeerId,
}

impl Record for LinkState {
    const PURPOSE: &'static str = "link state";
    fn signer(&self) -> PeerId {
        self.by
    }
}

/// The proposal to found a room anew without some of its members. Each of the rest answers by a [`Consent`] whose
/// proposal is this record's digest; it changes nothing in the old room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reform {
    /// The room as it is.
    pub room: RoomId,
    /// Its roster.
    pub roster: RosterHash,
    /// The new room, founded by the signer.
    pub genesis: Signed<Genesis>,
    /// Who is to be in it, in ascending order of key: members of that roster, the signer among them.
    pub kept: Few<PeerId, MEMBERS>,
    /// Who proposes it.
    pub by: PeerId,
}

impl Record for Reform {
    const PURPOSE: &'static str = "reform";
    fn signer(&self) -> PeerId {
        self.by
    }
}

/// The creator's order to a rendezvous to forget the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Which room.
    pub room: RoomId,
    /// Who orders it; only the creator's counts.
    pub by: PeerId,
}

impl Record for Deletion {
    const PURPOSE: &'static str = "deletion";
    fn signer(&self) -> PeerId {
        self.by
    }
}

/// A client's proof to a rendezvous that it holds the key it claims, bound to this one TLS connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// RFC 5705 exporter of the connection, label `EXPORTER-p2pchat-hello`, empty context, 32 bytes.
    pub exporter: [u8; 32],
    /// Who.
    pub key: PeerId,
    /// The name they want to have at this server.
    pub name: Name,
    /// Whether they may be shown in `list`.
    pub listed: bool,
}

impl Record for Hello {
    const PURPOSE: &'static str = "hello";
    fn signer(&self) -> PeerId {
        self.key
    }
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
