//! Tickets for the eye: what to type on the other computer, and a code to point a telephone at. And what somebody means who
//! types one after `join`: a room, a ticket, or an address.

use std::str::FromStr;

use super::args::server_address;
use super::qr;
use super::words::shown;
use crate::peer::api::{RoomName, Ticket, TicketError};

/// What comes before a ticket.
const COMMAND: &str = "p2pchat join ";

/// What `join` is told to go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A room, at the server.
    Room(RoomName),
    /// Where a ticket leads.
    Ticket(Box<Ticket>),
    /// The one room that is open at this address.
    Address(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Ticket::is_meant(text) {
            return text
                .parse()
                .map(|ticket| Target::Ticket(Box::new(ticket)))
                .map_err(|why: TicketError| why.to_string());
        }
        if is_mangled(text) {
            return Err(MANGLED.to_owned());
        }
        // No room's name has a colon in it.
        if text.contains(':') {
            return server_address(text).map(Target::Address);
        }
        text.parse().map(Target::Room).map_err(|why: crate::peer::api::NameError| why.to_string())
    }
}

/// What is said of a ticket that lost a part of itself on the way.
const MANGLED: &str =
    "this is a ticket that is cut short or mangled, and no room's name; copy all of it again, in one piece";

/// From so many letters of base 32, with so many digits among them, a text is rather a piece of a ticket than a room's name that
/// somebody thought of: a piece has a digit among five or six letters.
const PIECE: (usize, usize) = (24, 2);

/// Whether a text is what is left of a ticket: its beginning, or a long piece without it.
fn is_mangled(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let letters = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.starts_with("p2p2") || (text.len() >= PIECE.0 && digits >= PIECE.1 && letters(&text))
}

/// A name for a room that is to be made: nobody could join one whose name begins as tickets do.
///
/// # Errors
/// What is wrong with it, in words.
pub fn new_room(text: &str) -> Result<RoomName, String> {
    if is_mangled(text) {
        return Err("that begins like a ticket, or looks like a piece of one; name the room otherwise".to_owned());
    }
    text.parse().map_err(|why: crate::peer::api::NameError| why.to_string())
}

/// What to type on the other computer.
pub fn command(ticket: &Ticket) -> String {
    format!("{COMMAND}{ticket}")
}

/// Whether a line is such a command and nothing else.
pub fn is_command(line: &str) -> bool {
    line.strip_prefix(COMMAND).is_some_and(|ticket| ticket.parse::<Ticket>().is_ok())
}

/// What is said of a ticket, in words.
pub fn lines(room: &RoomName, ticket: &Ticket) -> Vec<String> {
    let own = ticket.hosts.iter().take(1).flat_map(|host| host.addresses.iter().map(ToString::to_string));
    let others = match ticket.hosts.len() {
        0 | 1 => None,
        2 => Some("another member".to_owned()),
        more => Some(format!("{} other members", more - 1)),
    };
    let addresses: Vec<String> = own.chain(others).collect();
    let server = ticket.server.as_ref().map(|server| format!("the server {}", shown(server.address.as_str())));
    let through = addresses.into_iter().chain(server).collect::<Vec<_>>().join(", ");
    let until = ticket.expires_unix_s().and_then(|at| {
        let at = jiff::Timestamp::from_second(i64::try_from(at).ok()?).ok()?;
        Some(format!(", until {}", at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M")))
    });
    vec![
        format!("a ticket for {}, through you at {through}{}:", shown(room), until.unwrap_or_default()),
        command(ticket),
        "It admits nobody by itself: whoever knocks with it is asked about like anybody.".to_owned(),
    ]
}

/// The same as a code for telephones and cameras; nothing where it would not fit.
pub fn code(ticket: &Ticket, columns: usize) -> Vec<String> {
    let rows = qr::blocks(&ticket.to_string().to_ascii_uppercase());
    let fits = rows.iter().all(|row| row.chars().count() + 2 <= columns);
    if fits { rows } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus;

    #[test]
    fn a_room_a_ticket_and_an_address_are_told_apart() {
        assert_eq!("lobby".parse(), Ok(Target::Room(corpus::lobby())));
        assert_eq!("p2pfans".parse(), Ok(Target::Room("p2pfans".parse().unwrap())));
        assert_eq!("192.168.1.5:4433".parse(), Ok(Target::Address("192.168.1.5:4433".into())));
        assert_eq!("[::1]:4433".parse(), Ok(Target::Address("[::1]:4433".into())));
        let ticket = corpus::ticket().to_string();
        assert_eq!(ticket.parse(), Ok(Target::Ticket(Box::new(corpus::ticket()))));
        let mut slipped = ticket;
        slipped.replace_range(20..21, if &slipped[20..21] == "a" { "b" } else { "a" });
        assert!(slipped.parse::<Target>().unwrap_err().contains("letter"));
        assert!("a b".parse::<Target>().is_err());
        let whole = corpus::ticket().to_string();
        for piece in ["p2p2", "p2p2a…", &whole[..12], &whole[..39], &whole[40..90], &whole.to_uppercase()[..30]] {
            let why = piece.parse::<Target>().unwrap_err();
            assert!(why.contains("ticket"), "{piece}: {why}");
            assert!(new_room(piece).is_err(), "{piece}");
        }
        assert!(new_room("averylongnameofaroom2").is_ok() && new_room("our-room-of-2026-in-berlin-23").is_ok());
        assert!("host:port".parse::<Target>().is_err());
    }

    #[test]
    fn a_ticket_is_a_line_to_type_and_a_code_that_fits_a_terminal() {
        let lines = lines(&corpus::lobby(), &corpus::ticket());
        assert_eq!(lines[1], format!("p2pchat join {}", corpus::ticket()));
        let code = code(&corpus::ticket(), 80);
        assert!(!code.is_empty() && code.len() < 40, "{} rows", code.len());
        assert!(super::code(&corpus::ticket(), 20).is_empty());
    }
}
