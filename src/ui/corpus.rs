//! For tests: one of everything that a chat can tell, with the worst text that each may hold.

use std::path::PathBuf;

use crate::peer::api::*;

/// Steers terminals, ends lines, reverses text.
pub const EVIL: &str = "\u{1b}]52;c;cm0=\u{7}\u{9b}2J\r\n\u{202e}evil";

pub const REFUSALS: [Refusal; 11] = [
    Refusal::Denied,
    Refusal::Expired,
    Refusal::Full,
    Refusal::NoSuchRoom,
    Refusal::RoomExists,
    Refusal::NameTaken,
    Refusal::NobodyThere,
    Refusal::TooMany,
    Refusal::Withdrawn,
    Refusal::Forged,
    Refusal::Other,
];

pub fn lobby() -> RoomName {
    "lobby".parse().unwrap()
}

pub fn name(name: &str) -> Name {
    name.parse().unwrap()
}

pub fn words(byte: u8) -> Fingerprint {
    PeerId([byte; 32]).fingerprint()
}

pub fn knock_of(byte: u8, who: &str) -> Event {
    Event::Knock {
        room: lobby(),
        knock: ProposalHash([byte; 32]),
        name: name(who),
        key: PeerId([byte; 32]),
        expires_in_s: 60,
        yes: vec![name("bob")],
        waiting: vec![name("carol"), name("alice")],
        looks_like: None,
        seen_before: false,
        removed_before: false,
        trust: Trust::New,
        other_key: None,
    }
}

pub fn message(byte: u8, from: &str, text: &str) -> Event {
    Event::Message {
        room: lobby(),
        id: EntryId([byte; 32]),
        from: name(from),
        key: PeerId([byte; 32]),
        mine: from == "alice",
        seq: 7,
        text: text.to_owned(),
        sent_at_ms: 1_795_226_400_123,
        place: Place { epoch: 3, depth: 5 },
        forked: false,
        manner: Manner::Text,
        mentions_me: false,
    }
}

pub fn history(why: Recall, more: u64) -> Event {
    let recalled = |byte, from: Option<&str>, text: &str| Recalled {
        id: EntryId([byte; 32]),
        from: from.map(name),
        key: PeerId([byte; 32]),
        mine: byte == 1,
        seq: 7,
        text: text.to_owned(),
        sent_at_ms: 1_795_226_400_123,
        place: Place { epoch: 3, depth: 9 },
        forked: byte == 2,
        manner: Manner::Text,
        edited: false,
        unsaid: false,
        signs: vec![],
    };
    Event::History {
        room: lobby(),
        why,
        messages: vec![recalled(2, Some("bob"), EVIL), recalled(1, None, "my own")],
        more,
    }
}

pub fn joined(how: Entrance) -> Event {
    Event::Joined { room: lobby(), epoch: 3, members: people(), how }
}

pub fn ready(who: &str) -> Event {
    Event::Ready { name: name(who), fingerprint: words(1), ephemeral: false, data_dir: PathBuf::from(EVIL) }
}

pub fn ticket() -> Ticket {
    use crate::identity::Signature;
    use crate::wire::{Few, KeyTag, Pass, RoomTag, TicketHost};
    let addresses = ["192.168.1.5:40000", "[2001:db8::5]:40000"].map(|text| text.parse().unwrap());
    let by = KeyTag::of(&PeerId([2; 32]));
    let pass = Pass { expires_unix_s: 0, by, signature: Signature([9; 32], [9; 32]) };
    let host = TicketHost { key: by, pass: 0, addresses: Few::first_of(addresses) };
    let (hosts, passes) = (Few::first_of([host]), Few::first_of([pass]));
    Ticket { room: RoomTag([3; 16]), name: lobby(), passes, hosts, server: None }
}

pub fn annex() -> RoomName {
    "annex".parse().unwrap()
}

pub fn removal() -> Event {
    Event::Removal {
        room: lobby(),
        proposal: ProposalHash([6; 32]),
        names: vec![name("mallory")],
        yes: vec![name("bob")],
        waiting: vec![name("alice"), name("carol")],
        expires_in_s: 60,
    }
}

pub fn reform(state: ReformState) -> Event {
    Event::Reform { room: lobby(), new: annex(), by: name("bob"), without: vec![name("mallory")], state }
}

pub fn membership() -> Event {
    let at_ms = Some(1_795_226_400_123);
    let signed = || vec![(name("bob"), PeerId([2; 32]), at_ms)];
    let who = |who, byte| vec![(name(who), PeerId([byte; 32]))];
    let record = |epoch, what| Record { epoch, at_ms, what, who: who("dana", 4), signed: signed() };
    let begin = Record { epoch: 3, at_ms: None, what: RecordKind::Begin, who: who("bob", 2), signed: vec![] };
    let records = vec![begin, record(4, RecordKind::Admitted), record(5, RecordKind::Removed)];
    Event::Membership { room: lobby(), records }
}

/// What members decide together.
pub fn decisions() -> Vec<Event> {
    let (room, proposal, names) = (lobby, ProposalHash([6; 32]), || vec![name("mallory")]);
    let mut events = vec![removal()];
    for rule in [Rule::Session, Rule::Always, Rule::Never, Rule::Follow] {
        let (name, by) = (name("dana"), name(if rule == Rule::Follow { "bob" } else { "dana" }));
        let knock = ProposalHash([4; 32]);
        events.push(Event::AnsweredByRule { room: room(), knock, name, key: PeerId([4; 32]), by, rule });
    }
    for decision in [Answer::Yes, Answer::No, Answer::Silent] {
        events.push(Event::RemovalAnswer { room: room(), proposal, names: names(), by: name("carol"), decision });
    }
    for how in [Refusal::Denied, Refusal::Expired] {
        events.push(Event::RemovalOver { room: room(), proposal, names: names(), how });
    }
    for state in [
        ReformState::Asked { expires_in_s: 60 },
        ReformState::Waiting(vec![name("carol")]),
        ReformState::Agreed,
        ReformState::Refused(Some(name("carol"))),
        ReformState::Refused(None),
    ] {
        events.push(reform(state));
    }
    let rules = vec![
        (name("dana"), PeerId([4; 32]), Rule::Always),
        (name("eve"), PeerId([5; 32]), Rule::Never),
        (name("bob"), PeerId([2; 32]), Rule::Follow),
    ];
    events.extend([Event::Rules { room: room(), rules }, Event::Rules { room: room(), rules: vec![] }]);
    let undecided = |what, who| Undecided {
        proposal,
        what,
        names: vec![name(who)],
        new: None,
        yes: vec![name("alice")],
        waiting: vec![(name("bob"), true), (name("carol"), false)],
        since_s: 15,
    };
    let open = vec![
        undecided(Question::Admit, "dana"),
        undecided(Question::Drop, "carol"),
        undecided(Question::Remove, "mallory"),
        Undecided { new: Some(room()), ..undecided(Question::Reform, "mallory") },
    ];
    let waits = Event::Waits { room: room(), texts: vec![EVIL.into(), "still here?".into()] };
    events.extend([Event::Pending { room: room(), open }, waits, membership()]);
    events
}

/// What is said besides texts, and what is known of people.
pub fn said() -> Vec<Event> {
    let (room, from, key, of) = (lobby, || name("bob"), PeerId([2; 32]), EntryId([2; 32]));
    let text = || EVIL.to_owned();
    let private = |mine| PrivateMessage {
        room: room(),
        id: PrivateId([7; 32]),
        with: from(),
        key,
        mine,
        text: text(),
        sent_at_ms: 1_795_226_400_123,
        delivered: !mine,
    };
    let known = |trust| OtherKey { key: PeerId([3; 32]), name: name("Bob"), trust };
    let whois = |since_epoch, verified_ms| Whois {
        person: Person { away: Some(text()), ignored: true, ..people().remove(0) },
        since_epoch,
        since_ms: since_epoch,
        admitted_by: vec![name("alice"), name("carol")],
        first_seen_ms: Some(1_795_226_400_123),
        names: vec![name("robert"), from()],
        verified_ms,
    };
    let (fingerprint, mine) = (words(2), words(1));
    let mut events = vec![];
    for mine in [false, true] {
        events.push(Event::Edited { room: room(), of, from: from(), key, mine, text: text(), sent_at_ms: 1 });
        events.push(Event::Unsaid { room: room(), of, from: from(), key, mine });
        for on in [false, true] {
            events.push(Event::Reaction { room: room(), to: of, from: from(), key, mine, sign: text(), on });
        }
        for why in [None, Some(String::new()), Some(text())] {
            events.push(Event::Away { room: room(), name: from(), key, mine, why });
        }
        events.push(Event::Topic { room: room(), from: mine.then(from), key, text: text(), recalled: mine });
        events.push(Event::Private(private(mine)));
        events.push(Event::Ignoring { room: room(), name: from(), key, on: mine });
        let pin = mine.then(|| words(9));
        events.push(Event::Invite { room: room(), server: text(), pin });
    }
    events.push(Event::Topic { room: room(), from: Some(from()), key, text: String::new(), recalled: false });
    for messages in [vec![], vec![private(true), private(false)]] {
        events.push(Event::Conversation { room: room(), with: from(), key, messages, more: 3 });
    }
    for ids in [vec![PrivateId([7; 32])], vec![PrivateId([7; 32]), PrivateId([8; 32])]] {
        events.push(Event::PrivateDelivered { room: room(), with: from(), key, ids });
    }
    for trust in [Trust::New, Trust::Known, Trust::Verified] {
        events.push(Event::OtherKey { room: room(), name: from(), key, known: known(trust) });
        events.push(Event::Verify { room: room(), name: from(), fingerprint, mine, trust });
    }
    for who in [whois(None, None), whois(Some(4), Some(5))] {
        events.push(Event::Whois { room: room(), who: Box::new(who) });
    }
    let mut action = message(2, "bob", EVIL);
    if let Event::Message { manner, mentions_me, .. } = &mut action {
        (*manner, *mentions_me) = (Manner::Action, true);
    }
    let mut reply = message(2, "bob", EVIL);
    if let Event::Message { manner, .. } = &mut reply {
        *manner = Manner::Reply(of);
    }
    events.extend([action, reply]);
    events
}

pub fn people() -> Vec<Person> {
    let person = |byte, who, me, path| Person {
        name: name(who),
        key: PeerId([byte; 32]),
        me,
        path,
        trust: if me { Trust::Verified } else { Trust::Known },
        away: None,
        ignored: false,
    };
    vec![
        person(2, "bob", false, Path::Direct { rtt_ms: Some(12) }),
        person(1, "alice", true, Path::None),
        person(3, "carol", false, Path::Relayed { via: name("bob") }),
    ]
}

pub fn failures() -> Vec<Failure> {
    vec![
        Failure::NotInRoom(lobby()),
        Failure::AlreadyThere(lobby()),
        Failure::SeatThere(lobby()),
        Failure::NoSuchKnock,
        Failure::AmbiguousName(name("bob")),
        Failure::AnotherDecisionOpen { name: name("bob") },
        Failure::AlreadyAnswered,
        Failure::NoSuchMember(name("bob")),
        Failure::TooManyRules,
        Failure::TicketExpired(lobby()),
        Failure::NoHost,
        Failure::NothingProposed,
        Failure::NoSuchMessage,
        Failure::NotYours,
        Failure::NoSign,
        Failure::OtherWords(name("bob")),
        Failure::TooManyWaiting(name("bob")),
        Failure::TextTooLong { bytes: 5000 },
        Failure::BadSettings,
        Failure::NoServer,
        Failure::ServerUnreachable { server: EVIL.into(), why: EVIL.into(), no_such_name: false },
        Failure::ServerChanged { server: EVIL.into(), pinned: words(1), shown: words(2), file: PathBuf::from(EVIL) },
        Failure::ServerNotTrusted { server: EVIL.into() },
        Failure::PasswordRefused,
        Failure::ServerRefused { why: EVIL.into() },
        Failure::NameTaken(name("bob")),
        Failure::NotCreator(lobby()),
        Failure::NotApart(lobby()),
        Failure::NoSuchRoom(lobby()),
        Failure::NotKept { why: EVIL.into() },
        Failure::NoSpace { own: true, what: Shortage::Disk { free_mb: 12 } },
        Failure::NoSpace { own: false, what: Shortage::Room { room: lobby(), mb: 2000 } },
        Failure::NoSpace { own: false, what: Shortage::Author { room: lobby(), mb: 500 } },
        Failure::BadSearch(BadSearch::OpenQuote),
        Failure::HistoryUnreadable { why: EVIL.into() },
    ]
}

pub fn routes() -> Vec<Route> {
    let at = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<std::net::SocketAddr>>();
    let direct = DirectLink { remote: at(&["198.51.100.7:4433"])[0], dialled: true, since_s: 90 };
    let route = |key, who, path, direct, addresses| Route {
        name: name(who),
        key: PeerId([key; 32]),
        path,
        direct,
        addresses,
        online: Some(true),
    };
    let near = at(&["198.51.100.7:4433", "10.0.0.7:4433"]);
    let far = at(&["203.0.113.1:9", "[2001:db8::1]:9"]);
    vec![
        route(2, "bob", Path::Direct { rtt_ms: Some(12) }, Some(direct), near),
        route(3, "carol", Path::Relayed { via: name("bob") }, None, far),
        route(4, "dana", Path::None, None, Vec::new()),
    ]
}

pub fn events() -> Vec<Event> {
    let server = || EVIL.to_owned();
    let room = lobby;
    let knock = || ProposalHash([4; 32]);
    let link = |path, grace_s| Event::Link { room: room(), name: name("bob"), path, grace_s, tried: None };
    let left = |reason| Event::MemberLeft { room: room(), name: name("bob"), key: PeerId([2; 32]), reason, epoch: 5 };
    let mut events = vec![
        Event::Ready { name: name("alice"), fingerprint: words(1), ephemeral: false, data_dir: PathBuf::from(EVIL) },
        Event::Ready { name: name("alice"), fingerprint: words(1), ephemeral: true, data_dir: PathBuf::from(EVIL) },
        Event::HistoryDamaged { why: EVIL.into(), aside: PathBuf::from(EVIL), saved: 12, seats: false },
        Event::PinWanted { server: server(), fingerprint: words(9), member: false },
        Event::Pinned { server: server(), fingerprint: words(9), member: false },
        Event::Ticket { room: room(), ticket: ticket() },
        Event::ServerUp { server: server(), member: false },
        Event::ServerDown { server: server() },
        Event::Rooms {
            rooms: vec![RoomSummary { room: room(), members: 3, size: 64, knocking: true }],
            people: vec![name("dana")],
        },
        Event::Knocking { room: room(), yes: 2, of: 4, expires_in_s: Some(41), ahead: 0 },
        Event::Knocking { room: room(), yes: 0, of: 4, expires_in_s: None, ahead: 2 },
        knock_of(4, "dana"),
        Event::Joined { room: room(), epoch: 0, members: vec![], how: Entrance::Founded },
        joined(Entrance::Admitted),
        joined(Entrance::Returned),
        Event::MemberJoined { room: room(), name: name("dana"), key: PeerId([4; 32]), epoch: 4 },
        left(Departure::Left),
        left(Departure::Dropped),
        left(Departure::Removed),
        link(Path::Direct { rtt_ms: Some(12) }, None),
        link(Path::Direct { rtt_ms: None }, None),
        link(Path::Relayed { via: name("carol") }, None),
        link(Path::None, Some(120)),
        Event::Link { room: room(), name: name("bob"), path: Path::None, grace_s: Some(120), tried: Some(3) },
        Event::Paths { room: room(), routes: routes() },
        message(2, "bob", EVIL),
        message(1, "alice", "my own"),
        Event::Delivered { room: room(), id: EntryId([1; 32]), to: 2, of: 3 },
        Event::Members { room: room(), epoch: 3, size: 64, members: people() },
    ];
    events.extend([Recall::Joined, Recall::Last, Recall::Search].map(|why| history(why, 5)));
    for decision in [Answer::Yes, Answer::No, Answer::Silent] {
        let (name, by) = (name("dana"), name("bob"));
        events.push(Event::Consent { room: room(), knock: knock(), name, by, decision });
    }
    for how in REFUSALS {
        events.push(Event::KnockOver { room: room(), knock: knock(), name: name("dana"), how });
        events.push(Event::Refused { room: room(), reason: how });
    }
    events.push(Event::Apart { room: room() });
    for why in [Leaving::Asked, Leaving::Deleted, Leaving::DroppedByOthers, Leaving::Removed, Leaving::Reformed] {
        events.push(Event::Left { room: room(), why });
    }
    for what in [
        Misdeed::BadSignature,
        Misdeed::MissingConsent,
        Misdeed::SwappedNewcomer,
        Misdeed::WrongRoster,
        Misdeed::TwoAnswers,
        Misdeed::TwoEntries,
        Misdeed::BrokenChain,
        Misdeed::WrongAudience,
        Misdeed::Malformed,
    ] {
        events.push(Event::Misbehaviour { room: Some(room()), by: Some(name("bob")), what });
    }
    events.push(Event::Misbehaviour { room: None, by: None, what: Misdeed::Malformed });
    events.extend(decisions());
    events.extend(said());
    events.extend(failures().into_iter().map(Event::Failed));
    events.extend([Event::Ended(Ending::Done), Event::Ended(Ending::Undelivered)]);
    events
}
