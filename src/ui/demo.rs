//! The demo: the whole idea on one machine.

use super::exit::Exit;
use super::words::Said;

/// Shows it.
pub fn run() -> (Exit, Option<Said>) {
    let hint = "in two terminals: `p2pchat-server --cert certs/`, then `p2pchat join lobby --create`";
    (Exit::Failed, Some(Said::new("no_demo", "there is no demo in this build yet", Some(hint.to_owned()))))
}
