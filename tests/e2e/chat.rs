//! Knock, consent, talk, leave, as a program meets them on the JSON face.

use serde_json::{Value, json};

use crate::harness::World;

fn is_fingerprint(value: &Value) -> bool {
    value.as_str().is_some_and(|words| words.split('-').count() == 8)
}

fn is_hex(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()))
}

/// The names of an object's fields, in order.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn has_fields(value: &Value, expected: &[&str]) {
    let mut expected = [&["type"], expected].concat();
    expected.sort_unstable();
    assert_eq!(fields(value), expected, "{value}");
}

#[test]
fn three_chat_after_everyone_agreed_and_every_field_is_as_documented() {
    let world = World::new();
    let mut alice = world.json("alice", &["create", "lobby", "--size", "5"]);
    let ready = alice.next("ready");
    has_fields(&ready, &["fingerprint", "name", "version"]);
    assert!(is_fingerprint(&ready["fingerprint"]));
    assert_eq!((&ready["name"], &ready["version"]), (&json!("alice"), &json!(1)));
    let pinned = alice.next("pinned");
    assert_eq!(pinned, json!({"type": "pinned", "server": world.address, "fingerprint": world.fingerprint}));
    assert_eq!(alice.next("server"), json!({"type": "server", "server": world.address, "state": "up"}));
    let joined = alice.next("joined");
    has_fields(&joined, &["epoch", "how", "members", "room"]);
    assert_eq!((&joined["room"], &joined["epoch"], &joined["how"]), (&json!("lobby"), &json!(0), &json!("founded")));
    let me = &joined["members"][0];
    assert_eq!((&me["name"], &me["me"], &me["fingerprint"]), (&json!("alice"), &json!(true), &ready["fingerprint"]));

    let mut bob = world.json("bob", &["join", "lobby"]);
    let knocking = bob.wait("knocking", |it| it["expires_in_s"].is_u64());
    has_fields(&knocking, &["ahead", "expires_in_s", "of", "room", "yes"]);
    assert_eq!((&knocking["yes"], &knocking["of"], &knocking["ahead"]), (&json!(0), &json!(1), &json!(0)));
    let knock = alice.next("knock");
    has_fields(
        &knock,
        &["expires_in_s", "fingerprint", "knock", "name", "room", "seen_before", "trust", "waiting", "yes"],
    );
    assert_eq!(knock["name"], "bob");
    assert_eq!(knock["fingerprint"], bob.fingerprint().as_str());
    assert_eq!(
        (&knock["yes"], &knock["waiting"], &knock["seen_before"]),
        (&json!([]), &json!(["alice"]), &json!(false))
    );
    assert!(is_hex(&knock["knock"]) && knock["expires_in_s"].as_u64().is_some_and(|left| (50..=60).contains(&left)));
    assert!(!bob.has_heard("joined", |_| true), "nobody is in before the yes");
    alice.send(json!({"do": "approve", "knock": knock["knock"]}));
    let consent = alice.next("consent");
    has_fields(&consent, &["by", "decision", "knock", "name", "room"]);
    assert_eq!((&consent["by"], &consent["decision"]), (&json!("alice"), &json!("yes")));
    assert_eq!(consent["knock"], knock["knock"]);
    let joined = bob.next("joined");
    assert_eq!((&joined["epoch"], &joined["how"]), (&json!(1), &json!("admitted")));
    let names: Vec<_> = joined["members"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["alice", "bob"], "the most senior first");
    let member = alice.next("member_joined");
    has_fields(&member, &["epoch", "fingerprint", "name", "room"]);
    assert_eq!((&member["name"], &member["epoch"]), (&json!("bob"), &json!(1)));
    assert_eq!(member["fingerprint"], bob.fingerprint().as_str());
    let link = alice.wait("link", |it| it["path"] == "direct");
    has_fields(&link, &["name", "path", "room", "rtt_ms"]);
    bob.wait("link", |it| it["path"] == "direct" && it["name"] == "alice");

    // With two members, each of them is told who has answered, and the newcomer only how many.
    let mut carol = world.json("carol", &["join", "lobby"]);
    let first = alice.approve("carol");
    bob.wait("consent", |it| it["by"] == "alice" && it["name"] == "carol" && it["knock"] == first["knock"]);
    let counted = carol.wait("knocking", |it| it["yes"] == 1);
    assert_eq!(counted["of"], 2);
    assert!(!carol.process.stdout.text().contains("alice"), "{}", carol.story());
    bob.approve("carol");
    let joined = carol.next("joined");
    assert_eq!((joined["members"].as_array().unwrap().len(), &joined["epoch"]), (3, &json!(2)));
    for (name, peer) in [("bob", &mut alice), ("alice", &mut bob)] {
        peer.wait("member_joined", |it| it["name"] == "carol");
        peer.wait("link", |it| it["name"] == "carol" && it["path"] == "direct");
        carol.wait("link", |it| it["name"] != name && it["path"] == "direct");
    }

    let said = bob.say("lobby", "hello \u{1b}[31m\u{202e}all\n\"two\" 🙂");
    has_fields(&said, &["depth", "epoch", "fingerprint", "from", "id", "mine", "room", "sent_at", "seq", "text"]);
    assert_eq!((&said["from"], &said["seq"]), (&json!("bob"), &json!(1)));
    assert!(is_hex(&said["id"]) && said["sent_at"].as_str().is_some_and(|at| at.len() == 24 && at.ends_with('Z')));
    for other in [&mut alice, &mut carol] {
        let mut heard = other.hears("bob", "hello \u{1b}[31m\u{202e}all\n\"two\" 🙂");
        heard["mine"] = json!(true);
        assert_eq!(heard, said, "everybody has the same message");
        let raw = other.process.stdout.bytes();
        assert!(
            !raw.contains(&0x1b) && !String::from_utf8(raw).unwrap().contains('\u{202e}'),
            "raw output is harmless"
        );
    }
    let delivered = bob.wait("delivered", |it| it["to"] == 2);
    has_fields(&delivered, &["id", "of", "room", "to"]);
    assert_eq!((&delivered["id"], &delivered["of"]), (&said["id"], &json!(2)));

    carol.send(json!({"do": "members", "room": "lobby"}));
    let members = carol.next("members");
    has_fields(&members, &["epoch", "members", "room", "size"]);
    assert_eq!((&members["size"], &members["epoch"]), (&json!(5), &json!(2)));
    assert_eq!(members["members"][2]["me"], true);

    alice.send(json!({"do": "list"}));
    let rooms = alice.next("rooms");
    let lobby = json!({"room": "lobby", "members": 3, "size": 5, "knocking": false});
    assert_eq!(rooms, json!({"type": "rooms", "rooms": [lobby], "people": []}), "nobody chose to be listed");

    carol.send(json!({"do": "leave", "room": "lobby"}));
    assert_eq!(carol.next("left"), json!({"type": "left", "room": "lobby", "why": "asked"}));
    assert_eq!(carol.exit(), Some(0), "the room was all it was started for; {}", carol.story());
    for peer in [&mut alice, &mut bob] {
        let left = peer.next("member_left");
        has_fields(&left, &["epoch", "fingerprint", "name", "reason", "room"]);
        assert_eq!((&left["name"], &left["reason"], &left["epoch"]), (&json!("carol"), &json!("left"), &json!(3)));
    }
    bob.say("lobby", "still here");
    alice.hears("bob", "still here");
    assert_eq!(bob.quit(), Some(0));
    assert_eq!(bob.next("ended"), json!({"type": "ended", "how": "done"}));
    alice.wait("member_left", |it| it["name"] == "bob" && it["reason"] == "left");
    assert_eq!(alice.quit(), Some(0));
}

#[test]
fn one_chat_is_in_two_rooms_and_hears_each_apart() {
    let world = World::new();
    let mut alice = world.founder("alice", "one", &[]);
    alice.send(json!({"do": "create", "room": "two", "size": 2, "consent_timeout": 30, "grace": 30}));
    alice.wait("joined", |it| it["room"] == "two");
    let mut bob = world.admit("bob", "one", &mut [&mut alice]);
    bob.send(json!({"do": "join", "room": "two"}));
    let knock = alice.wait("knock", |it| it["room"] == "two");
    alice.send(json!({"do": "approve", "knock": knock["knock"]}));
    bob.wait("joined", |it| it["room"] == "two");
    alice.wait("link", |it| it["room"] == "two" && it["path"] == "direct");
    alice.say("two", "in two");
    alice.say("one", "in one");
    assert_eq!(bob.hears("alice", "in two")["room"], "two");
    assert_eq!(bob.hears("alice", "in one")["room"], "one");
    bob.send(json!({"do": "leave", "room": "two"}));
    bob.wait("left", |it| it["room"] == "two");
    alice.wait("member_left", |it| it["room"] == "two");
    alice.say("one", "still in one");
    bob.hears("alice", "still in one");
}

#[test]
fn several_newcomers_wait_in_line_and_all_come_in_at_last() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.json("bob", &["join", "lobby"]);
    alice.wait("knock", |it| it["name"] == "bob");
    let mut carol = world.json("carol", &["join", "lobby"]);
    let waiting = carol.wait("knocking", |it| it["ahead"] == 1);
    assert_eq!(waiting["expires_in_s"], Value::Null);
    // The knock was taken already by the wait above.
    let knock = alice.heard().into_iter().find(|it| it["type"] == "knock").unwrap();
    alice.send(json!({"do": "approve", "knock": knock["knock"]}));
    bob.wait("joined", |_| true);
    alice.approve("carol");
    bob.approve("carol");
    carol.wait("joined", |it| it["members"].as_array().unwrap().len() == 3);
    bob.wait("link", |it| it["name"] == "carol" && it["path"] == "direct");
    bob.say("lobby", "welcome");
    carol.hears("bob", "welcome");
}

#[test]
fn a_room_of_six_gathers_in_less_than_a_minute() {
    let world = World::new();
    let mut members = vec![world.founder("p0", "lobby", &["--consent-timeout", "40"])];
    let begun = std::time::Instant::now();
    for number in 1..6 {
        let mut inside: Vec<_> = members.iter_mut().collect();
        let next = world.admit(&format!("p{number}"), "lobby", &mut inside);
        members.push(next);
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(40), "nobody waited for the limit of prompts per minute");
    members[5].say("lobby", "all here");
    members[..5].iter_mut().for_each(|member| drop(member.hears("p5", "all here")));
}
