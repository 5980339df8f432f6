//! The peer: everything it does is in the library.

fn main() -> std::process::ExitCode {
    // The one place where a face meets the chat that it is a face of.
    p2pchat::ui::main(p2pchat::peer::start, p2pchat::demo::run)
}
