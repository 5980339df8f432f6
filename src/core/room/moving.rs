//! From one roster to the next: adopting what is complete, answering what was left behind, seeing who went without us
//! (DESIGN.md §4 rules 3, 5 and 6).

use super::{Ctx, Room};
use crate::core::consent::departures::Departed;
use crate::core::consent::roster::is_member;
use crate::core::consent::seat::{Adopted, Heard};
use crate::core::event::{Departure, Event, Misdeed, Refusal};
use crate::core::io::Change;
use crate::identity::PeerId;
use crate::limits::STEPS_TOLD_APART_MAX;
use crate::wire::{Decision, PeerMessage, Proposal, ProposalHash, RosterHash, Step, ToServer};

/// Milliseconds that a server has to follow a step of ours before it is asked where it is.
const SERVER_FOLLOWS_MS: u64 = 3_000;

/// Milliseconds until a server is told again how we parted with the half that it is with.
const MEET_AGAIN_MS: u64 = 10_000;

impl Room {
    /// Moves on as far as can be, then asks the user what is left to ask.
    pub fn settle(&mut self, ctx: &mut Ctx<'_>) {
        while let Some(step) = self.seat.adoptable() {
            if self.adopt(ctx, &step).is_err() {
                break;
            }
        }
        self.note_departures(ctx);
        self.reform_due(ctx);
        self.order_knocks(ctx);
        self.prompt(ctx);
    }

    /// A step as somebody else tells it, over a roster of ours.
    pub fn on_step(&mut self, ctx: &mut Ctx<'_>, step: Step, from: Option<PeerId>) {
        // Whoever was let in again where the server is has met the others since: going away would only lead back here.
        if ctx.server_up && !self.apart.elsewhere && self.seat.is_of_earlier_stay(&step) {
            return;
        }
        let heard = self.seat.hear_step(&step, ctx.scheme);
        if matches!(heard, Ok(Heard::Nothing | Heard::Departed(_))) {
            // An answer to it may have come before anything of it was known here.
            self.replay_orphans(ctx, Some(step.proposal.hash()));
            self.tell_of_liars(ctx);
        }
        let is_news = heard.is_ok() && self.note_own_step(ctx, &step, from);
        match heard {
            Err(misdeed) => self.blame(ctx, from, misdeed),
            Ok(Heard::Nothing) if is_news => self.went_without_me(ctx, step),
            Ok(Heard::Nothing) => {}
            Ok(Heard::Adopt) => {
                if self.adopt(ctx, &step).is_ok() {
                    self.settle(ctx);
                }
            }
            Ok(Heard::Departed(gone)) => {
                self.words_stand(ctx);
                if gone.iter().any(|key| self.has_left(key)) {
                    self.went_without_me(ctx, step);
                }
            }
            Ok(Heard::Split { theirs_hosts }) => self.met_other_half(ctx, &step, theirs_hosts),
        }
    }

    /// Whoever tells over their own link of a step that keeps them has taken it: that is as good as a head. Whether it is news.
    fn note_own_step(&mut self, ctx: &Ctx<'_>, step: &Step, from: Option<PeerId>) -> bool {
        let was_here = from.is_some_and(|by| !self.has_left(&by));
        let at = from.and_then(|by| Some((by, self.seat.hear_own_step(&by, step, ctx.scheme)?)));
        if let Some((by, at)) = at {
            let counter = self.heads.get(&by).map_or(0, |(counter, _)| *counter);
            self.heads.insert(by, (counter, at));
        }
        was_here && at.is_some()
    }

    /// Makes the step's roster our own.
    fn adopt(&mut self, ctx: &mut Ctx<'_>, step: &Step) -> Result<(), Misdeed> {
        let adopted = self.seat.adopt(step, ctx.scheme)?;
        self.liars_told.clear();
        self.words_stand(ctx);
        let left = adopted.before.hash();
        // What was left unsigned over the old roster gets its signed no before we turn our back on it.
        for hash in &adopted.unanswered {
            self.answer_late(ctx, left, *hash);
        }
        let has_left = |key: &&PeerId| adopted.departed.get(*key) == Some(&Departed::Left);
        let left = adopted.departed.keys().filter(has_left).copied().collect();
        let note = self.step_note(ctx, &adopted.before, step, left);
        self.step_notes.push(note.clone());
        ctx.persist(Change::Moved { room: self.id(), epoch: adopted.after.epoch, step: step.clone(), note });
        self.heard.clear();
        self.refusals.clear();
        // Somebody whom everybody let in was no nuisance: friends who come one after the other are all asked about.
        let proposal = step.proposal.hash();
        self.prompts.retain(|(_, asked)| *asked != proposal);
        self.tell_moved(ctx, &adopted, step);
        if step.is_removal() {
            self.forget_rules(ctx, &adopted);
        }
        self.look_for_lost(ctx, &adopted, |key| departure(&adopted, step, key));
        let after = adopted.after;
        // Those who are gone hear it from us before their links are closed.
        let gone = self.readers.keys().filter(|key| !is_member(&after, key));
        gone.for_each(|key| ctx.tell_peer(key, PeerMessage::Step((self.id(), step.clone()))));
        let new = after.members.iter().map(|member| member.key).filter(|key| !is_member(&adopted.before, key));
        self.fresh.extend(new);
        if after.members.len() > adopted.before.members.len() {
            // Who has come in may be who was elsewhere.
            self.not_called_away();
        }
        // A server that has followed by now needs not be waited for; one that has not passes this over, and is told again.
        self.offer_addresses(ctx);
        self.seats_changed(ctx, &after);

        self.ask_server_at = ctx.server_up.then(|| ctx.now.after_ms(SERVER_FOLLOWS_MS));
        let head = self.sign_head(ctx);
        self.tell_all(ctx, &PeerMessage::Head(head));
        self.replay_orphans(ctx, None);
        self.replay_early(ctx);
        self.feed_all(ctx);
        Ok(())
    }

    /// A proposal over a roster that we have moved on from: a signed no frees whoever is still waiting for us there. It goes to
    /// whoever told us, and nothing is remembered of it: anybody can make up as many as they like.
    pub(super) fn answer_passed(&mut self, ctx: &mut Ctx<'_>, proposal: &Proposal, from: Option<PeerId>) {
        let Some(decision) = self.seat.passed_no(proposal, ctx.scheme) else { return };
        self.tell_no(ctx, proposal.roster(), proposal.hash(), decision, from);
    }

    /// Signs a no that decides nothing here any more, for whoever asks.
    pub(super) fn tell_no(
        &self,
        ctx: &mut Ctx<'_>,
        roster: RosterHash,
        hash: ProposalHash,
        decision: Decision,
        to: Option<PeerId>,
    ) {
        let no = self.seat.sign_no(roster, hash, decision, ctx.signer);
        match to {
            Some(peer) => ctx.tell_peer(&peer, PeerMessage::Consent(no)),
            None => ctx.tell_server(ToServer::Consent(no)),
        }
    }

    /// A no without asking anybody: the room has moved on. It is not noted, since its ballots are gone or about to go.
    pub(super) fn answer_late(&mut self, ctx: &mut Ctx<'_>, roster: RosterHash, hash: ProposalHash) {
        let late = self.seat.sign_late(roster, hash, ctx.signer);
        ctx.tell_server(ToServer::Consent(late.clone()));
        self.tell_all(ctx, &PeerMessage::Consent(late));
    }

    fn tell_moved(&self, ctx: &mut Ctx<'_>, adopted: &Adopted, step: &Step) {
        let Adopted { before, after, overtaken, .. } = adopted;
        let room = &self.name;
        let cause = step.proposal.hash();
        for (hash, ballot) in overtaken.iter().filter(|(hash, ballot)| **hash != cause && ballot.prompted) {
            if let (Some(names), None) = (self.removal_names(ballot), ballot.refused()) {
                let how = Refusal::Withdrawn;
                ctx.tell(Event::RemovalOver { room: room.clone(), proposal: *hash, names, how });
            }
            if let (Some(knock), None) = (ballot.knock(), ballot.refused()) {
                let (room, name) = (room.clone(), knock.name.clone());
                ctx.tell(Event::KnockOver { room, knock: *hash, name, how: Refusal::Withdrawn });
            }
        }
        for new in after.members.iter().filter(|member| !is_member(before, &member.key)) {
            let (room, name, key, epoch) = (room.clone(), new.name.clone(), new.key, after.epoch);
            ctx.tell(Event::MemberJoined { room, name: name.clone(), key, epoch });
            self.meet(ctx, key, &name);
        }
        for old in before.members.iter().filter(|member| !is_member(after, &member.key)) {
            let reason = departure(adopted, step, &old.key);
            let (room, name, key, epoch) = (room.clone(), old.name.clone(), old.key, after.epoch);
            ctx.tell(Event::MemberLeft { room, name, key, reason, epoch });
        }
    }

    /// Steps that others completed over our roster without us.
    pub(super) fn note_departures(&mut self, ctx: &mut Ctx<'_>) {
        for step in self.seat.completed_without() {
            self.on_step(ctx, step, None);
        }
    }

    /// The other half of a split was met. Ours hosts: they may not know, so they are told how we parted. Theirs does: the
    /// node sees to it that we give way.
    fn met_other_half(&mut self, ctx: &mut Ctx<'_>, theirs: &Step, theirs_hosts: bool) {
        // Now and then: a server that is with them tells theirs again for each of ours.
        if ctx.now.mono_ms < self.strangers.met_again_at {
            return;
        }
        let root = self.seat.root_of(theirs);
        // A server that is with us, and passes on what they say, knows less than we do of how we parted.
        let told = if self.apart.elsewhere { usize::from(!theirs_hosts) } else { STEPS_TOLD_APART_MAX };
        let ours = self.seat.chain().steps_after(&root).unwrap_or_default();
        let ours: Vec<Step> = ours.iter().take(told).cloned().collect();
        if !ours.is_empty() {
            self.strangers.met_again_at = ctx.now.after_ms(MEET_AGAIN_MS);
        }
        for step in ours {
            ctx.tell_server(ToServer::Step((self.id(), step)));
        }
    }
}

/// Why somebody is gone by a step.
fn departure(adopted: &Adopted, step: &Step, key: &PeerId) -> Departure {
    match adopted.departed.get(key) {
        _ if step.is_removal() => Departure::Removed,
        Some(Departed::Left) => Departure::Left,
        _ => Departure::Dropped,
    }
}
