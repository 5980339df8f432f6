//! Every message pinned to its bytes, and the protocol's text to the table of kinds.
//!
//! A change here is a change of the protocol: other implementations stop understanding this one. Each message is written as
//! lines of `label: hex`, where `11*32` stands for 32 bytes 11.

use super::*;
use crate::identity::{Ed25519, Identity, Name, PeerId, Record, Signature, Signed, Signer, Verified, signing_bytes};

const PROTOCOL: &str = include_str!("PROTOCOL.md");

#[test]
fn messages_to_a_server_have_these_bytes() {
    use ToServer::*;
    let hello = Hello_ { exporter: [0x0e; 32], key: key(), name: name("ann"), listed: true };
    pinned(
        ToServer::Hello((signed(hello), Some(Text::cut("pw")))),
        "kind: 01
         exporter: 0e*32
         key: 01*32
         name: 03 616e6e
         listed: 01
         signature: aa*32 bb*32
         password, some: 01
         password: 02 7077",
    );
    pinned(List(()), "kind: 02");
    pinned(Create(signed(genesis())), &format!("kind: 03 \n {GENESIS}"));
    pinned(LookUp("lobby".parse().unwrap()), "kind: 04 \n name: 05 6c6f626279");
    pinned(ToServer::Knock(signed(knock())), &format!("kind: 05 \n {KNOCK}"));
    pinned(Withdraw((room(), proposal())), "kind: 06 \n room: 11*32 \n knock: 33*32");
    pinned(Attach((room(), roster_hash())), "kind: 07 \n room: 11*32 \n roster: 22*32");
    pinned(Restore((signed(genesis()), roster())), &format!("kind: 08 \n {GENESIS} \n {ROSTER}"));
    pinned(ToServer::Step((room(), step())), &format!("kind: 09 \n room: 11*32 \n {STEP}"));
    pinned(ToServer::Drop(drop()), &format!("kind: 0a \n {DROP}"));
    pinned(ToServer::Consent(signed(consent(Decision::Yes))), &format!("kind: 0b \n {CONSENT} 00 \n {SIGNATURE}"));
    pinned(
        ToServer::Candidates((room(), roster_hash(), addresses())),
        &format!("kind: 0c \n room: 11*32 \n roster: 22*32 \n {ADDRESSES}"),
    );
    pinned(Report((room(), key())), "kind: 0d \n room: 11*32 \n about: 01*32");
    let deletion = Deletion { room: room(), by: key() };
    pinned(Delete(signed(deletion)), &format!("kind: 0e \n room: 11*32 \n by: 01*32 \n {SIGNATURE}"));
    pinned(Close(room()), "kind: 0f \n room: 11*32");
    pinned(Visit(None), "kind: 10 \n no password: 00");
    pinned(Survey(()), "kind: 11");
    let pass = Pass { expires_unix_s: 300, by: KeyTag([6; 16]), signature: Signature([7; 32], [8; 32]) };
    pinned(
        Ask(("lobby".parse().unwrap(), RoomTag([4; 16]), Some(pass))),
        "kind: 1e \n name: 05 6c6f626279 \n tag: 04*16 \n pass, some: 01 \n expires: ac02 \n by: 06*16 \n signature: 07*32 08*32",
    );
}

#[test]
fn messages_from_a_server_have_these_bytes() {
    use FromServer::*;
    pinned(Welcome("[2001:db8::1]:4433".parse().unwrap()), "kind: 01 \n v6: 01 20010db8 00*11 01 \n port: d122");
    pinned(
        Refused((Some("lobby".parse().unwrap()), RefusalCode::Invalid, Text::cut("why"))),
        "kind: 02 \n room, some: 01 \n room: 05 6c6f626279 \n code: 09 \n reason: 03 776879",
    );
    let line = RoomLine { name: "lobby".parse().unwrap(), members: 3, size: 256, knocking: true };
    let (rooms, people) = (vec![line].try_into().unwrap(), vec![name("ann")].try_into().unwrap());
    pinned(
        Rooms((rooms, people)),
        "kind: 03
         rooms: 01
         name: 05 6c6f626279
         members: 03
         size: 8002
         knocking: 01
         people: 01
         name: 03 616e6e",
    );
    pinned(
        Shown(RoomShown {
            name: "lobby".parse().unwrap(),
            room: room(),
            roster: roster_hash(),
            members: 3,
            online: 2,
            size: 64,
            consent_timeout_s: 300,
        }),
        "kind: 04
         name: 05 6c6f626279
         room: 11*32
         roster: 22*32
         members: 03
         online: 02
         size: 40
         consent timeout: ac02",
    );
    pinned(
        KnockState((proposal(), KnockPhase::Waiting { ahead: 7 })),
        "kind: 05 \n knock: 33*32 \n waiting: 00 \n ahead: 07",
    );
    pinned(
        KnockState((proposal(), KnockPhase::Open { yes: 1, of: 4, left_ms: 60_000 })),
        "kind: 05 \n knock: 33*32 \n open: 01 \n yes: 01 \n of: 04 \n left: e0d403",
    );
    pinned(KnockOver((proposal(), KnockEnd::Denied)), "kind: 06 \n knock: 33*32 \n denied: 00");
    pinned(KnockOver((proposal(), KnockEnd::Expired)), "kind: 06 \n knock: 33*32 \n expired: 01");
    pinned(KnockOver((proposal(), KnockEnd::Stale)), "kind: 06 \n knock: 33*32 \n stale: 02");
    let admission = Admission {
        genesis: signed(genesis()),
        roster: roster(),
        knock: signed(knock()),
        signatures: vec![signature()].try_into().unwrap(),
    };
    pinned(
        Admitted(admission),
        &format!("kind: 07 \n {GENESIS} \n {ROSTER} \n {KNOCK} \n signatures: 01 \n {SIGNATURE}"),
    );
    pinned(FromServer::Knock((signed(knock()), 1_000)), &format!("kind: 08 \n {KNOCK} \n left: e807"));
    pinned(FromServer::Drop(drop()), &format!("kind: 09 \n {DROP}"));
    pinned(FromServer::Consent(signed(consent(Decision::No))), &format!("kind: 0a \n {CONSENT} 01 \n {SIGNATURE}"));
    pinned(FromServer::Step((room(), step())), &format!("kind: 0b \n room: 11*32 \n {STEP}"));
    pinned(RosterIs((room(), roster_hash())), "kind: 0c \n room: 11*32 \n roster: 22*32");
    pinned(Unknown(room()), "kind: 0d \n room: 11*32");
    pinned(
        Introduce((room(), key(), addresses())),
        &format!("kind: 0e \n room: 11*32 \n member: 01*32 \n {ADDRESSES}"),
    );
    pinned(Presence((room(), key(), true)), "kind: 0f \n room: 11*32 \n member: 01*32 \n here: 01");
    pinned(Reported((room(), key(), PeerId([2; 32]))), "kind: 10 \n room: 11*32 \n about: 01*32 \n by: 02*32");
    let deletion = Deletion { room: room(), by: key() };
    pinned(Observed("192.0.2.7:4433".parse().unwrap()), "kind: 12 \n v4: 00 c0000207 \n port: d122");
    pinned(Deleted(signed(deletion)), &format!("kind: 11 \n room: 11*32 \n by: 01*32 \n {SIGNATURE}"));
    pinned(Surveyed((Some(4434), 1_000)), "kind: 13 \n second port: 01 d222 \n clock: e807");
}

#[test]
fn messages_between_peers_have_these_bytes() {
    let head = Head { room: room(), roster: roster_hash(), counter: 300, by: key() };
    pinned(
        PeerMessage::Head(signed(head)),
        &format!("kind: 01 \n room: 11*32 \n roster: 22*32 \n counter: ac02 \n by: 01*32 \n {SIGNATURE}"),
    );
    pinned(PeerMessage::Step((room(), step())), &format!("kind: 02 \n room: 11*32 \n {STEP}"));
    pinned(PeerMessage::Knock(signed(knock())), &format!("kind: 03 \n {KNOCK}"));
    pinned(PeerMessage::Drop(drop()), &format!("kind: 04 \n {DROP}"));
    let silent = signed(consent(Decision::Silent));
    pinned(PeerMessage::Consent(silent), &format!("kind: 05 \n {CONSENT} 02 \n {SIGNATURE}"));
    let late = signed(consent(Decision::Late));
    pinned(PeerMessage::Consent(late), &format!("kind: 05 \n {CONSENT} 03 \n {SIGNATURE}"));
    let frontier = vec![(key(), 128), (PeerId([2; 32]), 1)].try_into().unwrap();
    pinned(
        PeerMessage::Frontier((room(), frontier)),
        "kind: 06 \n room: 11*32 \n authors: 02 \n author: 01*32 \n seq: 8001 \n author: 02*32 \n seq: 01",
    );
    let kept = vec![key()].try_into().unwrap();
    let reform = Reform { room: room(), roster: roster_hash(), genesis: signed(genesis()), kept, by: key() };
    pinned(
        PeerMessage::Reform(signed(reform)),
        &format!(
            "kind: 14 \n room: 11*32 \n roster: 22*32 \n {GENESIS} \n kept: 01 \n key: 01*32 \n by: 01*32 \n {SIGNATURE}"
        ),
    );
    pinned(PeerMessage::Seen("192.168.1.7:4433".parse().unwrap()), "kind: 1e \n v4: 00 c0a80107 \n port: d122");
    pinned(
        PeerMessage::Introduce((room(), key(), addresses())),
        &format!("kind: 1f \n room: 11*32 \n member: 01*32 \n {ADDRESSES}"),
    );
    let run = Run::of_one(entry(), signature());
    pinned(
        PeerMessage::Run(run),
        "kind: 07
         room: 11*32
         author: 01*32
         first: 01
         previous: 00*32
         audience: 22*32
         previous audience: 00*32
         lines: 01
         seen: 01
         seen entry: 66*32
         depth: 07
         wall: 80d0f7bf8732
         salt: 55*16
         body, text: 01
         body: 02 6869
         signature: aa*32 bb*32",
    );
    let (links, by) = (vec![[2; 8], [3; 8]].try_into().unwrap(), key());
    let state = LinkState { room: room(), roster: roster_hash(), counter: 300, turn: 2, links, by };
    pinned(
        PeerMessage::LinkState(signed(state)),
        &format!(
            "kind: 15 \n room: 11*32 \n roster: 22*32 \n counter: ac02 \n turn: 02 \n links: 02 \n one: 02*8 \n other: 03*8
             by: 01*32 \n {SIGNATURE}"
        ),
    );
    let logs = vec![(key(), 128)].try_into().unwrap();
    pinned(PeerMessage::Pull((room(), logs)), "kind: 16 \n room: 11*32 \n authors: 01 \n author: 01*32 \n seq: 8001");
    let holes = vec![(key(), 127, 128)].try_into().unwrap();
    pinned(
        PeerMessage::Holes((room(), holes)),
        "kind: 1a \n room: 11*32 \n holes: 01 \n author: 01*32 \n first: 7f \n last: 8001",
    );
    let readers = vec![(PeerId([2; 32]), 128)].try_into().unwrap();
    pinned(
        PeerMessage::Arrived((room(), key(), readers)),
        "kind: 17 \n room: 11*32 \n author: 01*32 \n readers: 01 \n reader: 02*32 \n seq: 8001",
    );
    pinned(PeerMessage::Candidates((room(), addresses())), &format!("kind: 09 \n room: 11*32 \n {ADDRESSES}"));
    pinned(PeerMessage::Bye(Text::cut("bye")), "kind: 0a \n reason: 03 627965");
    let ids = vec![EntryId([0x66; 32])].try_into().unwrap();
    pinned(PeerMessage::Want((room(), ids)), "kind: 0b \n room: 11*32 \n entries: 01 \n entry: 66*32");
    let ids = vec![EntryId([0x66; 32])].try_into().unwrap();
    pinned(PeerMessage::Lacks((room(), ids)), "kind: 13 \n room: 11*32 \n entries: 01 \n entry: 66*32");
    pinned(PeerMessage::Trace((room(), roster_hash())), "kind: 0d \n room: 11*32 \n roster: 22*32");
    pinned(PeerMessage::Past((room(), roster())), &format!("kind: 0e \n room: 11*32 \n {ROSTER}"));
    let letter =
        Letter { number: 300, wall_ms: 1_720_000_047_104, salt: [0x55; 16], text: b"hi".to_vec().try_into().unwrap() };
    let said = Private::Letter { roster: roster_hash(), series: Series([0x88; 16]), first: 299, letter };
    pinned(
        PeerMessage::Private((room(), said)),
        "kind: 18
         room: 11*32
         letter: 00
         roster: 22*32
         series: 88*16
         first: ab02
         number: ac02
         wall: 80d0f7bf8732
         salt: 55*16
         text: 02 6869",
    );
    let received = Private::Received { series: Series([0x88; 16]), up_to: 300 };
    pinned(
        PeerMessage::Private((room(), received)),
        "kind: 18 \n room: 11*32 \n received: 01 \n series: 88*16 \n up to: ac02",
    );
    let sealing = SealingKey { room: room(), by: key(), epoch: 2, counter: 300, public: [0xcc; 32] };
    let carry = |parcel| PeerMessage::Carry(Carry { room: room(), from: key(), to: PeerId([2; 32]), parcel });
    pinned(
        carry(Parcel::Key(signed(sealing), true)),
        &format!(
            "kind: 19
             room: 11*32
             from: 01*32
             to: 02*32
             key: 00
             room: 11*32
             by: 01*32
             epoch: 02
             counter: ac02
             public: cc*32
             {SIGNATURE}
             wanted: 01"
        ),
    );
    let sealed = Sealed { enc: [0xdd; 32], bytes: vec![0xee; 17].try_into().unwrap() };
    pinned(
        carry(Parcel::Sealed(sealed)),
        "kind: 19 \n room: 11*32 \n from: 01*32 \n to: 02*32 \n sealed: 01 \n enc: dd*32 \n bytes: 11 ee*17",
    );
    let floors = vec![(key(), 128)].try_into().unwrap();
    pinned(
        PeerMessage::Floor((room(), floors)),
        "kind: 0c \n room: 11*32 \n authors: 01 \n author: 01*32 \n seq: 8001",
    );
}

#[test]
fn what_entries_say_has_these_bytes() {
    let to = EntryId([0x66; 32]);
    let text = || "hi".to_owned();
    for (content, kind, labelled) in [
        (Content::Text(text()), 1, "text: 6869"),
        (Content::Action(text()), 2, "text: 6869"),
        (Content::Reply { to, text: text() }, 3, "entry: 66*32 \n text: 6869"),
        (Content::Reaction { to, on: true, sign: "+1".into() }, 4, "entry: 66*32 \n on: 01 \n sign: 2b31"),
        (Content::Reaction { to, on: false, sign: "+1".into() }, 4, "entry: 66*32 \n on: 00 \n sign: 2b31"),
        (Content::Edit { of: to, text: text() }, 5, "entry: 66*32 \n text: 6869"),
        (Content::Unsaid(to), 6, "entry: 66*32"),
        (Content::Topic(text()), 7, "text: 6869"),
        (Content::Away(text()), 8, "text: 6869"),
        (Content::Back, 9, "nothing:"),
    ] {
        let body = content.body().unwrap();
        assert_eq!((body.kind, hex::encode(&*body.bytes)), (kind, hex_of(labelled)), "{content:?}");
        assert_eq!(body.content(), Some(content));
    }
}

#[test]
fn a_frame_is_its_length_and_its_message() {
    assert_eq!(hex::encode(frame(&ToServer::Close(room()))), format!("00000021{}", "0f".to_owned() + &"11".repeat(32)));
    let unknown = PeerMessage::decode_from(&[0xff, 1, 2, 3]);
    assert_eq!(unknown, Ok(None), "kinds of a later version are passed over");
}

/// The worked example of PROTOCOL.md: signatures, ids and hashes of one small room.
#[test]
fn signatures_and_hashes_are_those_of_the_worked_example() {
    let ann = Identity::from_seed(&[1; 32]);
    let ben = Identity::from_seed(&[2; 32]);
    let mut founding = genesis();
    founding.creator = ann.id();
    let founded = Verified::sign(founding, &ann);
    let room = RoomId(founded.digest());
    let creator = Member { key: ann.id(), name: name("ann") };
    let first = Roster {
        room,
        epoch: 0,
        previous: RosterHash([0; 32]),
        members: vec![creator].try_into().unwrap(),
        cause: ProposalHash(room.0),
    };
    let roster = first.hash();
    let knock =
        Knock_ { room, roster, key: ben.id(), name: name("ben"), nonce: [0x44; 16], expires_unix_s: 1_700_000_000 };
    let knock = Verified::sign(knock, &ben);
    let proposal = Proposal::Admit(knock.as_signed().clone()).hash();
    assert_eq!(proposal.0, knock.digest());
    let yes = Consent_ { room, roster, proposal, by: ann.id(), decision: Decision::Yes };
    let yes = Verified::sign(yes, &ann);
    assert!(yes.clone().into_signed().verify(&Ed25519).is_ok());
    let drop =
        super::Drop { room, roster, dropped: vec![ann.id()].try_into().unwrap(), why: DropReason::Gone, nonce: 0 };
    let written = Entry { room, author: ann.id(), audience: roster, ..entry() };
    let worked = [
        ("ann's key", hex::encode(ann.id().0)),
        ("genesis signature", hex::encode(founded.as_signed().signature().to_bytes())),
        ("room id", room.to_string()),
        ("first roster's hash", roster.to_string()),
        ("knock signature", hex::encode(knock.as_signed().signature().to_bytes())),
        ("knock's hash", proposal.to_string()),
        ("consent signature", hex::encode(yes.as_signed().signature().to_bytes())),
        ("drop's hash", drop.hash().to_string()),
        ("entry id", written.id().to_string()),
    ];
    for (what, value) in worked {
        let line = format!("| {what} | `{value}` |");
        assert!(PROTOCOL.contains(&line), "PROTOCOL.md lacks the line:\n{line}");
    }
}

#[test]
fn purposes_never_change() {
    let prefix = |purpose: &str| [b"p2pchat/1 ", purpose.as_bytes(), b"\0"].concat();
    assert!(signing_bytes(Genesis::PURPOSE, &genesis()).starts_with(&prefix("genesis")));
    assert!(signing_bytes(Knock_::PURPOSE, &knock()).starts_with(&prefix("knock")));
    let purposes = [
        Genesis::PURPOSE,
        Roster::PURPOSE,
        Knock_::PURPOSE,
        super::Drop::PURPOSE,
        Consent_::PURPOSE,
        Head::PURPOSE,
        Deletion::PURPOSE,
        Hello_::PURPOSE,
        Tip::PURPOSE,
        "entry",
        Reform::PURPOSE,
        LinkState::PURPOSE,
        SealingKey::PURPOSE,
        "private",
        "sealed",
        super::Invitation::PURPOSE,
    ];
    let expected = [
        "genesis",
        "roster",
        "knock",
        "drop",
        "consent",
        "head",
        "deletion",
        "hello",
        "tip",
        "entry",
        "reform",
        "link state",
        "sealing key",
        "private",
        "sealed",
        "invitation",
    ];
    assert_eq!(purposes, expected);
    for purpose in expected {
        assert!(PROTOCOL.contains(&format!("| `{purpose}` |")), "PROTOCOL.md doesn't tell what {purpose:?} is for");
    }
}

#[test]
fn every_kind_is_in_the_text_of_the_protocol() {
    // Read from the table itself, so that a new kind can't be forgotten here.
    let kinds = include_str!("kind.rs");
    let tables = [("ToServerKind", "C→S"), ("FromServerKind", "S→C"), ("PeerKind", "P↔P")];
    for (table, direction) in tables {
        let body = kinds.split_once(&format!("enum {table} {{")).unwrap().1.split_once('}').unwrap().0;
        let kinds: Vec<_> =
            body.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(" = ")).collect();
        assert!(kinds.len() >= 10);
        for (kind, number) in kinds {
            let row = format!("| {direction} {number} | `{kind}` |");
            assert!(PROTOCOL.contains(&row), "PROTOCOL.md lacks the row {row:?}");
        }
    }
}

// What messages are made of.

use super::{Consent as Consent_, Hello as Hello_, Knock as Knock_};

const SIGNATURE: &str = "signature: aa*32 bb*32";

const GENESIS: &str = "name: 05 6c6f626279
    size: 40
    creator: 01*32
    creator's name: 03 616e6e
    nonce: 77*16
    consent timeout: 3c
    grace: 78
    signature: aa*32 bb*32";

const ROSTER: &str = "room: 11*32
    epoch: 02
    previous: 99*32
    members: 01
    key: 01*32
    name: 03 616e6e
    cause: 33*32";

const KNOCK: &str = "room: 11*32
    roster: 22*32
    key: 01*32
    name: 03 616e6e
    nonce: 44*16
    expires: 80e2cfaa06
    signature: aa*32 bb*32";

const DROP: &str = "room: 11*32
    roster: 22*32
    dropped: 01
    key: 01*32
    why: 00
    nonce: 00";

const CONSENT: &str = "room: 11*32
    roster: 22*32
    proposal: 33*32
    by: 01*32
    decision:";

const STEP: &str = "drop: 01
    room: 11*32
    roster: 22*32
    dropped: 01
    key: 01*32
    why: 00
    nonce: 00
    signatures: 01
    signature: aa*32 bb*32";

const ADDRESSES: &str = "addresses: 02
    v4: 00 c0a80107
    port: d122
    v6: 01 20010db8 00*11 01
    port: 09";

fn key() -> PeerId {
    PeerId([1; 32])
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn room() -> RoomId {
    RoomId([0x11; 32])
}

fn roster_hash() -> RosterHash {
    RosterHash([0x22; 32])
}

fn proposal() -> ProposalHash {
    ProposalHash([0x33; 32])
}

fn signature() -> Signature {
    Signature([0xaa; 32], [0xbb; 32])
}

fn signed<T: Record>(record: T) -> Signed<T> {
    Signed::from_parts(record, signature())
}

fn genesis() -> Genesis {
    Genesis {
        name: "lobby".parse().unwrap(),
        size: 64,
        creator: key(),
        creator_name: name("ann"),
        nonce: [0x77; 16],
        settings: Settings { consent_timeout_s: 60, grace_s: 120 },
    }
}

fn roster() -> Roster {
    Roster {
        room: room(),
        epoch: 2,
        previous: RosterHash([0x99; 32]),
        members: vec![Member { key: key(), name: name("ann") }].try_into().unwrap(),
        cause: proposal(),
    }
}

fn knock() -> Knock_ {
    let (room, roster, key, name) = (room(), roster_hash(), key(), name("ann"));
    Knock_ { room, roster, key, name, nonce: [0x44; 16], expires_unix_s: 1_700_000_000 }
}

fn drop() -> super::Drop {
    super::Drop {
        room: room(),
        roster: roster_hash(),
        dropped: vec![key()].try_into().unwrap(),
        why: DropReason::Gone,
        nonce: 0,
    }
}

fn consent(decision: Decision) -> Consent_ {
    Consent_ { room: room(), roster: roster_hash(), proposal: proposal(), by: key(), decision }
}

fn step() -> Step {
    Step { proposal: Proposal::Drop(drop()), signatures: vec![signature()].try_into().unwrap() }
}

fn entry() -> Entry {
    Entry {
        room: room(),
        author: key(),
        seq: 1,
        previous: EntryId([0; 32]),
        audience: roster_hash(),
        previous_audience: RosterHash([0; 32]),
        seen: vec![EntryId([0x66; 32])].try_into().unwrap(),
        depth: 7,
        wall_ms: 1_720_000_047_104,
        salt: [0x55; 16],
        body: Body::text("hi").unwrap(),
    }
}

fn addresses() -> Few<std::net::SocketAddr, { crate::limits::CANDIDATES_MAX }> {
    let addresses = ["192.168.1.7:4433", "[2001:db8::1]:9"].map(|text| text.parse().unwrap());
    addresses.to_vec().try_into().unwrap()
}

/// Checks both ways that a message has these bytes.
#[track_caller]
fn pinned<M: Message + PartialEq + std::fmt::Debug>(message: M, labelled: &str) {
    let mut bytes = Vec::new();
    message.encode_into(&mut bytes);
    assert_eq!(hex::encode(&bytes), hex_of(labelled), "{message:?}");
    assert_eq!(M::decode_from(&bytes), Ok(Some(message)));
}

/// The hex behind the labels of [`pinned`].
fn hex_of(labelled: &str) -> String {
    let parts = labelled.lines().flat_map(|line| line.split_once(':').unwrap().1.split_whitespace());
    parts
        .map(|part| match part.split_once('*') {
            Some((byte, times)) => byte.repeat(times.parse().unwrap()),
            None => part.to_owned(),
        })
        .collect()
}
