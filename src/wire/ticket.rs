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
use crate::identity::{Fingerprint, PeerId, RoomName};
use crate::limits::{SERVER_ADDRESS_BYTES_MAX, TICKET_ADDRESSES_MAX, TICKET_CHARS_MAX, TICKET_HOSTS_MAX};

/// What every ticket begins with; the version follows.
const PREFIX: &str = "p2p";

/// The version of the rest.
const VERSION: char = '1';

/// Bytes of checksum: one slip in four thousand million goes unnoticed, and then names no key that answers.
const CHECKSUM_BYTES: usize = 4;

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

/// By which a member knows that a ticket is its own: it shows the room to nobody else who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pass {
    /// Until when the ticket holds, in seconds since 1970 by the member's clock; 0 for ever.
    pub expires_unix_s: u64,
    /// What only that member could have made, of the room and the time.
    pub token: [u8; 8],
}

/// A member that one can knock at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TicketHost {
    /// Whose key has to answer.
    pub key: KeyTag,
    /// What it is to be shown.
    pub pass: Pass,
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
    /// Members that can be knocked at, in the order in which they are tried.
    pub hosts: Few<TicketHost, TICKET_HOSTS_MAX>,
    /// The server that keeps the room, if one does.
    pub server: Option<TicketServer>,
}

impl Ticket {
    /// When the last way in expires, in seconds since 1970; `None` if there is one that never does.
    pub fn expires_unix_s(&self) -> Option<u64> {
        if self.server.is_some() || self.hosts.iter().any(|host| host.pass.expires_unix_s == 0) {
            return None;
        }
        self.hosts.iter().map(|host| host.pass.expires_unix_s).max()
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
        let mut tickets = tickets.into_iter();
        let Some(mut merged) = tickets.next() else { return Ok(None) };
        let mut hosts = std::mem::take(&mut merged.hosts).into_vec();
        for ticket in tickets {
            if (ticket.room, &ticket.name) != (merged.room, &merged.name) {
                return Err(TicketError::AnotherRoom);
            }
            hosts.extend(ticket.hosts.into_vec());
            merged.server = merged.server.or(ticket.server);
        }
        merged.hosts = Few::first_of(hosts);
        Ok(Some(merged))
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
    #[error("that is no ticket: a ticket begins with p2p1 and is some hundred letters and digits long")]
    NoTicket,
    /// A letter is wrong or missing.
    #[error("a letter of the ticket is wrong or missing; copy all of it again")]
    Misspelt,
    /// A later program made it.
    #[error("the ticket was made by a later version of p2pchat; this one can't read it")]
    OtherVersion,
    /// Several tickets lead to different rooms.
    #[error("these tickets lead to different rooms; give only those of the room you want to join")]
    AnotherRoom,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(addresses: &[&str], expires_unix_s: u64) -> TicketHost {
        TicketHost {
            key: KeyTag::of(&PeerId([7; 32])),
            pass: Pass { expires_unix_s, token: [9; 8] },
            addresses: Few::first_of(addresses.iter().map(|text| text.parse().unwrap())),
        }
    }

    fn ticket(server: bool) -> Ticket {
        let certificate = Fingerprint::of_spki(b"key");
        let server = server
            .then(|| TicketServer { address: Text::cut("chat.example:4433"), certificate: certificate.to_bytes() });
        let hosts = Few::first_of([host(&["192.168.1.5:40000", "[2001:db8::5]:40000"], 0)]);
        Ticket { room: RoomTag([3; 16]), name: "lobby".parse().unwrap(), hosts, server }
    }

    #[test]
    fn a_ticket_survives_copying() {
        for ticket in [ticket(false), ticket(true)] {
            let text = ticket.to_string();
            assert!(text.starts_with("p2p1") && text.len() < 220, "{} characters: {text}", text.len());
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
        assert_eq!("p2p2aaaa".parse::<Ticket>(), Err(TicketError::OtherVersion));
        assert_eq!("p2p1".parse::<Ticket>(), Err(TicketError::Misspelt));
        assert_eq!("p2p1!!".parse::<Ticket>(), Err(TicketError::Misspelt));
        assert_eq!("a".repeat(TICKET_CHARS_MAX + 1).parse::<Ticket>(), Err(TicketError::NoTicket));
        assert!(!Ticket::is_meant("p2pfans"));
    }

    #[test]
    fn tickets_of_one_room_are_one_with_several_ways_in() {
        let mut other = ticket(true);
        other.hosts = Few::first_of([host(&["10.0.0.1:1"], 5)]);
        let merged = Ticket::merge([ticket(false), other.clone()]).unwrap().unwrap();
        assert_eq!((merged.hosts.len(), merged.server.is_some()), (2, true));
        assert_eq!(merged.expires_unix_s(), None);
        other.server = None;
        assert_eq!(other.expires_unix_s(), Some(5));
        other.room = RoomTag([4; 16]);
        assert_eq!(Ticket::merge([ticket(false), other]), Err(TicketError::AnotherRoom));
    }
}
