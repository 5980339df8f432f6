//! Tickets: one string that carries all that is needed to knock (DESIGN.md §3), short enough to be read out of a QR code.
//!
//! A ticket admits nobody. It says where to knock and whose key has to answer there, so that first contact needs no trust on
//! first use; whoever knocks is asked about like anybody else. A slip in copying it is an error, never another host.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Few, RoomId, Text, decode, encode};
use crate::identity::{Fingerprint, PeerId, Record, RoomName, Signature, Signed, Signer, Verified};
use crate::limits::{SERVER_ADDRESS_BYTES_MAX, TICKET_ADDRESSES_MAX, TICKET_CHARS_MAX, TICKET_HOSTS_MAX};

/// What every ticket begins with; the version follows.
const PREFIX: &str = "p2p";

/// The version of the rest.
const VERSION: char = '2';

/// Bytes of checksum: one slip in four thousand million goes unnoticed, and then names no key that answers.
const CHECKSUM_BYTES: usize = 4;

/// Tickets that are taken as one: more than a ticket has hosts add nothing.
const TICKETS_MERGED_MAX: usize = TICKET_HOSTS_MAX;

/// The first 16 bytes of a room's id: nobody finds a second room with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomTag(pub [u8; 16]);

impl RoomTag {
    /// The tag of a room.
    pub fn of(room: &RoomId) -> Self {
        RoomTag(std::array::from_fn(|at| room.0[at]))
    }
}

/// The first 16 bytes of SHA-256 over a purpose and a key: nobody finds a second key with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyTag(pub [u8; 16]);

impl KeyTag {
    /// The tag of a key.
    pub fn of(key: &PeerId) -> Self {
        let digest = Sha256::new().chain_update(b"p2pchat/1 ticket key\0").chain_update(key.0).finalize();
        KeyTag(std::array::from_fn(|at| digest[at]))
    }
}

/// What a member signs who writes a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Invitation {
    /// To which room.
    pub room: RoomId,
    /// Who.
    pub by: PeerId,
    /// Until when the ticket holds, in seconds since 1970 by the clock of whoever is asked; 0 for ever.
    pub expires_unix_s: u64,
}

impl Record for Invitation {
    const PURPOSE: &'static str = "invitation";

    fn signer(&self) -> PeerId {
        self.by
    }
}

/// By which every member knows that one of them wrote a ticket: they show the room to nobody else who asks. It is the invitation
/// without what a member knows anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pass {
    /// Until when the ticket holds.
    pub expires_unix_s: u64,
    /// Who wrote it.
    pub by: KeyTag,
    /// Under the invitation.
    pub signature: Signature,
}

impl Pass {
    /// What goes into a ticket that its writer signs.
    pub fn sign(room: RoomId, expires_unix_s: u64, signer: &dyn Signer) -> Self {
        let invitation = Invitation { room, by: signer.id(), expires_unix_s };
        let signature = Verified::sign(invitation, signer).as_signed().signature();
        Pass { expires_unix_s, by: KeyTag::of(&signer.id()), signature }
    }

    /// The invitation to a room that this may stand for, if it is by that member, to be verified.
    pub fn invitation(&self, room: RoomId, by: PeerId) -> Option<Signed<Invitation>> {
        let invitation = Invitation { room, by, expires_unix_s: self.expires_unix_s };
        (KeyTag::of(&by) == self.by).then(|| Signed::from_parts(invitation, self.signature))
    }
}

/// A member that one can knock at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TicketHost {
    /// Whose key has to answer.
    pub key: KeyTag,
    /// Which of the ticket's passes it is to be shown.
    pub pass: u8,
    /// Where.
    pub addresses: Few<SocketAddr, TICKET_ADDRESSES_MAX>,
}

/// A rendezvous server that one can knock at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TicketServer {
    /// Where, as `HOST:PORT`.
    pub address: Text<SERVER_ADDRESS_BYTES_MAX>,
    /// The fingerprint of its certificate, as [`Fingerprint::to_bytes`] has it.
    pub certificate: [u8; 11],
}

/// All that is needed to knock.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// Which room.
    pub room: RoomTag,
    /// What it is called.
    pub name: RoomName,
    /// What the hosts are shown: one of each member who wrote a part of it.
    pub passes: Few<Pass, TICKET_HOSTS_MAX>,
    /// Members that can be knocked at, all at once; whoever wrote the ticket comes first.
    pub hosts: Few<TicketHost, TICKET_HOSTS_MAX>,
    /// The server that keeps the room, if one does.
    pub server: Option<TicketServer>,
}

impl Ticket {
    /// When the last way in expires, in seconds since 1970; `None` if there is one that never does.
    pub fn expires_unix_s(&self) -> Option<u64> {
        if self.server.is_some() || self.passes.iter().any(|pass| pass.expires_unix_s == 0) {
            return None;
        }
        self.passes.iter().map(|pass| pass.expires_unix_s).max()
    }

    /// What one of its hosts is to be shown.
    pub fn pass_of(&self, host: &TicketHost) -> Option<Pass> {
        self.passes.get(usize::from(host.pass)).copied()
    }

    /// The certificate that the server has to show.
    pub fn certificate(&self) -> Option<Fingerprint> {
        self.server.as_ref().map(|server| Fingerprint::from_bytes(&server.certificate))
    }

    /// Whether a text is meant to be a ticket, well written or not: no room's name begins so and is as long.
    pub fn is_meant(text: &str) -> bool {
        let text = text.trim();
        text.len() >= 40 && text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    /// One ticket out of several for the same room: each is another way in.
    ///
    /// # Errors
    /// [`TicketError::AnotherRoom`].
    pub fn merge(tickets: impl IntoIterator<Item = Ticket>) -> Result<Option<Ticket>, TicketError> {
        let tickets: Vec<Ticket> = tickets.into_iter().take(TICKETS_MERGED_MAX).collect();
        let Some(first) = tickets.first() else { return Ok(None) };
        if tickets.iter().any(|ticket| (ticket.room, &ticket.name) != (first.room, &first.name)) {
            return Err(TicketError::AnotherRoom);
        }
        // Who wrote each first, since they are different people; then those whom they know of.
        let mut ranked: Vec<(usize, &TicketHost, Pass)> = Vec::new();
        for ticket in &tickets {
            let hosts = ticket.hosts.iter().enumerate();
            ranked.extend(hosts.filter_map(|(rank, host)| Some((rank, host, ticket.pass_of(host)?))));
        }
        ranked.sort_by_key(|(rank, ..)| *rank);
        let (mut hosts, mut passes): (Vec<TicketHost>, Vec<Pass>) = (Vec::new(), Vec::new());
        for (_, host, pass) in ranked {
            if hosts.len() < TICKET_HOSTS_MAX && !hosts.iter().any(|known| known.key == host.key) {
                let at = passes.iter().position(|known| *known == pass).unwrap_or_else(|| {
                    passes.push(pass);
                    passes.len() - 1
                });
                hosts.push(TicketHost { pass: u8::try_from(at).unwrap_or(u8::MAX), ..host.clone() });
            }
        }
        let server = tickets.iter().find_map(|ticket| ticket.server.clone());
        let (hosts, passes) = (Few::first_of(hosts), Few::first_of(passes));
        Ok(Some(Ticket { room: first.room, name: first.name.clone(), passes, hosts, server }))
    }
}

/// As it is copied: lower case, no spaces.
impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = encode(self);
        bytes.extend(checksum(&bytes));
        write!(f, "{PREFIX}{VERSION}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

/// In any case, and with the spaces, line breaks and hyphens that copying leaves.
impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > TICKET_CHARS_MAX {
            return Err(TicketError::NoTicket);
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let text = text.to_ascii_uppercase();
        let rest = text.strip_prefix(&PREFIX.to_ascii_uppercase()).ok_or(TicketError::NoTicket)?;
        let mut rest = rest.chars();
        match rest.next() {
            Some(VERSION) => {}
            Some(c) if c.is_ascii_digit() => return Err(TicketError::OtherVersion),
            _ => return Err(TicketError::NoTicket),
        }
        let bytes = BASE32_NOPAD.decode(rest.as_str().as_bytes()).map_err(|_| TicketError::Misspelt)?;
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(TicketError::Misspelt)?;
        if checksum(body) != *sum {
            return Err(TicketError::Misspelt);
        }
        decode(body).map_err(|_| TicketError::OtherVersion)
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update(b"p2pchat/1 ticket\0").chain_update(body).finalize();
    std::array::from_fn(|at| digest[at])
}

/// Why a text is no ticket that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not begin like one.
    #[error("that is no ticket: a ticket begins with p2p2 and is some hundred letters and digits long")]
    NoTicket,
    /// A letter is wrong or missing.
    #[error("a letter of the ticket is wrong or missing; copy all of it again")]
    Misspelt,
    /// Another version of the program made it.
    #[error(
        "the ticket was made by another version of p2pchat, and this one can't read it; ask for one of this version, or get theirs"
    )]
    OtherVersion,
    /// Several tickets lead to different rooms.
    #[error("these tickets lead to different rooms; give only those of the room you want to join")]
    AnotherRoom,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(key: u8, addresses: &[&str]) -> TicketHost {
        let addresses = Few::first_of(addresses.iter().map(|text| text.parse().unwrap()));
        TicketHost { key: KeyTag::of(&PeerId([key; 32])), pass: 0, addresses }
    }

    fn pass(by: u8, expires_unix_s: u64) -> Pass {
        Pass { expires_unix_s, by: KeyTag::of(&PeerId([by; 32])), signature: Signature([by; 32], [5; 32]) }
    }

    fn ticket(server: bool) -> Ticket {
        let certificate = Fingerprint::of_spki(b"key");
        let server = server
            .then(|| TicketServer { address: Text::cut("chat.example:4433"), certificate: certificate.to_bytes() });
        let hosts = Few::first_of([host(7, &["192.168.1.5:40000", "[2001:db8::5]:40000"])]);
        let passes = Few::first_of([pass(7, 0)]);
        Ticket { room: RoomTag([3; 16]), name: "lobby".parse().unwrap(), passes, hosts, server }
    }

    /// Its writer and two others, with all the addresses that are written.
    fn ticket_of_three() -> Ticket {
        let hosts = [
            host(7, &["192.168.1.5:40000", "[2001:db8::5]:40000", "10.0.0.5:40000", "203.0.113.7:40000"]),
            host(8, &["203.0.113.8:40000", "[2001:db8::8]:40000"]),
            host(9, &["203.0.113.9:40000", "192.168.1.9:40000"]),
        ];
        Ticket { hosts: Few::first_of(hosts), ..ticket(false) }
    }

    #[test]
    fn a_ticket_survives_copying() {
        for (ticket, longest) in [(ticket(false), 280), (ticket(true), 330), (ticket_of_three(), 440)] {
            let text = ticket.to_string();
            assert!(text.starts_with("p2p2") && text.len() < longest, "{} characters: {text}", text.len());
            assert!(Ticket::is_meant(&text));
            assert_eq!(text.parse(), Ok(ticket.clone()));
            let (left, right) = text.split_at(50);
            assert_eq!(format!(" {}\n  {right} ", left.to_uppercase()).parse(), Ok(ticket));
        }
        assert_eq!(ticket(true).certificate(), Some(Fingerprint::of_spki(b"key")));
    }

    #[test]
    fn every_single_slip_is_found() {
        let text = ticket(false).to_string();
        for at in 4..text.len() {
            let mut slipped = text.clone().into_bytes();
            slipped[at] = if slipped[at] == b'a' { b'b' } else { b'a' };
            let slipped = String::from_utf8(slipped).unwrap();
            assert!(slipped.parse::<Ticket>().is_err(), "{slipped}");
            let mut missing = text.clone();
            missing.remove(at);
            assert!(missing.parse::<Ticket>().is_err(), "{missing}");
        }
        let swapped: String = text[..60].chars().chain(text[61..62].chars()).chain(text[60..61].chars()).collect();
        let swapped = swapped + &text[62..];
        assert!(swapped == text || swapped.parse::<Ticket>().is_err());
    }

    #[test]
    fn what_is_no_ticket_says_why() {
        assert_eq!("lobby".parse::<Ticket>(), Err(TicketError::NoTicket));
        assert_eq!("p2pchat".parse::<Ticket>(), Err(TicketError::NoTicket));
        assert_eq!("p2p1aaaa".parse::<Ticket>(), Err(TicketError::OtherVersion));
        assert_eq!("p2p2".parse::<Ticket>(), Err(TicketError::Misspelt));
        assert_eq!("p2p2!!".parse::<Ticket>(), Err(TicketError::Misspelt));
        assert_eq!("a".repeat(TICKET_CHARS_MAX + 1).parse::<Ticket>(), Err(TicketError::NoTicket));
        assert!(!Ticket::is_meant("p2pfans"));
    }

    #[test]
    fn tickets_of_one_room_are_one_with_several_ways_in() {
        let mut other = ticket(true);
        other.hosts = Few::first_of([host(8, &["10.0.0.1:1"]), host(7, &["10.0.0.2:1"])]);
        other.passes = Few::first_of([pass(8, 5)]);
        let merged = Ticket::merge([ticket(false), other.clone()]).unwrap().unwrap();
        assert_eq!((merged.hosts.len(), merged.passes.len(), merged.server.is_some()), (2, 2, true));
        let shown: Vec<_> = merged.hosts.iter().map(|host| merged.pass_of(host).unwrap().by).collect();
        assert_eq!(shown, [7, 8].map(|key| KeyTag::of(&PeerId([key; 32]))), "each is shown who wrote of it");
        assert_eq!(merged.expires_unix_s(), None);
        other.server = None;
        assert_eq!(other.expires_unix_s(), Some(5));
        other.room = RoomTag([4; 16]);
        assert_eq!(Ticket::merge([ticket(false), other]), Err(TicketError::AnotherRoom));
    }

    #[test]
    fn a_pass_is_its_writers_for_that_room_and_time_only() {
        let identity = crate::identity::Identity::from_seed(&[1; 32]);
        let room = RoomId([1; 32]);
        let pass = Pass::sign(room, 9, &identity);
        let holds = |pass: &Pass, room, by| {
            pass.invitation(room, by).is_some_and(|one| one.verify(&crate::identity::Ed25519).is_ok())
        };
        assert!(holds(&pass, room, identity.id()));
        assert!(!holds(&pass, RoomId([2; 32]), identity.id()));
        assert!(!holds(&pass, room, PeerId([2; 32])));
        assert!(!holds(&Pass { expires_unix_s: 10, ..pass }, room, identity.id()));
    }

    #[test]
    fn a_host_whose_pass_is_not_there_is_shown_none() {
        let mut ticket = ticket(false);
        ticket.passes = Few::default();
        assert_eq!(ticket.to_string().parse::<Ticket>().unwrap().pass_of(&ticket.hosts[0]), None);
    }
}
