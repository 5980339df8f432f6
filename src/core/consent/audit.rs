//! Checking a room's membership from nothing but bytes, as somebody does who was never there.
//!
//! What holds afterwards: the creator signed the room, each step follows from the roster before it by hash, and every member
//! who stayed has signed it. What no bytes can prove: who let the members of the first roster in, if that isn't the
//! creator's own; when anything happened; and that nothing followed.

use super::chain::Chain;
use super::past::records;
use super::roster::{first_roster, room_id, settings_are_sound};
use crate::core::event::{Misdeed, Record};
use crate::core::io::{KeptRoom, StepNote};
use crate::identity::{Name, PeerId, RoomName, Scheme, Signed, Verified};
use crate::wire::{Genesis, RoomId, Roster, Step, decode, encode};

/// A membership history as bytes, each in its one encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The signed genesis.
    pub genesis: Vec<u8>,
    /// The first roster that its client knew.
    pub base: Vec<u8>,
    /// Each step, and what its client noted about it.
    pub steps: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A membership history that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Which room.
    pub room: RoomId,
    /// What it is called.
    pub name: RoomName,
    /// Each roster, oldest first.
    pub records: Vec<Record>,
    /// Who is in at the end, the most senior first.
    pub members: Vec<(Name, PeerId)>,
}

/// Where a membership history breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    /// The number of the roster that doesn't hold.
    pub epoch: u64,
    /// What is wrong with it.
    pub what: FlawKind,
}

/// What is wrong with a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlawKind {
    /// The bytes are no genesis, roster, step or note, or not in their one encoding.
    Unreadable,
    /// The creator did not sign this genesis, or it breaks the bounds of a room.
    Genesis,
    /// The first roster is not the creator alone, or not of this room, or later than the first and signed by nobody.
    Beginning,
    /// The step does not hold.
    Step(Misdeed),
    /// What the file says in words is not what was signed.
    Words,
}

impl Evidence {
    /// What a client holds of a room.
    pub fn of(kept: &KeptRoom) -> Self {
        let steps = kept.steps.iter().map(|(step, note)| (encode(step), encode(note)));
        Evidence { genesis: encode(&kept.genesis), base: encode(&kept.base), steps: steps.collect() }
    }

    /// Checks it all.
    ///
    /// # Errors
    /// The first [`Flaw`].
    pub fn audit(&self, scheme: &dyn Scheme) -> Result<Audited, Flaw> {
        let at = |epoch| move |what| Flaw { epoch, what };
        let unreadable = |epoch| Flaw { epoch, what: FlawKind::Unreadable };
        let genesis: Signed<Genesis> = decode(&self.genesis).map_err(|_| unreadable(0))?;
        let genesis = genesis.verify(scheme).map_err(|_| at(0)(FlawKind::Genesis))?;
        if !settings_are_sound(genesis.size, &genesis.settings) {
            return Err(at(0)(FlawKind::Genesis));
        }
        let base: Roster = decode(&self.base).map_err(|_| unreadable(0))?;
        let mut epoch = base.epoch;
        if !self.begins_well(&genesis, &base) {
            return Err(at(epoch)(FlawKind::Beginning));
        }
        let name = genesis.name.clone();
        let mut chain = Chain::reopen(genesis, base, [], scheme).map_err(|_| at(epoch)(FlawKind::Beginning))?;
        let mut notes = Vec::with_capacity(self.steps.len());
        for (step, note) in &self.steps {
            // A base of the highest number is refused by its step.
            epoch = epoch.saturating_add(1);
            let step: Step = decode(step).map_err(|_| unreadable(epoch))?;
            let note: StepNote = decode(note).map_err(|_| unreadable(epoch))?;
            chain.adopt(&step, scheme).map_err(|misdeed| at(epoch)(FlawKind::Step(misdeed)))?;
            // What nobody would be shown could be anything.
            if note.heard_ms.len() > step.signatures.len() {
                return Err(unreadable(epoch));
            }
            notes.push(note);
        }
        let members = chain.current().members.iter().map(|member| (member.name.clone(), member.key)).collect();
        Ok(Audited { room: chain.room(), name, records: records(&chain, &notes), members })
    }

    /// The first roster is either the creator's own, or one that its members vouch for by signing the step after it.
    fn begins_well(&self, genesis: &Verified<Genesis>, base: &Roster) -> bool {
        match base.epoch {
            0 => *base == first_roster(genesis),
            _ => base.room == room_id(genesis) && !base.members.is_empty() && !self.steps.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consent::testing::*;
    use crate::identity::{Ed25519, Signer as _};

    fn audit(kept: &KeptRoom) -> Result<Audited, Flaw> {
        Evidence::of(kept).audit(&Ed25519)
    }

    fn step_flaw(epoch: u64, misdeed: Misdeed) -> Result<Audited, Flaw> {
        Err(Flaw { epoch, what: FlawKind::Step(misdeed) })
    }

    #[test]
    fn a_whole_history_holds_and_says_who_is_in() {
        let (kept, people) = history();
        let audited = audit(&kept).unwrap();
        assert_eq!(audited.records.len(), 5);
        let members: Vec<_> = audited.members.iter().map(|(_, key)| *key).collect();
        assert_eq!(members, [people[0].id(), people[2].id(), people[3].id()]);
        assert_eq!(audited.records[4].signed.len(), 3);
    }

    #[test]
    fn what_was_changed_is_refused_at_the_epoch_where_it_was_changed() {
        let (good, people) = history();
        // A signature is missing.
        let mut kept = good.clone();
        let signatures = kept.steps[2].0.signatures.to_vec();
        kept.steps[2].0.signatures = signatures[..2].to_vec().try_into().unwrap();
        assert_eq!(audit(&kept), step_flaw(3, Misdeed::MissingConsent));
        // One of the signatures is somebody else's.
        let mut kept = good.clone();
        kept.steps[2].0.signatures = vec![signatures[0], signatures[0], signatures[2]].try_into().unwrap();
        assert_eq!(audit(&kept), step_flaw(3, Misdeed::MissingConsent));
        // Two steps in another order, and one left out.
        let mut kept = good.clone();
        kept.steps.swap(1, 2);
        assert_eq!(audit(&kept), step_flaw(2, Misdeed::WrongRoster));
        let mut kept = good.clone();
        kept.steps.remove(1);
        assert_eq!(audit(&kept), step_flaw(2, Misdeed::WrongRoster));
        // Somebody whom only one of three let in.
        let mut kept = good.clone();
        let chain = Chain::reopen(
            kept.genesis.clone().verify(&Ed25519).unwrap(),
            kept.base.clone(),
            kept.steps.iter().map(|(step, _)| step.clone()),
            &Ed25519,
        );
        let knock = knock_at(chain.unwrap().current(), &person(9), "mallory");
        kept.steps.push((step_signed_by(&knock, &people[..1]), StepNote::default()));
        assert_eq!(audit(&kept), step_flaw(5, Misdeed::MissingConsent));
    }

    #[test]
    fn nobody_can_begin_with_members_that_nobody_signed_for() {
        let (good, _) = history();
        let forged = |change: fn(&mut KeptRoom)| {
            let mut kept = good.clone();
            change(&mut kept);
            audit(&kept).map(|_| ()).map_err(|flaw| flaw.what)
        };
        // A first roster with others than the creator in it.
        let beginning = Err(FlawKind::Beginning);
        assert_eq!(forged(|kept| kept.base.members = room_of(3).2.members), beginning);
        // A later roster that no step vouches for.
        let late = |kept: &mut KeptRoom| {
            (kept.base, kept.steps) = (Roster { epoch: 7, ..kept.base.clone() }, vec![]);
        };
        assert_eq!(forged(late), beginning);
        // A genesis of somebody else.
        let (kept, _) = history();
        let mut genesis = kept.genesis.unverified().clone();
        genesis.size = 9;
        let genesis = Signed::from_parts(genesis, kept.genesis.signature());
        assert_eq!(audit(&KeptRoom { genesis, ..kept }).map_err(|flaw| flaw.what), Err(FlawKind::Genesis));
    }
}
