//! Faces: everything between a chat and whoever uses it, a person at a terminal or a program.
//!
//! Knows [`crate::peer::api`] and nothing else of the program. Nothing from outside reaches a terminal before it passed
//! [`escape`]; every sentence about a failure stands in [`words`].

pub mod args;
pub mod carry;
pub mod decide;
pub mod decisions;
pub mod doctor;
pub mod escape;
pub mod exit;
pub mod invite;
pub mod json;
pub mod knocks;
pub mod labels;
pub mod lines;
pub mod log;
pub mod membership;
pub mod messages;
pub mod notices;
pub mod offline;
pub mod once;
pub mod paths;
pub mod pipe;
pub mod plain;
pub mod port;
pub mod qr;
pub mod reach;
pub mod recall;
pub mod said;
pub mod session;
pub mod settle;
pub mod slash;
pub mod speak;
pub mod stop;
pub mod terminal;
pub mod tickets;
pub mod tui;
pub mod turns;
pub mod verdict;
pub mod words;
pub mod wrap;

#[cfg(test)]
#[allow(missing_docs, reason = "named for what they are")]
pub mod corpus;

use std::future::Future;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser as _};

use self::args::{Action, Args, Global};
use self::exit::Exit;
use self::once::Ask;
use self::session::Opening;
use self::settle::Settled;
use self::tickets::Target;
use self::words::Said;
use crate::peer::api::{Chat, Creation, Fingerprint, Name, Options, StartError, Ticket, find_on_lan, remember_name};

/// Bytes of output that wait to be written together while events come in.
const OUTPUT_BYTES: usize = 64 * 1024;

/// The program `p2pchat`: does what the command line says, with chats that `start` starts, and a demo that `demo` plays,
/// since it takes more than faces may know of.
pub fn main<F, S>(start: F, demo: fn() -> (Exit, Option<Said>)) -> ExitCode
where
    F: FnOnce(Options) -> S,
    S: Future<Output = Result<Chat, StartError>>,
{
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(error).into(),
    };
    let as_json = args.global.json || matches!(args.command, Action::Json(_));
    let (exit, said) = run(args, start, demo);
    if let Some(said) = said {
        if as_json {
            println!("{}", json::error_text(&said));
        } else {
            let _ = io::stderr().write_all(said.to_stderr().as_bytes());
        }
    }
    exit.into()
}

/// Help goes to standard output, a mistake to standard error; both end here.
fn usage(error: clap::Error) -> Exit {
    let error = without_hidden(error);
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Done;
    }
    // The message repeats what was typed, which may have been pasted from anywhere.
    let _ = writeln!(io::stderr(), "{}", escape::lines(&error.render().to_string()));
    Exit::Usage
}

/// The same without what nobody is meant to type: a command that the help doesn't show is no help against a slip.
fn without_hidden(mut error: clap::Error) -> clap::Error {
    let command = Args::command();
    let hidden = |name: &String| command.get_subcommands().any(|one| one.is_hide_set() && one.get_name() == name);
    let mut suggested = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(names)) => names,
        Some(ContextValue::String(name)) => vec![name],
        _ => return error,
    };
    suggested.retain(|name| !hidden(name));
    if !suggested.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(suggested));
    }
    error
}

fn run<F, S>(args: Args, start: F, demo: fn() -> (Exit, Option<Said>)) -> (Exit, Option<Said>)
where
    F: FnOnce(Options) -> S,
    S: Future<Output = Result<Chat, StartError>>,
{
    let Args { mut global, command } = args;
    match command {
        Action::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "p2pchat", &mut script);
            return print_whole(script);
        }
        Action::Man => return man(),
        Action::Demo => return demo(),
        Action::VerifyLog { file } => return membership::verify(&file, global.json, &mut io::stdout().lock()),
        Action::Json(_) => global.json = true,
        Action::Carry(_) if global.json => {
            let hint = "a program that wants to carry says `p2pchat join ROOM --json`, and sends `remember`";
            return (Exit::Usage, Some(Said::new("usage", "carry has no JSON face", hint.to_owned())));
        }
        _ => {}
    }
    let settled = match settle::settle(&global) {
        Ok(settled) => settled,
        Err((exit, said)) => return (exit, Some(said)),
    };
    let ephemeral = match &command {
        Action::Join(args::Join { stay, .. })
        | Action::Carry(args::Carry { stay, .. })
        | Action::Create(args::Create { stay, .. })
        | Action::Host(args::Host { stay, .. })
        | Action::Json(stay) => stay.ephemeral,
        _ => false,
    };
    let mut way = Way::default();
    let face = match command {
        Action::Doctor => return doctor::run(&settled, &global, &mut io::stdout().lock()),
        Action::Whoami => return once::whoami(&settled, global.json, &mut io::stdout().lock()),
        Action::Search(search) => return offline::search(&settled, &search, global.json, &mut io::stdout().lock()),
        Action::Export(export) if export.members => {
            return membership::export(&settled, &export, &mut io::stdout().lock());
        }
        Action::Export(export) => return offline::export(&settled, &export, global.json, &mut io::stdout().lock()),
        Action::List => Face::Once(Ask::List),
        Action::Delete { room } => Face::Once(Ask::Delete(room)),
        Action::Json(_) => Face::Chat(Opening::Nothing, pipe::Choices::default(), settled.config.create),
        Action::Join(join) => {
            let creation = settled.creation(&join.how);
            let create = join.create.then_some(creation);
            let offer = settled.may_ask.then_some(creation);
            let pipe = choices(join.pipe);
            let opening = match joining(join, create, offer, &mut way) {
                Ok(opening) => opening,
                Err(said) if said.code == "usage" => return (Exit::Usage, Some(said)),
                Err(said) => return (Exit::Failed, Some(said)),
            };
            Face::Chat(opening, pipe, creation)
        }
        Action::Host(host) => {
            let creation = settled.creation(&host.how);
            (way.serverless, way.announce) = (true, host.lan);
            Face::Chat(Opening::Host { room: host.room, creation }, choices(host.pipe), creation)
        }
        Action::Carry(carry) => {
            Face::Carry(Opening::Join { room: carry.room, create: None, offer: None }, carry.follow)
        }
        Action::Create(create) => {
            let creation = settled.creation(&create.how);
            Face::Chat(Opening::Create { room: create.room, creation }, choices(create.pipe), creation)
        }
        Action::Completions { .. } | Action::Man | Action::Demo | Action::VerifyLog { .. } => {
            return (Exit::Done, None);
        }
    };
    let options = match if matches!(face, Face::Once(_)) { settled.visit(&global) } else { settled.options(&global) } {
        Ok(options) => way.through(Options { ephemeral, ..options }),
        Err((exit, said)) => return (exit, Some(said)),
    };
    if let Err(why) = log::start(&settled.log_file, &settled.config.log) {
        let message = format!("can't log to {}: {}", words::shown(settled.log_file.display()), words::shown(why));
        return (Exit::Failed, Some(Said::new("log", message, Some("--log-file FILE names another".to_owned()))));
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => return (Exit::Failed, Some(Said::new("runtime", words::shown(why), None))),
    };
    let outcome = runtime.block_on(chat(options, face, &global, &settled, start));
    // A thread that still waits for standard input would keep the runtime for ever.
    runtime.shutdown_background();
    outcome
}

/// How others are found, where that isn't a server alone.
#[derive(Debug, Default)]
struct Way {
    /// Whether there is none.
    serverless: bool,
    /// A server that is named otherwise than by the settings.
    server: Option<String>,
    /// The certificate it has to show.
    certificate: Option<Fingerprint>,
    /// Whether rooms are announced to the local network.
    announce: bool,
}

impl Way {
    fn through(self, options: Options) -> Options {
        let server = self.server.unwrap_or(options.server);
        let (serverless, certificate, announce) = (self.serverless, self.certificate, self.announce);
        Options { server, serverless, certificate, announce, ..options }
    }
}

/// Where `join` is to lead.
fn joining(
    join: args::Join,
    create: Option<Creation>,
    offer: Option<Creation>,
    way: &mut Way,
) -> Result<Opening, Said> {
    let mut rooms = join.room.into_iter();
    match (rooms.next(), rooms.next()) {
        (Some(Target::Room(room)), None) if join.lan => {
            let found = find_on_lan(&room).map_err(|why| words::no_lan(&why))?;
            let found = found.into_iter().next().ok_or_else(|| words::not_on_lan(&room))?;
            way.server = found.addresses.first().map(ToString::to_string);
            Ok(Opening::Join { room, create: None, offer: None })
        }
        (Some(Target::Room(room)), None) => Ok(Opening::Join { room, create, offer }),
        (Some(Target::Address(address)), None) => {
            way.server = Some(address);
            Ok(Opening::Open)
        }
        (first, second) => {
            let tickets = first.into_iter().chain(second).chain(rooms);
            let tickets: Option<Vec<Ticket>> = tickets
                .map(|target| match target {
                    Target::Ticket(ticket) => Some(*ticket),
                    _ => None,
                })
                .collect();
            let several = || {
                Said::new("usage", "one room can be joined at a time; several can be given of its tickets only", None)
            };
            let merged = Ticket::merge(tickets.ok_or_else(several)?).map_err(words::bad_ticket)?;
            let ticket = merged.ok_or_else(several)?;
            way.certificate = ticket.certificate();
            way.server = ticket.server.as_ref().map(|server| server.address.as_str().to_owned());
            way.serverless = ticket.server.is_none();
            Ok(Opening::Enter(Box::new(ticket)))
        }
    }
}

/// What the chat is for.
enum Face {
    Once(Ask),
    Chat(Opening, pipe::Choices, Creation),
    Carry(Opening, Vec<Name>),
}

async fn chat<F, S>(options: Options, face: Face, global: &Global, settled: &Settled, start: F) -> (Exit, Option<Said>)
where
    F: FnOnce(Options) -> S,
    S: Future<Output = Result<Chat, StartError>>,
{
    let name = (!options.visiting).then(|| options.name.clone());
    let stop = match stop::on_signals() {
        Ok(stop) => stop,
        Err(why) => return (Exit::Failed, Some(Said::new("signals", words::shown(why), None))),
    };
    let chat = match start(options).await {
        Ok(chat) => chat,
        Err(why) => return (Exit::Failed, Some(words::start_error(&why))),
    };
    if let Some(Err(why)) = name.map(|name| remember_name(&settled.data_dir, &name)) {
        tracing::warn!(%why, "the name is not remembered");
    }
    let stdout = || BufWriter::with_capacity(OUTPUT_BYTES, io::stdout());
    let stdin = || tokio::io::BufReader::with_capacity(OUTPUT_BYTES, tokio::io::stdin());
    match face {
        Face::Once(ask) => once::run(chat, ask, global.json, io::stdout(), stop).await,
        Face::Carry(opening, follow) => carry::run(chat, opening, follow, io::stderr(), stop).await,
        Face::Chat(opening, _, creation) if global.json => {
            (json::run(chat, opening, creation, stdin(), stdout(), stop).await, None)
        }
        // Which room is meant at an address is known only when somebody answers there; a screen is of a room from the beginning.
        Face::Chat(opening, _, creation) if !global.plain && opening.room().is_some() && tui::screen::is_usable() => {
            let ended = tui::run(chat, opening, settled.on_screen(creation), settled.data_dir.clone(), stop).await;
            match ended {
                Ok((exit, said, farewell)) => {
                    farewell.iter().for_each(|line| println!("{line}"));
                    (exit, said)
                }
                Err(why) => (Exit::Failed, Some(Said::new("terminal", words::shown(why), None))),
            }
        }
        Face::Chat(opening, ..) if io::stdin().is_terminal() => {
            let (terminal, closing) = match terminal::open() {
                Ok(opened) => opened,
                Err(why) => return (Exit::Failed, Some(Said::new("terminal", words::shown(why), None))),
            };
            let outcome = plain::run(chat, opening, terminal, stop).await;
            closing.finish();
            outcome
        }
        Face::Chat(opening, choices, _) => {
            (pipe::run(chat, opening, choices, stdin(), stdout(), io::stderr(), stop).await, None)
        }
    }
}

fn choices(pipe: args::Pipe) -> pipe::Choices {
    pipe::Choices { no_commands: pipe.no_commands, raw: pipe.raw }
}

fn man() -> (Exit, Option<Said>) {
    match man_page() {
        Ok(page) => print_whole(page),
        Err(why) => (Exit::Failed, Some(Said::new("output", words::shown(why), None))),
    }
}

/// The one page that there is: the program's, then what each command takes besides.
fn man_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let command = Args::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for command in command.get_subcommands().filter(|command| command.get_arguments().next().is_some()) {
        let mut options = Vec::new();
        clap_mangen::Man::new(command.clone()).render_options_section(&mut options)?;
        let options = String::from_utf8_lossy(&options);
        let title = format!(".SH \"p2pchat {}\"", command.get_name());
        page.extend_from_slice(options.replacen(".SH OPTIONS", &title, 1).as_bytes());
    }
    // There are no pages of the commands to look up.
    let names = |page: String, name: &str| {
        let name = name.replace('-', "\\-");
        page.replace(&format!("p2pchat\\-{name}(1)"), &format!("p2pchat {name}"))
    };
    let page = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .chain(["help"])
        .fold(String::from_utf8_lossy(&page).into_owned(), names);
    Ok(page.into_bytes())
}

fn print_whole(bytes: Vec<u8>) -> (Exit, Option<Said>) {
    let text = String::from_utf8_lossy(&bytes);
    once::write_lines(&mut io::stdout().lock(), &[text.trim_end().to_owned()])
}
