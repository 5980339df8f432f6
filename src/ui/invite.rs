//! What a newcomer needs: the exact command, and the same with the server's words for a QR code.

use crate::peer::api::{Fingerprint, RoomName};

/// The command that knocks at a room, to be typed or pasted into a shell.
pub fn command(room: &RoomName, server: &str) -> String {
    format!("p2pchat join {} --server {}", quoted(room.as_str()), quoted(server))
}

/// The command, and the words of the server below it.
pub fn ticket(room: &RoomName, server: &str, pin: Option<&Fingerprint>) -> String {
    let command = command(room, server);
    pin.map_or(command.clone(), |pin| format!("{command}\n# {pin}"))
}

/// As a shell takes it for one word, whatever is in it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_one_that_a_shell_takes() {
        assert_eq!(
            command(&"lobby".parse().unwrap(), "chat.example:4433"),
            "p2pchat join lobby --server chat.example:4433"
        );
        assert_eq!(command(&"o'hara".parse().unwrap(), "[::1]:4433"), "p2pchat join 'o'\\''hara' --server [::1]:4433");
        assert_eq!(command(&"lobby".parse().unwrap(), "x; rm"), "p2pchat join lobby --server 'x; rm'");
    }
}
