//! Who gets in at the server, under which name, and the rooms they make.

use super::rig::*;
use crate::core::rendezvous::{Change, Config, Input, Kept, KeptName, Output};
use crate::identity::Verified;
use crate::limits::{ROOM_SIZE_MIN, ROOMS_PER_CREATOR_MAX};
use crate::wire::{Deletion, FromServer, RefusalCode, RoomLine, ToServer};

#[test]
fn a_client_that_proves_its_key_is_welcome_and_its_name_is_kept() {
    let mut rig = Rig::new();
    assert_eq!(rig.log_in(1), [(1, FromServer::Welcome(observed(1)))]);
    let holder = KeptName { key: key(1), name: "p1".parse().unwrap() };
    assert_eq!(rig.kept, [Change::NameTaken { skeleton: holder.name.skeleton(), holder }]);
    rig.hang_up(1);
    rig.log_in(1);
    assert_eq!(rig.kept, [], "what is kept already is not kept again");
}

#[test]
fn whoever_speaks_before_a_hello_or_with_another_connections_proof_is_closed() {
    let mut rig = Rig::new();
    let session = rig.connect(1);
    assert_eq!(refusals(&rig.say(1, ToServer::List(()))), [(1, RefusalCode::Invalid)]);
    assert_eq!(rig.closed, [(session.0, RefusalCode::Invalid)]);
    assert_eq!(rig.say(1, hello(1, "p1")), [], "a closed connection is not heard any more");

    rig.connect(1);
    assert_eq!(refusals(&rig.say(1, hello_with(1, "p1", [9; 32], None))), [(1, RefusalCode::Invalid)]);
    let ToServer::Hello((honest, _)) = hello(1, "p1") else { unreachable!() };
    let mut stolen = honest.unverified().clone();
    stolen.key = key(2);
    let stolen = crate::identity::Signed::from_parts(stolen, honest.signature());
    rig.connect(2);
    assert_eq!(refusals(&rig.say(2, ToServer::Hello((stolen, None)))), [(2, RefusalCode::Invalid)]);
    assert_eq!(rig.closed.len(), 1);
}

#[test]
fn a_password_is_asked_for_where_one_is_set() {
    let config = || Config { password: Some("sesame".into()), ..Config::default() };
    assert!(!format!("{:?}", config()).contains("sesame"));
    let mut rig = Rig::with(config(), Kept::default());
    for wrong in [None, Some(""), Some("sesam"), Some("sesame ")] {
        rig.connect(1);
        assert_eq!(refusals(&rig.say(1, hello_with(1, "p1", [1; 32], wrong))), [(1, RefusalCode::Password)]);
        assert_eq!(rig.closed.len(), 1);
        assert_eq!(rig.kept, [], "a name is not taken without the password");
    }
    rig.connect(1);
    assert_eq!(rig.say(1, hello_with(1, "p1", [1; 32], Some("sesame"))), [(1, FromServer::Welcome(observed(1)))]);
}

#[test]
fn a_name_and_its_look_alikes_belong_to_the_first_key() {
    let mut rig = Rig::new();
    rig.connect(1);
    rig.say(1, hello(1, "modern"));
    for alike in ["modern", "Modern", "rnodern"] {
        rig.connect(2);
        assert_eq!(refusals(&rig.say(2, hello(2, alike))), [(2, RefusalCode::NameTaken)], "{alike}");
        assert_eq!(rig.closed.len(), 1);
    }
    rig.hang_up(1);
    rig.connect(2);
    assert_eq!(refusals(&rig.say(2, hello(2, "modern"))), [(2, RefusalCode::NameTaken)], "away is not gone");
    rig.connect(1);
    rig.say(1, hello(1, "other"));
    rig.connect(2);
    assert_eq!(rig.say(2, hello(2, "modern")), [(2, FromServer::Welcome(observed(2)))], "one name per key");
}

#[test]
fn a_newer_connection_of_a_key_takes_over() {
    let (mut rig, roster) = Rig::room_of(2);
    let older = rig.sessions[&2];
    rig.connect(2);
    let told = rig.say(2, hello(2, "p2"));
    assert_eq!(rig.closed, [(older.0, RefusalCode::TooMany)]);
    assert!(told.contains(&(1, presence(roster.room, 2, false))));
    assert_eq!(told.last(), Some(&(2, FromServer::Welcome(observed(2)))));
    assert_eq!(rig.input(Input::Disconnected { session: older }), [], "the old one's end is no news");
    let told = rig.say(2, attach(roster.room, roster.hash()));
    assert_eq!(told[0], (2, roster_is(&roster)));
}

#[test]
fn a_room_is_created_once_under_ones_own_key_name_and_within_bounds() {
    let mut rig = Rig::new();
    rig.log_in(1);
    rig.log_in(2);
    let told = rig.say(1, ToServer::Create(genesis(1, "lobby").into_signed()));
    assert!(matches!(&told[..], [(1, FromServer::Shown(shown))] if (shown.members, shown.online) == (1, 1)));
    assert!(matches!(&rig.kept[..], [Change::RoomKept(_)]));
    for taken in ["lobby", "Lobby"] {
        let told = rig.say(2, ToServer::Create(genesis(2, taken).into_signed()));
        assert_eq!(refusals(&told), [(2, RefusalCode::RoomExists)]);
    }
    let told = rig.say(2, ToServer::Create(genesis(1, "cellar").into_signed()));
    assert_eq!(refusals(&told), [(2, RefusalCode::Invalid)], "a genesis of somebody else's");
    let mut tiny = (*genesis(2, "cellar")).clone();
    tiny.size = ROOM_SIZE_MIN - 1;
    let told = rig.say(2, ToServer::Create(Verified::sign(tiny, &identity(2)).into_signed()));
    assert_eq!(refusals(&told), [(2, RefusalCode::Invalid)]);
}

#[test]
fn rooms_per_creator_and_per_server_are_bounded() {
    let mut rig = Rig::with(Config { max_rooms: ROOMS_PER_CREATOR_MAX + 1, ..Config::default() }, Kept::default());
    rig.log_in(1);
    for number in 0..ROOMS_PER_CREATOR_MAX {
        // A client holds fewer rooms at a time than it may have created.
        rig.hang_up(1);
        rig.log_in(1);
        let told = rig.say(1, ToServer::Create(genesis(1, &format!("room{number}")).into_signed()));
        assert!(matches!(told[0].1, FromServer::Shown(_)), "{told:?}");
    }
    let one_more = rig.say(1, ToServer::Create(genesis(1, "more").into_signed()));
    assert_eq!(refusals(&one_more), [(1, RefusalCode::TooMany)]);
    rig.log_in(2);
    rig.say(2, ToServer::Create(genesis(2, "last").into_signed()));
    let full = rig.say(2, ToServer::Create(genesis(2, "surplus").into_signed()));
    assert_eq!(refusals(&full), [(2, RefusalCode::TooMany)]);
}

#[test]
fn the_list_shows_rooms_and_only_people_who_chose_it() {
    let (mut rig, _) = Rig::room_of(3);
    let told = rig.say(1, ToServer::List(()));
    let line = RoomLine { name: "lobby".parse().unwrap(), members: 3, size: 8, knocking: false };
    let people = vec!["p2".parse().unwrap()];
    let expected = FromServer::Rooms((vec![line].try_into().unwrap(), people.try_into().unwrap()));
    assert_eq!(told, [(1, expected)]);
}

#[test]
fn only_the_creator_deletes_a_room_and_every_member_is_told() {
    let (mut rig, roster) = Rig::room_of(3);
    let deletion = |by| Verified::sign(Deletion { room: roster.room, by: key(by) }, &identity(by)).into_signed();
    let told = rig.say(2, ToServer::Delete(deletion(2)));
    assert_eq!(refusals(&told), [(2, RefusalCode::NotCreator)]);
    let forged =
        crate::identity::Signed::from_parts(Deletion { room: roster.room, by: key(1) }, deletion(2).signature());
    let told = rig.say(2, ToServer::Delete(forged));
    assert_eq!(refusals(&told), [(2, RefusalCode::Invalid)], "the creator has not signed that");
    let told = rig.say(1, ToServer::Delete(deletion(1)));
    let expected: Vec<_> =
        [vec![1], by_key(vec![2, 3])].concat().into_iter().map(|who| (who, FromServer::Deleted(deletion(1)))).collect();
    assert_eq!(told, expected);
    assert_eq!(rig.kept, [Change::RoomGone(roster.room)]);
    let told = rig.say(1, ToServer::LookUp("lobby".parse().unwrap()));
    assert_eq!(refusals(&told), [(1, RefusalCode::NoSuchRoom)]);
}

#[test]
fn an_empty_room_is_forgotten_after_its_time_and_after_a_restart_too() {
    let (mut rig, roster) = Rig::room_of(2);
    rig.hang_up(1);
    rig.pass(700_000);
    assert_eq!(rig.kept, [], "a room with a member stays");
    rig.hang_up(2);
    rig.pass(119_999);
    assert!(rig.kept.is_empty());
    rig.pass(1);
    assert_eq!(rig.kept, [Change::RoomGone(roster.room)]);
    assert_eq!(rig.server.next_wake(), None);

    let (rig, roster) = Rig::room_of(1);
    let changes = rig.log.iter().filter_map(|output| match output {
        Output::Persist(Change::RoomKept(room)) => Some((room.roster.room, room.clone())),
        _ => None,
    });
    let mut restarted = Rig::with(Config::default(), Kept { rooms: changes.collect(), ..Kept::default() });
    assert_eq!(restarted.server.next_wake(), Some(0));
    restarted.pass(120_000);
    assert_eq!(restarted.kept, [Change::RoomGone(roster.room)]);
}

#[test]
fn a_visitor_may_list_look_up_and_delete_by_signature_and_nothing_else() {
    let (mut rig, roster) = Rig::room_of(2);
    rig.connect(9);
    assert_eq!(rig.say(9, ToServer::Visit(None)), [(9, FromServer::Welcome(observed(9)))]);
    assert_eq!(rig.kept, [], "a visitor takes no name");
    assert!(matches!(&rig.say(9, ToServer::List(()))[..], [(9, FromServer::Rooms(_))]));
    assert!(matches!(&rig.say(9, ToServer::LookUp("lobby".parse().unwrap()))[..], [(9, FromServer::Shown(_))]));
    for other in [attach(roster.room, roster.hash()), ToServer::Knock(knock(&roster, 9).into_signed())] {
        assert_eq!(refusals(&rig.say(9, other)), [(9, RefusalCode::Invalid)]);
    }
    let deletion = |by| Verified::sign(Deletion { room: roster.room, by: key(by) }, &identity(by)).into_signed();
    assert_eq!(refusals(&rig.say(9, ToServer::Delete(deletion(9)))), [(9, RefusalCode::NotCreator)]);
    let told = rig.say(9, ToServer::Delete(deletion(1)));
    for who in [1, 2, 9] {
        assert!(told.contains(&(who, FromServer::Deleted(deletion(1)))), "{who}");
    }
}

#[test]
fn a_visitor_needs_the_password_too() {
    let config = Config { password: Some("sesame".into()), ..Config::default() };
    let mut rig = Rig::with(config, Kept::default());
    rig.connect(1);
    assert_eq!(refusals(&rig.say(1, ToServer::Visit(None))), [(1, RefusalCode::Password)]);
    assert_eq!(rig.closed.len(), 1);
}

#[test]
fn members_and_visitors_hear_of_the_second_port_and_the_clock() {
    let config = Config { second_port: Some(4434), ..Config::default() };
    let mut rig = Rig::with(config, Kept::default());
    rig.log_in(1);
    rig.connect(2);
    rig.say(2, ToServer::Visit(None));
    for who in [1, 2] {
        let told = rig.say(who, ToServer::Survey(()));
        assert!(matches!(told[..], [(to, FromServer::Surveyed((Some(4434), _)))] if to == who), "{told:?}");
    }
}
