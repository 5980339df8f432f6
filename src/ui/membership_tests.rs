use super::*;
use crate::core::consent::testing::history;

/// A real history: p1 founds the room, p2, p3 and p4 come in, p2 is removed.
fn real() -> File {
    let evidence = Evidence::of(&history().0);
    parse(&text(&evidence, &audit(&evidence).unwrap())).unwrap()
}

fn flaw(change: impl FnOnce(&mut File)) -> (u64, FlawKind) {
    let mut file = real();
    change(&mut file);
    let Flaw { epoch, what } = check(&file).unwrap_err();
    (epoch, what)
}

#[test]
fn no_byte_of_a_file_can_be_changed_without_notice() {
    let evidence = Evidence::of(&history().0);
    let good = audit(&evidence).unwrap();
    let text = text(&evidence, &good);
    let (mut same, mut refused) = (0, 0);
    for at in (0..text.len()).step_by(7) {
        for flip in [1, 0x20] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= flip;
            let parsed = String::from_utf8(bytes).map_err(|_| String::new()).and_then(|text| parse(&text));
            match parsed.map(|file| check(&file)) {
                // A blank is no content.
                Ok(Ok(audited)) => {
                    assert_eq!(audited, good, "byte {at}");
                    same += 1;
                }
                Ok(Err(_)) | Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 20 * same && refused > 500, "{refused} refused, {same} without a difference");
}

#[test]
fn words_that_say_something_else_than_the_signed_bytes_are_a_flaw_where_they_stand() {
    assert!(check(&real()).is_ok());
    assert_eq!(flaw(|file| file.steps[1].says.who[0].name = "mallory".into()), (2, FlawKind::Words));
    assert_eq!(flaw(|file| file.steps[2].says.signed.truncate(1)), (3, FlawKind::Words));
    assert_eq!(flaw(|file| file.steps[2].says.what = "left".into()), (3, FlawKind::Words));
    assert_eq!(flaw(|file| file.members.truncate(1)), (4, FlawKind::Words));
    assert_eq!(flaw(|file| file.room = "another".into()), (0, FlawKind::Words));
    assert_eq!(flaw(|file| file.room_id = "00".repeat(32)), (0, FlawKind::Words));
    assert_eq!(flaw(|file| file.steps[0].step = file.steps[0].step.to_uppercase()), (1, FlawKind::Words));
    assert_eq!(flaw(|file| file.steps[0].step.push('0')), (1, FlawKind::Unreadable));
    // The times are notes, and yet can't be changed on one side only.
    assert_eq!(flaw(|file| file.steps[1].note = file.steps[0].note.clone()), (2, FlawKind::Words));
    assert_eq!(flaw(|file| file.steps[0].note = file.steps[1].note.clone()), (1, FlawKind::Unreadable));
}

#[test]
fn steps_in_another_order_are_refused_at_the_first_that_does_not_follow() {
    let (epoch, what) = flaw(|file| file.steps.swap(0, 1));
    assert_eq!(epoch, 1);
    assert!(matches!(what, FlawKind::Step(_)));
    let (epoch, what) = flaw(|file| drop(file.steps.remove(1)));
    assert_eq!(epoch, 2);
    assert!(matches!(what, FlawKind::Step(_)));
}

#[test]
fn the_verdict_is_a_table_with_its_limits() {
    let audited = check(&real()).unwrap();
    let lines = verdict::lines(&audited, &jiff::tz::TimeZone::UTC);
    let [head, _, _, _, _, removal, verdict, limits] = &lines[..] else { panic!("{lines:#?}") };
    assert!(head.starts_with("EPOCH  TIME              WHAT        WHO "), "{head}");
    assert!(head.ends_with("  SIGNED BY"), "{head}");
    assert!(
        removal.starts_with("4      2026-11-21 02:00  removed     p2@") && removal.ends_with("  p1, p3, p4"),
        "{removal}"
    );
    assert!(verdict.starts_with(&format!("verified: 4 steps, room id {}, now: p1 ", audited.room)), "{verdict}");
    assert!(limits.contains("not proved: the times"));
    let value = serde_json::to_value(verdict::verified(&audited)).unwrap();
    assert_eq!(value["type"], "verified");
    assert_eq!((value["steps"].as_u64(), value["members"][1]["name"].as_str()), (Some(4), Some("p3")));
}

#[test]
fn every_flaw_is_told_with_its_epoch() {
    for what in [FlawKind::Unreadable, FlawKind::Genesis, FlawKind::Beginning, FlawKind::Words] {
        let said = verdict::flaw(Flaw { epoch: 7, what });
        assert!(said.message.starts_with("not verified: at epoch 7, "), "{}", said.message);
    }
}
