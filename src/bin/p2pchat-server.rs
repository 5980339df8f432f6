//! The rendezvous program: arguments in, library called.

use std::process::ExitCode;

fn main() -> ExitCode {
    p2pchat::server::cli::main(std::env::args_os())
}
