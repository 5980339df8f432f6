//! What two members say to each other over their link.

use std::net::SocketAddr;

use super::codec::messages;
use super::kind::PeerKind;
use super::{
    Carry, Consent, Drop, EntryId, Few, Head, Knock, LinkState, Private, Reform, RoomId, Roster, RosterHash, Run, Step,
    Text,
};
use crate::identity::{PeerId, Signed};
use crate::limits::{CANDIDATES_MAX, HOLES_ASKED_MAX, REASON_BYTES_MAX, ROOM_SIZE_MAX, WANTED_MAX};

messages! {
    /// Between peers, both ways.
    PeerMessage by PeerKind {
        /// Which roster I am on. First of all on a new link, once for each room both may be in, and after each change.
        Head(Signed<Head>),
        /// How the room moved on from the roster you said you are on.
        Step((RoomId, Step)),
        /// Somebody knocks; for members that the rendezvous can't reach.
        Knock(Signed<Knock>),
        /// A proposal to go on without somebody.
        Drop(Drop),
        /// My answer, or one you seem to miss.
        Consent(Signed<Consent>),
        /// How far I have each author's log, as author and sequence number, authors in ascending order. Those I have
        /// nothing of are left out. It acknowledges, and asks for what is missing.
        Frontier((RoomId, Few<(PeerId, u64), { ROOM_SIZE_MAX as usize }>)),
        /// Entries.
        Run(Run),
        /// Where I can be reached.
        Candidates((RoomId, Few<SocketAddr, CANDIDATES_MAX>)),
        /// I am going, and why, for people.
        Bye(Text<REASON_BYTES_MAX>),
        /// Entries that something I was told names and that I lack. Answered by runs that hold them.
        Want((RoomId, Few<EntryId, WANTED_MAX>)),
        /// Something of this author that I lack comes after what you have, and I have nothing for you before this number.
        Floor((RoomId, Few<(PeerId, u64), { ROOM_SIZE_MAX as usize }>)),
        /// Which roster is this? It is from before my chain, and I had a seat in it or before it.
        Trace((RoomId, RosterHash)),
        /// That roster.
        Past((RoomId, Roster)),
        /// Entries that I was asked for by `Want`, that the asker may have, for all I know, and that I don't have.
        Lacks((RoomId, Few<EntryId, WANTED_MAX>)),
        /// A proposal to found the room anew without some of its members, to those who would be in it.
        Reform(Signed<Reform>),
        /// With whom a member has links: the sender, or somebody whose word it passes on.
        LinkState(Signed<LinkState>),
        /// Give me these authors' logs up to these numbers: you have them, and whoever was to give them has not.
        Pull((RoomId, Few<(PeerId, u64), { ROOM_SIZE_MAX as usize }>)),
        /// How far these members, with whom the author has no link, have that author's log. For the author, over whoever is on
        /// the way.
        Arrived((RoomId, PeerId, Few<(PeerId, u64), { ROOM_SIZE_MAX as usize }>)),
        /// For you alone, of those in this room.
        Private((RoomId, Private)),
        /// From one member to another that it has no link with; or such a one, carried.
        Carry(Carry),
        /// I went on without these numbers of these authors' logs, from the first to the last: give me what of it is for me, the earliest first.
        Holes((RoomId, Few<(PeerId, u64, u64), HOLES_ASKED_MAX>)),
        /// Where I see you: the address of your end of this link.
        Seen(SocketAddr),
        /// Where another member of the room can be reached, as far as I know.
        Introduce((RoomId, PeerId, Few<SocketAddr, CANDIDATES_MAX>)),
    }
}
