//! The one loop: wait for something, hand it to the core, carry out what comes back, in order.
//!
//! What waits is handled together, and kept in one transaction before anything behind it is sent or shown. The loop waits
//! for the disk and for its face, never for a peer: links have their own tasks and bounded queues.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::api::Options;
use super::guests::Guests;
use super::keeping::{Keeping, Question};
use super::quota::Space;
use super::server_task::Aim;
use super::told::Teller;
use super::watch::Watch;
use super::wires::{LINGER, Wire, close, read_peer, say_together, weight};
use crate::core::event::{Command, Ending, Event, Failure};
use crate::core::io::{Change, CloseReason, GuestId, Input, LinkId, Output};
use crate::core::node::Node;
use crate::core::time::Now;
use crate::identity::{Fingerprint, PeerId, Signature};
use crate::limits::{AHEAD_WAIT_MS, ARRIVALS_BYTES_MAX, TEXT_BYTES_MAX, UNINDEXED_MAX};
use crate::net::lan::Announcement;
use crate::net::{ClientConnection, CloseCode, Frame, Link, Mapping, PeerConnection, PeerEndpoint, Writer};
use crate::store::peer::PeerStore;
use crate::wire::{FromServer, PeerMessage, RoomId, ToServer};

/// Entries and other inputs handled together at most: bounds how long the first of them waits for its answer, and the memory
/// that a flood takes. Enough to hide a disk's flush.
const BATCH_MAX: usize = 1024;

/// Time between two attempts to write to a disk that refused.
const DISK_RETRY: Duration = Duration::from_secs(1);

/// What the tasks around the loop bring.
#[allow(clippy::large_enum_variant, reason = "most that waits is messages, which are the large ones")]
pub(super) enum Arrival {
    /// A connection of a peer who dialled.
    Accepted(PeerConnection),
    /// A dial of ours ended.
    Dialled(PeerId, Option<PeerConnection>),
    /// A peer said something; what it takes of the bytes that may wait.
    FromPeer(LinkId, PeerMessage, OwnedSemaphorePermit),
    /// A connection to a peer is gone; whether the peer broke a rule.
    LinkEnded(LinkId, bool),
    /// A server was accepted.
    ServerConnected {
        exporter: [u8; 32],
        writer: Writer<ToServer>,
        link: Link,
        host: Option<PeerId>,
        certificate: Fingerprint,
    },
    /// The server said something.
    FromServer(FromServer),
    /// The server is gone.
    ServerLost,
    /// Somebody who may want to knock through us.
    GuestCame(ClientConnection),
    /// They said something.
    FromGuest(GuestId, ToServer),
    /// They are gone.
    GuestGone(GuestId),
    /// The router lets others in at this address, or no longer.
    Mapped(Option<SocketAddr>),
    /// For the user.
    Tell(Event),
}

/// The loop's state.
pub(super) struct Driver {
    /// Who decides.
    pub node: Node,
    /// What is kept.
    pub store: PeerStore,
    /// The socket.
    pub endpoint: Arc<PeerEndpoint>,
    /// The server, as the user named it.
    pub server_name: String,
    /// From the face.
    pub commands: mpsc::Receiver<Command>,
    /// Told when the face wants to end.
    pub leaving: Arc<Notify>,
    /// To the face.
    events: Arc<Teller>,
    /// What this step has told so far: the face is given it all at once.
    told: VecDeque<Event>,
    /// From the tasks.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// For new tasks.
    pub to_self: mpsc::Sender<Arrival>,
    /// Answers about certificates, for the server's task.
    pub pin_answers: mpsc::Sender<bool>,
    /// Runs that were encoded in this step, by their signature and their first number.
    runs: BTreeMap<(Signature, u64), Frame<PeerMessage>>,
    /// What is shown of the history, and what is forgotten.
    pub keeping: Keeping,
    /// How much may still be kept.
    pub space: Space,
    /// Bytes from peers that may still come to wait.
    may_wait: Arc<Semaphore>,
    /// What is seen of the network.
    pub watch: Watch,
    /// Tells the server's task that the network has changed.
    pub roused: Arc<Notify>,
    /// Running connections.
    pub wires: BTreeMap<LinkId, Wire>,
    /// The running connection to the server.
    server: Option<(Link, Writer<ToServer>)>,
    /// Whether it is a member's, who is knocked at in the server's place.
    at_host: bool,
    /// Whom to be connected to, for the server's task.
    aim: watch::Sender<Aim>,
    /// Newcomers who knock through us.
    guests: Guests,
    /// Whether rooms are announced to the local network.
    pub(super) announces: bool,
    /// Those that are.
    pub(super) announced: Vec<Announcement>,
    /// The fingerprint of the server that is connected.
    pub(super) certificate: Option<Fingerprint>,
    /// Whether the server has welcomed us on it.
    welcomed: bool,
    /// The number of the next connection.
    next_link: u64,
    /// Until when the face's commands wait, since more was said than others have taken.
    ahead_until: Option<Instant>,
    /// Whether the face has asked for the end: its commands wait for nobody then.
    in_haste: bool,
    /// The zero of the monotonic clock.
    started: Instant,
    /// Set once the server refused us for good.
    server_given_up: bool,
    /// Set once all is over.
    pub ended: bool,
    /// How it ended; told when the last words have left, since a face that hears it ends the process.
    ending: Option<Ending>,
}

/// The channels of a driver and its node, before it runs.
pub(super) struct Parts {
    /// Who decides.
    pub node: Node,
    /// What is kept.
    pub store: PeerStore,
    /// The socket.
    pub endpoint: Arc<PeerEndpoint>,
    /// From the face.
    pub commands: mpsc::Receiver<Command>,
    /// Told when the face wants to end.
    pub leaving: Arc<Notify>,
    /// To the face.
    pub events: Teller,
    /// From the tasks.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// For new tasks.
    pub to_self: mpsc::Sender<Arrival>,
    /// Answers about certificates.
    pub pin_answers: mpsc::Sender<bool>,
    /// Whom to be connected to.
    pub aim: watch::Sender<Aim>,
    /// For the server's task.
    pub roused: Arc<Notify>,
}

impl Driver {
    pub(super) fn new(options: &Options, parts: Parts) -> Self {
        Driver {
            keeping: Keeping::new(options, &parts.store),
            space: Space::of_folder(
                options.quota,
                Some(options.data_dir.as_path()).filter(|_| !options.ephemeral && !options.visiting),
            ),
            may_wait: Arc::new(Semaphore::new(ARRIVALS_BYTES_MAX)),
            node: parts.node,
            store: parts.store,
            endpoint: parts.endpoint,
            server_name: options.server.clone(),
            commands: parts.commands,
            leaving: parts.leaving,
            in_haste: false,
            events: Arc::new(parts.events),
            told: VecDeque::new(),
            arrivals: parts.arrivals,
            to_self: parts.to_self,
            pin_answers: parts.pin_answers,
            runs: BTreeMap::new(),
            watch: Watch::new(),
            roused: parts.roused,
            wires: BTreeMap::new(),
            server: None,
            at_host: false,
            aim: parts.aim,
            guests: Guests::default(),
            announces: options.announce,
            announced: Vec::new(),
            certificate: None,
            welcomed: false,
            next_link: 0,
            ahead_until: None,
            started: Instant::now(),
            server_given_up: false,
            ended: false,
            ending: None,
        }
    }

    /// Runs until the user has quit and all is said.
    pub(super) async fn run(mut self, mapping: Option<Mapping>) {
        let own = self.own_addresses();
        self.step(VecDeque::from([Input::Addresses(own)])).await;
        let mut commands_open = true;
        while !self.ended {
            let wake = self.node.next_wake().map(|at| self.started + Duration::from_millis(at));
            let idle = self.index_after().map(|after| Instant::now() + after);
            let mut inputs = VecDeque::new();
            let ahead = self.commands_wait_until();
            tokio::select! {
                command = self.commands.recv(), if commands_open && ahead.is_none() => match command {
                    Some(command) => self.on_command(command, &mut inputs).await,
                    None => {
                        commands_open = false;
                        inputs.push_back(Input::Command(Command::Quit));
                    }
                },
                Some(arrival) = self.arrivals.recv() => self.on_arrival(arrival, &mut inputs).await,
                () = sleep_until(ahead.unwrap_or_else(Instant::now)), if ahead.is_some() => {}
                () = self.leaving.notified(), if !self.in_haste => self.in_haste = true,
                () = sleep_until(self.watch.look_at) => self.look_around(&mut inputs),
                () = sleep_until(self.keeping.forget_at) => self.forget_some().await,
                () = sleep_until(idle.unwrap_or_else(Instant::now)), if idle.is_some() => {
                    self.index_some().await;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    inputs.push_back(Input::Wake);
                }
            }
            self.gather(&mut inputs, ahead.is_none()).await;
            self.step(inputs).await;
            if self.store.unindexed() > UNINDEXED_MAX {
                self.index_some().await;
            }
        }
        let (events, ending) = (Arc::clone(&self.events), self.ending);
        let undone = async {
            if let Some(mapping) = mapping {
                mapping.undo().await;
            }
        };
        self.store.note_closed();
        tokio::join!(self.close_all(), undone);
        if let Some(ending) = ending {
            events.tell(Event::Ended(ending)).await;
        }
    }

    /// Until when the face has to wait with what it says next, if it is faster than those who read it.
    fn commands_wait_until(&mut self) -> Option<Instant> {
        if self.in_haste || !self.node.is_ahead() {
            self.ahead_until = None;
            return None;
        }
        let now = Instant::now();
        let until = *self.ahead_until.get_or_insert(now + Duration::from_millis(AHEAD_WAIT_MS));
        if until <= now {
            self.ahead_until = None;
            return None;
        }
        Some(until)
    }

    /// Takes what else waits already, so that it shares a transaction.
    async fn gather(&mut self, inputs: &mut VecDeque<Input>, commands: bool) {
        let mut gathered = inputs.iter().map(weight).sum::<usize>();
        let mut waited = false;
        while gathered < BATCH_MAX {
            // A text may have joined the input before it.
            let (known, last) = (inputs.len(), inputs.back().map_or(0, weight));
            if let Ok(arrival) = self.arrivals.try_recv() {
                self.on_arrival(arrival, inputs).await;
            } else if let Some(command) = commands.then(|| self.commands.try_recv().ok()).flatten() {
                self.on_command(command, inputs).await;
            } else if gathered > 1 && !std::mem::replace(&mut waited, true) {
                // Where more is said than the machine has time for, those who bring it wait for this processor: what they have shares the
                // transaction, which costs more than they do. A line alone is not kept waiting.
                std::thread::yield_now();
            } else {
                return;
            }
            gathered += inputs.iter().skip(known.saturating_sub(1)).map(weight).sum::<usize>() - last;
        }
    }

    async fn on_command(&mut self, command: Command, inputs: &mut VecDeque<Input>) {
        match command {
            Command::Pin { accept } => drop(self.pin_answers.try_send(accept)),
            Command::Publish { server } => {
                self.server_name.clone_from(&server);
                self.server_given_up = false;
                self.aim.send_modify(|aim| aim.server = Some(server));
            }
            Command::Say { room, text } if text.len() <= TEXT_BYTES_MAX => {
                if !self.refuses_own(&room).await {
                    say_together(inputs, room, text);
                }
            }
            // What is said to one alone takes the disk as well.
            Command::Private { ref room, .. } if self.refuses_own(room).await => {}
            command => inputs.push_back(Input::Command(command)),
        }
    }

    async fn on_arrival(&mut self, arrival: Arrival, inputs: &mut VecDeque<Input>) {
        match arrival {
            Arrival::Accepted(connection) | Arrival::Dialled(_, Some(connection)) => {
                inputs.push_back(self.open(connection));
            }
            Arrival::Dialled(peer, None) => inputs.push_back(Input::DialFailed { peer }),
            Arrival::FromPeer(link, message, permit) => {
                drop(permit);
                if !self.refuses(link, &message).await {
                    inputs.push_back(Input::FromPeer { link, message });
                }
            }
            Arrival::LinkEnded(link, misbehaved) => {
                if let Some(wire) = self.wires.remove(&link) {
                    if misbehaved {
                        inputs.push_back(Input::PeerMalformed { link });
                        wire.link.close(CloseCode::ProtocolError, "your last bytes were no message of this protocol");
                    }
                    inputs.push_back(Input::LinkDown { link });
                }
            }
            Arrival::ServerConnected { exporter, writer, link, host, certificate } => {
                self.server = Some((link, writer));
                self.certificate = host.is_none().then_some(certificate);
                self.at_host = host.is_some();
                inputs.push_back(match host {
                    Some(host) => Input::HostConnected { host, exporter },
                    None => Input::ServerConnected { exporter },
                });
            }
            Arrival::GuestCame(client) => inputs.push_back(self.guests.open(client, self.to_self.clone())),
            Arrival::FromGuest(guest, message) => inputs.push_back(Input::FromGuest { guest, message }),
            Arrival::GuestGone(guest) => {
                self.guests.gone(guest);
                inputs.push_back(Input::GuestGone { guest });
            }
            Arrival::FromServer(message) => {
                let welcome = matches!(message, FromServer::Welcome(_));
                inputs.push_back(Input::FromServer(message));
                // A member that a ticket led to is no server that anybody named.
                let named = self.aim.borrow().hosts.is_empty();
                if welcome && named && !std::mem::replace(&mut self.welcomed, true) {
                    self.tell(Event::ServerUp { server: self.server_name.clone(), member: self.at_host }).await;
                }
            }
            Arrival::ServerLost => {
                self.server = None;
                self.certificate = None;
                let was_host = std::mem::take(&mut self.at_host);
                if std::mem::replace(&mut self.welcomed, false) && !self.server_given_up && !was_host {
                    self.tell(Event::ServerDown { server: self.server_name.clone() }).await;
                }
                inputs.push_back(Input::ServerLost);
            }
            Arrival::Mapped(outer) => {
                let input = self.mapped(outer);
                inputs.push_back(input);
            }
            Arrival::Tell(Event::Failed(Failure::NoHost)) if self.node.is_where_it_wants_to_be() => {}
            Arrival::Tell(event) => self.tell(event).await,
        }
    }

    /// Starts to read from a connection.
    fn open(&mut self, connection: PeerConnection) -> Input {
        self.next_link += 1;
        let link_id = LinkId(self.next_link);
        let (peer, life) = (connection.peer, connection.life);
        let (dialled, remote) = (connection.dialled, connection.remote());
        let (link, reader, writer) = connection.open(|_| {});
        let rtt_ms = u32::try_from(link.rtt().as_millis()).unwrap_or(u32::MAX);
        tokio::spawn(read_peer(link_id, reader, self.to_self.clone(), Arc::clone(&self.may_wait)));
        self.wires.insert(link_id, Wire { peer, link, writer });
        Input::LinkUp { peer, life, link: link_id, dialled, remote, rtt_ms }
    }

    /// Hands inputs to the core and carries out what comes of them, until nothing more does.
    async fn step(&mut self, mut inputs: VecDeque<Input>) {
        while !inputs.is_empty() {
            let mut outputs = Vec::new();
            while let Some(input) = inputs.pop_front() {
                self.node.handle(self.now(), input, &mut outputs);
            }
            if !self.persist(&outputs).await {
                return;
            }
            self.runs.clear();
            let mut answers = Vec::new();
            // Most of what is missing when it is named has come over another link by the end of the batch.
            let mut questions: BTreeMap<RoomId, Question> = BTreeMap::new();
            for output in outputs {
                match output {
                    Output::LookUp { room, ids, numbers } => questions.entry(room).or_default().add(ids, numbers),
                    // Most of what there is; what is told of it is nothing that this side knows better.
                    Output::Tell(event @ Event::Message { .. }) => self.told.push_back(event),
                    output => answers.extend(self.carry_out(output).await),
                }
            }
            self.events.tell_all(&mut self.told).await;
            for (room, question) in questions {
                answers.push(self.look_up_for(room, question).await);
            }
            answers.into_iter().rev().for_each(|answer| inputs.push_front(answer));
        }
        self.runs.clear();
        // A member that was named like a server is let go when its part is done; links do the rest.
        if self.at_host && self.welcomed && self.aim.borrow().server.is_some() && !self.node.needs_rendezvous() {
            self.aim.send_modify(|aim| aim.server = None);
        }
    }

    /// Sends a message on a link; a run that goes to many is encoded once.
    fn send(&mut self, link: LinkId, message: &PeerMessage) {
        let Some(wire) = self.wires.get(&link) else { return };
        let sent = match message {
            // The signature vouches for the last entry and the chain for those before it: two runs that share it and begin
            // alike are one.
            PeerMessage::Run(run) => {
                let frame = self.runs.entry((run.signature(), run.first().seq)).or_insert_with(|| Frame::of(message));
                wire.writer.send_frame(frame)
            }
            _ => wire.writer.send(message),
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "a member does not keep up");
            wire.link.close(CloseCode::Overloaded, "too slow");
        }
    }

    fn now(&self) -> Now {
        let mono_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { mono_ms, wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Puts all that is to be kept on disk. A disk that refuses is asked again until it takes it or the user gives up:
    /// until then nothing is sent, shown or answered, so nothing is lost. `false` when the user gave up.
    async fn persist(&mut self, outputs: &[Output]) -> bool {
        let changes: Vec<&Change> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Persist(change) => Some(change),
                _ => None,
            })
            .collect();
        if changes.is_empty() {
            return true;
        }
        let mut told = false;
        loop {
            let store = &mut self.store;
            let kept = store.apply(changes.iter().copied());
            let Err(error) = kept else { return true };
            tracing::error!(%error, "the history can't be written");
            if self.repair(&error).await {
                continue;
            }
            if self.ended {
                return false;
            }
            if !std::mem::replace(&mut told, true) {
                self.tell(Event::Failed(Failure::NotKept { why: error.to_string() })).await;
            }
            let quit = async {
                loop {
                    match self.commands.recv().await {
                        Some(Command::Quit) | None => return,
                        Some(_) => {}
                    }
                }
            };
            if timeout(DISK_RETRY, quit).await.is_ok() {
                self.ended = true;
                self.tell(Event::Ended(Ending::Undelivered)).await;
                return false;
            }
        }
    }

    async fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            // What was to be kept is, and what is asked for is looked up at the end.
            Output::Persist(_) | Output::LookUp { .. } => {}
            Output::ToServer(message) => {
                if let Some((link, writer)) = &self.server
                    && let Err(error) = writer.send(&message)
                {
                    tracing::warn!(%error, "the server does not keep up");
                    link.close(CloseCode::Overloaded, "too slow");
                }
            }
            Output::ToPeer { link, message } => self.send(link, &message),
            Output::Dial { peer, candidates } => {
                let (endpoint, arrivals) = (Arc::clone(&self.endpoint), self.to_self.clone());
                tokio::spawn(async move {
                    let dialled = endpoint.dial(peer, &candidates).await;
                    if let Err(error) = &dialled {
                        tracing::debug!(?peer, %error, "no link");
                    }
                    let _ = arrivals.send(Arrival::Dialled(peer, dialled.ok())).await;
                });
            }
            Output::Close { link, why } => {
                if let Some(wire) = self.wires.remove(&link) {
                    tokio::spawn(close(wire, why));
                }
            }
            Output::Fetch { room, reader, author, from } => return Some(self.fetch(room, reader, author, from).await),
            Output::Recall { room, name, count, words, before } => {
                self.recall(room, name, count, words, before).await;
            }
            Output::Conversation { room, name, with, key, count } => {
                self.show_conversation(room, name, with, key, count).await;
            }
            Output::Invite { name } => self.tell_invite(name).await,
            Output::Tell(event) => {
                let joined = match &event {
                    Event::Joined { room, .. } => Some(room.clone()),
                    _ => None,
                };
                self.tell(event).await;
                if let Some(room) = joined {
                    self.announce(&room);
                    self.scroll_back(room).await;
                }
            }
            Output::ToGuest { guest, message } => self.guests.send(guest, &message),
            Output::SendAway { guest, why } => self.guests.send_away(guest, why),
            Output::SeekHosts(hosts) => self.aim.send_modify(|aim| aim.hosts = hosts),
            Output::GiveUpServer => {
                self.server_given_up = true;
                if let Some((link, _)) = self.server.take() {
                    link.close(CloseCode::Normal, "");
                }
            }
            Output::End => self.ended = true,
        }
        None
    }

    pub(super) async fn tell(&mut self, mut event: Event) {
        self.complete_ticket(&mut event);
        if let Event::Paths { routes, .. } = &mut event {
            self.measure(routes);
        }
        if let Event::Ended(ending) = event {
            self.ending = Some(ending);
            return;
        }
        // Behind what was told before. A face that is gone has dropped its commands too, which is a quit.
        self.told.push_back(event);
        self.events.tell_all(&mut self.told).await;
    }

    /// Says the last words and waits, a little, until they were read.
    async fn close_all(mut self) {
        let mut closing = tokio::task::JoinSet::new();
        for (_, wire) in std::mem::take(&mut self.wires) {
            closing.spawn(close(wire, CloseReason::GoingAway));
        }
        if let Some((link, writer)) = self.server.take() {
            closing.spawn(async move {
                writer.finish().await;
                let _ = timeout(LINGER, link.closed()).await;
                link.close(CloseCode::GoingAway, "");
            });
        }
        while closing.join_next().await.is_some() {}
        self.endpoint.close(CloseCode::GoingAway, "").await;
    }
}
