//! What members decide together: removals, founding anew, rules that answer knocks, and looking back.

use serde_json::{Value, json};

use crate::harness::{Peer, World, run};

/// A room "lobby" of these, everybody let in by everybody.
fn room_of(world: &World, names: &[&str]) -> Vec<Peer> {
    let mut members = vec![world.founder(names[0], "lobby", &[])];
    for name in &names[1..] {
        let mut inside: Vec<_> = members.iter_mut().collect();
        let next = world.admit(name, "lobby", &mut inside);
        members.push(next);
    }
    members
}

fn ask(peer: &mut Peer, what: &str, names: &[&str]) {
    peer.send(json!({"do": what, "room": "lobby", "names": names}));
}

#[test]
fn all_others_together_remove_a_member_who_ends_with_a_message() {
    let world = World::new();
    let mut members = room_of(&world, &["alice", "bob", "carol", "mallory"]);
    let [alice, bob, carol, mallory] = &mut members[..] else { unreachable!() };
    ask(alice, "remove", &["mallory"]);
    for peer in [&mut *bob, &mut *carol] {
        let removal = peer.next("removal");
        assert_eq!((&removal["names"], &removal["yes"]), (&json!(["mallory"]), &json!(["alice"])), "who proposed it");
    }
    // One who keeps somebody is enough, and that is no last word.
    ask(bob, "keep", &["mallory"]);
    alice.wait("removal_answer", |it| it["by"] == "bob" && it["decision"] == "no");
    alice.wait("removal_over", |it| it["reason"] == "denied");
    ask(alice, "remove", &["mallory"]);
    bob.next("removal");
    ask(bob, "remove", &["mallory"]);
    carol.wait("removal_answer", |it| it["by"] == "bob" && it["decision"] == "yes");
    carol.send(json!({"do": "pending", "room": "lobby"}));
    let pending = carol.next("pending");
    let [open] = &pending["open"].as_array().unwrap()[..] else { panic!("{pending}") };
    assert_eq!((&open["what"], &open["names"]), (&json!("remove"), &json!(["mallory"])));
    assert_eq!(open["waiting"], json!([{"name": "carol", "reached": true}]));
    ask(carol, "remove", &["mallory"]);

    assert_eq!(mallory.next("left")["why"], "removed");
    assert_eq!(mallory.exit(), Some(1), "{}", mallory.story());
    assert!(!mallory.has_heard("removal", |_| true), "nobody asks whom it is about");
    for peer in [&mut *alice, &mut *bob, &mut *carol] {
        peer.wait("member_left", |it| it["name"] == "mallory" && it["reason"] == "removed");
    }
    alice.say("lobby", "between us");
    carol.hears("alice", "between us");
    bob.send(json!({"do": "membership", "room": "lobby"}));
    let membership = bob.next("membership");
    let last = membership["records"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["what"], &last["who"][0]["name"]), (&json!("removed"), &json!("mallory")));
    let signed: Vec<_> = last["signed"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(signed, ["alice", "bob", "carol"]);
}

#[test]
fn a_room_that_somebody_blocks_is_founded_anew_and_every_face_goes_along() {
    let world = World::new();
    let mut members = room_of(&world, &["alice", "bob", "mallory"]);
    let mut carol = world.pipe("carol", &["join", "lobby"]);
    for member in &mut members {
        member.approve("carol");
    }
    carol.wait_stderr("you are in lobby");
    for member in &mut members {
        member.wait("link", |it| it["name"] == "carol" && it["path"] == "direct");
    }
    let [alice, bob, mallory] = &mut members[..] else { unreachable!() };
    alice.send(json!({"do": "reform", "room": "lobby", "new": "annex", "without": ["mallory"]}));
    let asked = bob.wait("reform", |it| it["state"] == "asked");
    assert_eq!(
        (&asked["new"], &asked["by"], &asked["without"]),
        (&json!("annex"), &json!("alice"), &json!(["mallory"]))
    );
    carol.wait_stderr("alice wants to found lobby anew as annex, without mallory");
    carol.write("/reform annex");
    alice.wait("reform", |it| it["state"] == "waiting" && it["waiting"] == json!(["bob"]));
    bob.send(json!({"do": "reform", "room": "lobby", "new": "annex"}));
    assert_eq!(alice.wait("joined", |it| it["room"] == "annex")["how"], "founded");
    assert_eq!(bob.wait("joined", |it| it["room"] == "annex")["how"], "admitted");
    for peer in [&mut *alice, &mut *bob] {
        peer.wait("left", |it| it["room"] == "lobby" && it["why"] == "reformed");
    }
    carol.wait_stderr("you are in annex");
    // What is typed now goes to the new room.
    carol.write("here we are");
    for peer in [&mut *alice, &mut *bob] {
        assert_eq!(peer.hears("carol", "here we are")["room"], "annex");
    }
    assert!(!mallory.has_heard("message", |_| true) && !mallory.has_heard("reform", |_| true));
    // The new room is what the program is for: leaving it ends it, and well.
    bob.send(json!({"do": "leave", "room": "annex"}));
    assert_eq!(bob.exit(), Some(0), "{}", bob.story());
    carol.write("/quit");
    assert_eq!(carol.end().code(), Some(0));
    assert_eq!(alice.quit(), Some(0));
}

#[test]
fn whom_everybody_remembers_comes_back_without_anybody_being_asked() {
    let world = World::new();
    let mut members = room_of(&world, &["alice", "bob"]);
    let [alice, bob] = &mut members[..] else { unreachable!() };
    let mut dana = world.json("dana", &["join", "lobby"]);
    let knock = alice.next("knock");
    let always = |knock: &Value| json!({"do": "remember", "room": "lobby", "name": "dana", "rule": "always", "fingerprint": knock["fingerprint"]});
    alice.send(always(&knock));
    assert_eq!(alice.next("answered_by_rule")["rule"], "always");
    // Whoever follows alice need not be asked about dana at all.
    bob.send(json!({"do": "remember", "room": "lobby", "name": "alice", "rule": "follow"}));
    let answered = bob.next("answered_by_rule");
    assert_eq!((&answered["by"], &answered["rule"]), (&json!("alice"), &json!("follow")));
    dana.wait("joined", |it| it["how"] == "admitted");
    assert_eq!(dana.quit(), Some(0));
    bob.wait("member_left", |it| it["name"] == "dana");
    let mut dana = world.json("dana", &["join", "lobby"]);
    dana.wait("joined", |it| it["how"] == "admitted");
    let asked = alice.heard().iter().filter(|it| it["type"] == "knock" && it["name"] == "dana").count();
    assert_eq!(asked, 1);
}

#[test]
fn a_membership_history_is_checked_from_the_file_alone_and_a_changed_one_is_refused() {
    let world = World::new();
    let mut members = room_of(&world, &["alice", "bob", "mallory"]);
    for peer in &mut members[..2] {
        ask(peer, "remove", &["mallory"]);
    }
    members[2].next("left");
    members[1].wait("member_left", |it| it["name"] == "mallory");
    // Beside the chat that is running on the same folder.
    let file = world.path("members.json");
    let file = file.to_str().unwrap();
    let (code, stdout, stderr) = run(&mut world.command("bob", &["export", "lobby", "--members", "--output", file]));
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    let (code, _, stderr) = run(&mut world.command("bob", &["export", "lobby", "--members", "--output", file]));
    assert_eq!(code, Some(1), "nothing is overwritten");
    assert!(stderr.contains("name another file"), "{stderr}");

    // Whoever was removed has lost the room, not the proof of how it came to its members; their own removal is not in it.
    assert_eq!(members[2].exit(), Some(1));
    let (code, stdout, stderr) = run(&mut world.command("mallory", &["export", "lobby", "--members"]));
    assert_eq!(code, Some(0), "{stderr}");
    let theirs: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&theirs["begin"]["epoch"], theirs["members"].as_array().unwrap().len()), (&json!(1), 3));

    // Somebody else's machine, where nothing of the room is known.
    let verify =
        |file: &str, how: &[&str]| run(world.command_in("auditor", "auditor", &["verify-log", file]).args(how));
    let (code, stdout, stderr) = verify(file, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    let lines: Vec<_> = stdout.lines().collect();
    assert!(lines[1].starts_with("0 ") && lines[1].ends_with("  alice"), "{stdout}");
    assert!(lines[4].contains("removed") && lines[4].ends_with("  alice, bob"), "{stdout}");
    let now = format!("now: alice {}, bob {}", members[0].fingerprint(), members[1].fingerprint());
    assert!(lines[5].starts_with("verified: 3 steps, room id ") && lines[5].ends_with(&now), "{stdout}");

    let good: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let refused_at = |change: &dyn Fn(&mut Value), epoch: u64| {
        let mut bad = good.clone();
        change(&mut bad);
        std::fs::write(world.path("bad.json"), bad.to_string()).unwrap();
        let (code, stdout, _) = verify(world.path("bad.json").to_str().unwrap(), &["--json"]);
        let told: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((code, &told["type"], &told["epoch"]), (Some(1), &json!("flaw"), &json!(epoch)), "{stdout}");
    };
    // The last 64 bytes of a step are its last signature.
    let cut = |it: &mut Value| {
        let step = it["steps"][1]["step"].as_str().unwrap().to_owned();
        // One signature in sixteen ends so by itself: its last number is below 2^252.
        let other = if step.ends_with("00") { "01" } else { "00" };
        it["steps"][1]["step"] = json!(step[..step.len() - 2].to_owned() + other);
    };
    refused_at(&cut, 2);
    refused_at(&|it| it["steps"].as_array_mut().unwrap().swap(0, 2), 1);
    refused_at(&|it| it["steps"][2]["says"]["who"][0]["name"] = json!("bob"), 3);
    refused_at(&|it| drop(it["steps"].as_array_mut().unwrap().remove(1)), 2);
    let (code, _, stderr) = verify(world.path("server.toml").to_str().unwrap(), &[]);
    assert_eq!(code, Some(2), "{stderr}");
}
