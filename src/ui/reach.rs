//! Sentences about a server, or a member in its place, who is met for the first time or can't be reached.

use super::words::{self, Said, shown};
use crate::peer::api::{Failure, Fingerprint};

/// Words for somebody to be knocked at: "the server chat.example", or the address alone of a member who hosts.
pub fn whom(server: &str, member: bool) -> String {
    if member { format!("the member at {}", shown(server)) } else { format!("the server {}", shown(server)) }
}

/// The question whether to trust who answers, and what it rests on.
pub fn first_contact(server: &str, fingerprint: &Fingerprint, member: bool) -> Vec<String> {
    let question = if member {
        "Are these the words of whom you want to knock at? They see them on their screen. Type yes or no."
    } else {
        "Is this the server's fingerprint? Its operator can tell. Type yes or no."
    };
    vec![
        format!("first contact with {}", whom(server, member)),
        format!("its fingerprint: {fingerprint}"),
        question.to_owned(),
    ]
}

/// Neither yes nor no: more than a slip of one key is needed for either, since neither can easily be taken back.
pub const YES_OR_NO: &str = "type yes if the words are the same, or no to end here";

/// What an answer to [`first_contact`] says; `None` if it has to be asked again.
pub fn accepts(answer: &str) -> Option<bool> {
    match answer.trim().to_lowercase().as_str() {
        "yes" => Some(true),
        "no" | "n" => Some(false),
        _ => None,
    }
}

/// A failure before we are in; `by_address` where a person named an address, at which a member may host as well.
pub fn failure(failure: &Failure, by_address: bool) -> Said {
    match failure {
        Failure::ServerUnreachable { server, why, no_such_name: false } if by_address => Said::new(
            "server_unreachable",
            format!("nobody could be reached at {}: {}", shown(server), shown(why)),
            Some(
                "does somebody host there, is the port right, and is UDP let through? A ticket knows more ways: /ticket shows one"
                    .to_owned(),
            ),
        ),
        Failure::ServerNotTrusted { server } if by_address => Said::new(
            "server_not_trusted",
            format!("the fingerprint shown at {} was not accepted; nothing was sent there", shown(server)),
            Some("ask whoever hosts for their words (`p2pchat whoami` shows them), then join again".to_owned()),
        ),
        _ => words::failure(failure),
    }
}

/// A failure while we are in: what of it concerns the chat, and what happens by itself.
pub fn meanwhile(failure: &Failure) -> Said {
    match failure {
        Failure::ServerUnreachable { server, why, .. } => Said::new(
            "server_unreachable",
            format!(
                "the server {} still can't be reached ({}); the chat goes on without it",
                shown(server),
                shown(why)
            ),
            Some("it is tried again by itself until it is back; only newcomers have to wait for it".to_owned()),
        ),
        _ => words::failure(failure),
    }
}

/// The server could not be reached, and it is needed.
pub(super) fn unreachable(server: &str, why: &str, no_such_name: bool) -> Said {
    if no_such_name {
        let message = format!("no address is known for the server {} ({})", shown(server), shown(why));
        let hint = "is its name written correctly, and is this machine online, with a working name service (DNS)? \
                    Name another with --server HOST:PORT";
        return Said::new("server_unreachable", message, Some(hint.to_owned()));
    }
    Said::new(
        "server_unreachable",
        format!("the server {} could not be reached: {}", shown(server), shown(why)),
        Some("is it running, and is UDP let through? Name another with --server HOST:PORT".to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(no_such_name: bool) -> Failure {
        Failure::ServerUnreachable { server: "chat.example".into(), why: "no answer".into(), no_such_name }
    }

    #[test]
    fn what_can_be_done_depends_on_what_was_wrong() {
        let hint = |said: Said| said.hint.unwrap();
        assert!(hint(failure(&lost(false), false)).contains("UDP"));
        let unknown = failure(&lost(true), false);
        assert!(unknown.message.starts_with("no address is known for the server chat.example"), "{unknown:?}");
        assert!(hint(unknown).contains("DNS"));
        let at_an_address = failure(&lost(false), true);
        assert!(!at_an_address.to_stderr().contains("server"), "{at_an_address:?}");
        let inside = meanwhile(&lost(false));
        assert!(inside.message.contains("the chat goes on") && hint(inside).contains("tried again"));
    }

    #[test]
    fn only_whole_answers_count() {
        for (answer, accepted) in [("yes", Some(true)), (" YES ", Some(true)), ("no", Some(false)), ("n", Some(false))]
        {
            assert_eq!(accepts(answer), accepted);
        }
        for unclear in ["", "y", "ye", "yes it is", "/yes", "ja"] {
            assert_eq!(accepts(unclear), None, "{unclear:?}");
        }
    }
}
