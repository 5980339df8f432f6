//! How a run of the program ended, as the number that its caller gets.

/// The exit codes, which scripts rely on: none ever changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// Something could not be done.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// Not let in: a member said no or did not answer, or the room had no seat or nobody there.
    Refused = 3,
    /// The server could not be reached.
    Unreachable = 4,
    /// The server, or somebody in its name, is not who they were.
    Identity = 5,
    /// `doctor`: chats will work, some of them through a common member only.
    Limited = 6,
}

/// The codes as `--help` and the man page tell them.
pub const EXIT_HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  refused by the members: a no, no answer in time, or no seat left
  4  server not reachable
  5  the server's or a peer's identity is not the one expected
  6  doctor: some chats will need a common member to carry them";

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}
