//! The newcomers who wait for our answer, as far as they were told to us.
//!
//! A flood of them is one line on the screen and one bell: the reviewing is by person, the announcing is not.

use std::collections::VecDeque;

use crate::peer::api::limits::PROMPTS_REMEMBERED_MAX;
use crate::peer::api::{Answer, Event, Name, OtherKey, PeerId, ProposalHash, RoomName, Trust};

/// A newcomer who asks to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which room.
    pub room: RoomName,
    /// Their knock.
    pub knock: ProposalHash,
    /// What they want to be called.
    pub name: Name,
    /// Who they are.
    pub key: PeerId,
    /// When our silence is a no, by the forward clock in milliseconds.
    pub ends_ms: u64,
    /// Who said yes.
    pub yes: Vec<Name>,
    /// Who said no.
    pub no: Vec<Name>,
    /// Who has not answered.
    pub waiting: Vec<Name>,
    /// Whose name looks like theirs.
    pub looks_like: Option<Name>,
    /// Whether this key has been in the room before.
    pub seen_before: bool,
    /// Whether the members removed them from it.
    pub removed_before: bool,
    /// How well we know it, from any room.
    pub trust: Trust,
    /// Somebody of another key whom we know by this name.
    pub other_key: Option<OtherKey>,
    /// What we answered.
    pub answer: Option<Answer>,
    /// How it ended, once it has.
    pub over: bool,
}

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub struct Requests {
    all: VecDeque<Request>,
    /// Whether they are announced.
    pub muted: bool,
}

impl Requests {
    /// Notes what an event says about them; `true` if somebody new asks.
    pub fn note(&mut self, event: &Event, me: Option<&Name>, now_ms: u64) -> bool {
        match event {
            Event::Knock {
                room,
                knock,
                name,
                key,
                expires_in_s,
                yes,
                waiting,
                looks_like,
                seen_before,
                removed_before,
                trust,
                other_key,
            } => {
                let known = self.all.iter().any(|request| request.room == *room && request.key == *key);
                self.all.retain(|request| !(request.room == *room && request.key == *key));
                if self.all.len() == PROMPTS_REMEMBERED_MAX {
                    self.all.pop_front();
                }
                self.all.push_back(Request {
                    room: room.clone(),
                    knock: *knock,
                    name: name.clone(),
                    key: *key,
                    ends_ms: now_ms + expires_in_s * 1000,
                    yes: yes.clone(),
                    no: Vec::new(),
                    waiting: waiting.clone(),
                    looks_like: looks_like.clone(),
                    seen_before: *seen_before,
                    removed_before: *removed_before,
                    trust: *trust,
                    other_key: other_key.clone(),
                    answer: None,
                    over: false,
                });
                return !known;
            }
            Event::Consent { knock, by, decision, .. } => {
                if let Some(request) = self.get_mut(knock) {
                    request.waiting.retain(|name| name != by);
                    let list = if *decision == Answer::Yes { &mut request.yes } else { &mut request.no };
                    if !list.contains(by) {
                        list.push(by.clone());
                    }
                    if me == Some(by) {
                        request.answer = Some(*decision);
                    }
                }
            }
            Event::AnsweredByRule { knock, rule, .. } => {
                if let Some(request) = self.get_mut(knock) {
                    let no = *rule == crate::peer::api::Rule::Never;
                    request.answer = Some(if no { Answer::No } else { Answer::Yes });
                }
            }
            Event::KnockOver { knock, .. } => {
                if let Some(request) = self.get_mut(knock) {
                    request.over = true;
                }
            }
            Event::MemberJoined { room, key, .. } => {
                for request in self.all.iter_mut().filter(|request| request.room == *room && request.key == *key) {
                    request.over = true;
                }
            }
            Event::Left { room, .. } => self.all.retain(|request| request.room != *room),
            _ => {}
        }
        false
    }

    /// Forgets those that are over, except the one that is being looked at.
    pub fn tidy(&mut self, looked_at: Option<&ProposalHash>, now_ms: u64) {
        // A clock that has run out ends it here even if nobody tells us.
        for request in self.all.iter_mut().filter(|request| request.ends_ms + 2_000 < now_ms) {
            request.over = true;
        }
        self.all.retain(|request| !request.over || Some(&request.knock) == looked_at);
    }

    /// Those that wait for us.
    pub fn open(&self) -> impl Iterator<Item = &Request> {
        self.all.iter().filter(|request| !request.over && request.answer.is_none())
    }

    /// This one, if it is still here.
    pub fn get(&self, knock: &ProposalHash) -> Option<&Request> {
        self.all.iter().find(|request| request.knock == *knock)
    }

    /// Notes our own answer, so that it is seen at once.
    pub fn answered(&mut self, knock: &ProposalHash, answer: Answer) {
        if let Some(request) = self.get_mut(knock) {
            request.answer = Some(answer);
        }
    }

    /// The one before or after this one among all that are not over.
    pub fn neighbour(&self, knock: &ProposalHash, step: isize) -> Option<ProposalHash> {
        let open: Vec<_> = self.all.iter().filter(|request| !request.over || request.knock == *knock).collect();
        let at = open.iter().position(|request| request.knock == *knock)?;
        open.get(at.checked_add_signed(step)?).map(|request| request.knock)
    }

    /// Which one of how many this is.
    pub fn position(&self, knock: &ProposalHash) -> Option<(usize, usize)> {
        let at = self.all.iter().position(|request| request.knock == *knock)?;
        Some((at + 1, self.all.len()))
    }

    fn get_mut(&mut self, knock: &ProposalHash) -> Option<&mut Request> {
        self.all.iter_mut().find(|request| request.knock == *knock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus;

    #[test]
    fn answers_move_from_the_awaited_to_those_who_gave_them() {
        let mut requests = Requests::default();
        let me = corpus::name("alice");
        assert!(requests.note(&corpus::knock_of(4, "dana"), Some(&me), 0));
        let answer = |by: &str, decision| Event::Consent {
            room: corpus::lobby(),
            knock: ProposalHash([4; 32]),
            name: corpus::name("dana"),
            by: corpus::name(by),
            decision,
        };
        requests.note(&answer("carol", Answer::Silent), Some(&me), 0);
        assert_eq!(requests.open().count(), 1);
        requests.note(&answer("alice", Answer::Yes), Some(&me), 0);
        assert_eq!(requests.open().count(), 0, "we have answered");
        let request = requests.get(&ProposalHash([4; 32])).unwrap();
        assert_eq!((request.yes.len(), request.no.len(), request.waiting.len()), (2, 1, 0));
    }

    #[test]
    fn a_request_that_is_over_stays_only_while_it_is_looked_at() {
        let mut requests = Requests::default();
        requests.note(&corpus::knock_of(4, "dana"), None, 0);
        let knock = ProposalHash([4; 32]);
        requests.tidy(Some(&knock), 63_000);
        assert!(requests.get(&knock).unwrap().over);
        requests.tidy(None, 63_000);
        assert_eq!(requests.get(&knock), None);
    }
}
