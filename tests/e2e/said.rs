//! What can be said besides a text, and to one member alone, by real programs.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::World;

#[test]
fn two_people_answer_react_change_and_take_back() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    alice.say("lobby", "hello Bob");
    let hello = bob.hears("alice", "hello Bob");
    assert_eq!(hello["mentions_me"], true);
    bob.send(json!({"do": "reply", "room": "lobby", "to": hello["id"], "text": "hello yourself"}));
    let reply = alice.hears("bob", "hello yourself");
    assert_eq!((&reply["reply_to"], &reply["mentions_me"]), (&hello["id"], &json!(true)));
    bob.send(json!({"do": "react", "room": "lobby", "to": hello["id"], "sign": "👍"}));
    let sign = alice.next("reaction");
    assert_eq!((&sign["to"], &sign["sign"], &sign["on"]), (&hello["id"], &json!("👍"), &json!(true)));
    alice.send(json!({"do": "edit", "room": "lobby", "of": hello["id"], "text": "good morning"}));
    assert_eq!(bob.next("edited")["text"], "good morning");
    bob.send(json!({"do": "unsay", "room": "lobby", "of": hello["id"]}));
    assert_eq!(bob.next("error")["code"], "not_yours");
    bob.send(json!({"do": "unsay", "room": "lobby", "of": reply["id"]}));
    assert_eq!(alice.next("unsaid")["of"], reply["id"]);
    bob.send(json!({"do": "topic", "room": "lobby", "text": "mornings"}));
    assert_eq!(alice.next("topic")["text"], "mornings");
    bob.send(json!({"do": "away", "room": "lobby", "why": "tea"}));
    assert_eq!(alice.next("away")["why"], "tea");

    alice.send(json!({"do": "last", "room": "lobby"}));
    let last = alice.wait("history", |it| it["why"] == "last");
    let shown: Vec<(&Value, &Value, &Value)> =
        last["messages"].as_array().unwrap().iter().map(|it| (&it["text"], &it["edited"], &it["unsaid"])).collect();
    let (yes, none) = (json!(true), Value::Null);
    assert_eq!(shown, [(&json!("good morning"), &yes, &none), (&json!(""), &none, &yes)]);
    assert_eq!(last["messages"][0]["signs"], json!([{"sign": "👍", "by": ["bob"]}]));
    alice.send(json!({"do": "search", "room": "lobby", "words": "hello"}));
    let found = alice.wait("history", |it| it["why"] == "search");
    assert_eq!((&found["messages"], &found["more"]), (&json!([]), &json!(0)), "neither wording is shown any more");
}

#[test]
fn a_private_message_is_for_two_also_when_its_reader_comes_back_later() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--grace", "600"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let mut carol = world.admit("carol", "lobby", &mut [&mut alice, &mut bob]);
    let words = bob.fingerprint();
    let private =
        |text: &str| json!({"do": "private", "room": "lobby", "to": "bob", "fingerprint": words, "text": text});
    alice.send(private("between us"));
    let said = alice.next("private");
    assert_eq!((&said["mine"], &said["delivered"]), (&json!(true), &json!(false)));
    let heard = bob.next("private");
    assert_eq!((&heard["text"], &heard["with"], &heard["id"]), (&json!("between us"), &json!("alice"), &said["id"]));
    assert_eq!(alice.next("private_delivered")["ids"], json!([said["id"]]));

    bob.process.kill();
    alice.send(private("for when you are back"));
    alice.wait("private", |it| it["text"] == "for when you are back");
    alice.process.kill();
    let mut alice = world.json("alice", &["join", "lobby"]);
    alice.next("joined");
    let mut bob = world.json("bob", &["join", "lobby"]);
    assert_eq!(bob.next("private")["text"], "for when you are back");
    alice.next("private_delivered");
    bob.send(json!({"do": "conversation", "room": "lobby", "with": "alice"}));
    let conversation = bob.next("conversation");
    let texts: Vec<&Value> = conversation["messages"].as_array().unwrap().iter().map(|it| &it["text"]).collect();
    assert_eq!(texts, [&json!("between us"), &json!("for when you are back")]);
    // What carol was told by then has nothing of it.
    alice.say("lobby", "for everybody");
    carol.hears("alice", "for everybody");
    assert!(!carol.has_heard("private", |_| true) && !carol.story().contains("between us"));
    alice.send(json!({"do": "private", "room": "lobby", "to": "bob", "fingerprint": carol.fingerprint(), "text": "x"}));
    assert_eq!(alice.next("error")["code"], "other_words");
}

#[test]
fn words_that_were_compared_stay_compared_and_an_invitation_tells_all_that_it_takes() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--grace", "600"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let words = bob.fingerprint();
    alice.send(json!({"do": "verify", "room": "lobby", "name": "bob"}));
    let shown = alice.next("verify");
    assert_eq!((&shown["fingerprint"], &shown["trust"]), (&json!(words), &json!("new")));
    alice.send(json!({"do": "verify", "room": "lobby", "name": "bob", "fingerprint": words, "same": true}));
    assert_eq!(alice.wait("verify", |it| it["trust"] == "verified")["mine"], json!(alice.fingerprint()));
    alice.process.kill();
    let mut alice = world.json("alice", &["join", "lobby"]);
    let joined = alice.next("joined");
    assert_eq!(joined["members"][1]["trust"], "verified");
    alice.send(json!({"do": "whois", "room": "lobby", "name": "bob"}));
    let whois = alice.next("whois");
    assert_eq!((&whois["admitted_by"], &whois["member"]["name"]), (&json!(["alice"]), &json!("bob")));
    bob.send(json!({"do": "ignore", "room": "lobby", "name": "alice"}));
    assert_eq!(bob.next("ignoring")["on"], true);

    alice.send(json!({"do": "invite", "room": "lobby"}));
    let invite = alice.next("invite");
    assert!(invite["command"].as_str().unwrap().starts_with("p2pchat join lobby --server "), "{invite}");
    assert!(invite["pin"].as_str().unwrap().split('-').count() == 8);
    assert!(alice.next("ticket")["ticket"].as_str().unwrap().starts_with("p2p2"));
}

#[test]
fn a_pipe_speaks_by_the_same_commands_and_exports_from_inside() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.pipe("bob", &["join", "lobby"]);
    let knock = alice.next("knock");
    alice.send(json!({"do": "approve", "knock": knock["knock"]}));
    bob.wait_stderr("everybody agreed: you are in");
    alice.say("lobby", "hello");
    bob.wait_lines(1);
    bob.write("/me waves");
    assert_eq!(alice.hears("bob", "waves")["action"], true);
    bob.write("/reply alice me too");
    assert!(alice.hears("bob", "me too")["reply_to"].is_string());
    bob.write("/msg alice just you");
    assert_eq!(alice.next("private")["text"], "just you");
    bob.wait_stderr("[to alice only] just you");
    let file = world.path("lobby.txt");
    bob.write(&format!("/export {}", file.display()));
    bob.wait_stderr("messages written to");
    let exported = std::fs::read_to_string(&file).unwrap();
    assert!(exported.contains("* waves") && exported.contains("hello") && !exported.contains("just you"), "{exported}");
    let mode = Command::new("stat").args(["-c", "%a", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&mode.stdout).trim(), "600");
    assert_eq!(bob.stdout.text(), "hello\n", "nothing else stands on standard output");
}
