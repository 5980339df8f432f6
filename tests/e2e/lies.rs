//! What a lying server tries, and that it gains nothing: members list no stranger, the newcomer is not in, nobody dials
//! anybody, and people are told.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use p2pchat::core::consent::chain::Chain;
use p2pchat::core::consent::roster::verify_step;
use p2pchat::identity::{Ed25519, Identity, PeerId, Signature, Signed, Signer as _, Verified};
use p2pchat::wire::{
    Admission, Consent, Decision, Few, FromServer, Genesis, Knock, Proposal, ProposalHash, Roster, Step, ToServer,
    encode,
};
use serde_json::json;

use crate::harness::{Peer, World};
use crate::liar::Liar;

/// Alice and bob, honestly in a room; what follows is up to the liar.
struct Scene {
    liar: Liar,
    world: World,
    alice: Peer,
    bob: Peer,
    genesis: Signed<Genesis>,
    roster: Roster,
}

impl Scene {
    fn new() -> Self {
        let liar = Liar::start();
        let world = World::at(liar.address.clone());
        let mut alice = world.founder("alice", "lobby", &["--consent-timeout", "20"]);
        let bob = world.admit("bob", "lobby", &mut [&mut alice]);
        let told = liar.mind().told.clone();
        let admitted = |(name, message): &(String, FromServer)| match message {
            FromServer::Admitted(admission) if name == "bob" => Some(admission.clone()),
            _ => None,
        };
        let admission = told.iter().find_map(admitted).unwrap();
        let base = Chain::found(admission.genesis.clone().verify(&Ed25519).unwrap());
        let roster = verify_step(base.current(), &admission.step(), 64, &Ed25519).unwrap();
        Scene { liar, world, alice, bob, genesis: admission.genesis, roster }
    }

    /// Carol's knock, the first since what was heard was last cleared.
    fn knock(&self) -> Signed<Knock> {
        self.liar.hears(|name, message| match message {
            ToServer::Knock(knock) if name == "carol" => Some(knock.clone()),
            _ => None,
        })
    }

    /// A member's answer to a proposal, as it reached the server.
    fn answer(&self, by: &str, to: ProposalHash) -> Signed<Consent> {
        self.liar.hears(|name, message| match message {
            ToServer::Consent(consent) if name == by && consent.unverified().proposal == to => Some(consent.clone()),
            _ => None,
        })
    }

    fn admission(&self, knock: &Signed<Knock>, signatures: Vec<Signature>) -> FromServer {
        FromServer::Admitted(Admission {
            genesis: self.genesis.clone(),
            roster: self.roster.clone(),
            knock: knock.clone(),
            signatures: Few::try_from(signatures).unwrap(),
        })
    }

    fn step(&self, proposal: Proposal, signatures: Vec<Signature>) -> FromServer {
        FromServer::Step((self.roster.room, Step { proposal, signatures: Few::try_from(signatures).unwrap() }))
    }

    /// Nobody was let in: asks both members, who have read all that was said to them before by then.
    #[track_caller]
    fn nobody_came_in(&mut self) {
        for peer in [&mut self.alice, &mut self.bob] {
            assert_eq!(peer.members("lobby"), ["alice", "bob"]);
            assert!(!peer.has_heard("member_joined", |it| it["name"] == "carol"), "{}", peer.story());
            assert!(!peer.has_heard("link", |it| it["name"] == "carol"), "{}", peer.story());
        }
        self.alice.say("lobby", "among ourselves");
        self.bob.hears("alice", "among ourselves");
    }
}

#[track_caller]
fn is_not_in(carol: &mut Peer) {
    let told = carol.next("misbehaviour");
    assert_eq!((&told["what"], &told["by"]), (&json!("missing_consent"), &json!(null)), "{}", carol.story());
    assert_eq!(carol.next("refused")["reason"], "forged");
    assert_eq!(carol.exit(), Some(5), "{}", carol.story());
    assert!(!carol.has_heard("joined", |_| true) && !carol.has_heard("message", |_| true), "{}", carol.story());
    assert!(!carol.has_heard("link", |_| true));
}

#[test]
fn an_admission_that_nobody_signed_admits_nobody() {
    let mut scene = Scene::new();
    // The members are not even asked.
    scene.liar.filter(|name, message| name == "carol" && !matches!(message, FromServer::KnockOver(_)));
    let [zeros, sevens] = [[0; 64], [7; 64]].map(|bytes| Signature::from_bytes(&bytes));
    for signatures in [vec![], vec![zeros; 2], vec![sevens; 5]] {
        scene.liar.mind().heard.clear();
        let mut carol = scene.world.json("carol", &["join", "lobby"]);
        let knock = scene.knock();
        let forged = scene.admission(&knock, signatures);
        scene.liar.mind().tell("carol", forged);
        is_not_in(&mut carol);
    }
    assert!(!scene.alice.has_heard("knock", |it| it["name"] == "carol"));
    scene.nobody_came_in();
}

#[test]
fn a_missing_consent_cannot_be_made_up_for() {
    let mut scene = Scene::new();
    let mut carol = scene.world.json("carol", &["join", "lobby"]);
    let knock = scene.knock();
    let proposal = Proposal::Admit(knock.clone());
    scene.alice.approve("carol");
    scene.bob.wait("knock", |it| it["name"] == "carol");
    let alices = scene.answer("alice", proposal.hash());
    // The signers are a roster's, in its order: one signature is too few, two of the same don't fit.
    for signatures in [vec![alices.signature()], vec![alices.signature(); 2]] {
        for name in ["alice", "bob"] {
            let step = scene.step(proposal.clone(), signatures.clone());
            scene.liar.mind().tell(name, step);
        }
        for peer in [&mut scene.alice, &mut scene.bob] {
            let told = peer.next("misbehaviour");
            assert_eq!((&told["what"], &told["by"]), (&json!("missing_consent"), &json!(null)), "{told}");
        }
    }
    // Bob's yes, signed by somebody else in his name.
    let roster = knock.unverified().roster;
    let bob = scene.liar.mind().key("bob");
    let yes = Consent { room: scene.roster.room, roster, proposal: proposal.hash(), by: bob, decision: Decision::Yes };
    let forged = Signed::from_parts(yes, alices.signature());
    for name in ["alice", "bob"] {
        scene.liar.mind().tell(name, FromServer::Consent(forged.clone()));
    }
    for peer in [&mut scene.alice, &mut scene.bob] {
        assert_eq!(peer.next("misbehaviour")["what"], "bad_signature");
    }
    let forged = scene.admission(&knock, vec![alices.signature(); 2]);
    scene.liar.mind().tell("carol", forged);
    is_not_in(&mut carol);
    scene.nobody_came_in();
}

#[test]
fn a_newcomer_cannot_be_swapped_for_another() {
    let mut scene = Scene::new();
    // What carol signed, the members don't get to see.
    scene.liar.filter(|name, message| name == "carol" || !matches!(message, FromServer::Knock(_)));
    let mut carol = scene.world.json("carol", &["join", "lobby"]);
    let knock = scene.knock();
    let mallory = Identity::from_seed(&[7; 32]);
    let mut swapped = knock.unverified().clone();
    swapped.key = mallory.id();

    // Carol's signature does not fit mallory's key.
    let forged = Signed::from_parts(swapped.clone(), knock.signature());
    for name in ["alice", "bob"] {
        scene.liar.mind().tell(name, FromServer::Knock((forged.clone(), 10_000)));
    }
    for peer in [&mut scene.alice, &mut scene.bob] {
        assert_eq!(peer.next("misbehaviour")["what"], "bad_signature");
        assert!(!peer.has_heard("knock", |it| it["name"] == "carol"), "nobody is asked about it");
    }

    // Mallory's own knock under carol's name is shown with mallory's fingerprint, and brings carol nothing.
    let mallorys = Verified::sign(swapped, &mallory).into_signed();
    let proposal = Proposal::Admit(mallorys.clone());
    for name in ["alice", "bob"] {
        scene.liar.mind().tell(name, FromServer::Knock((mallorys.clone(), 10_000)));
    }
    let shown = scene.alice.approve("carol");
    assert_eq!(shown["fingerprint"], mallory.id().fingerprint().to_string());
    assert_ne!(shown["fingerprint"], carol.fingerprint());
    // Alice did not compare the words; her yes to mallory is none to carol, and bob did.
    let alices = scene.answer("alice", proposal.hash());
    scene.bob.wait("knock", |it| it["name"] == "carol");
    scene.bob.send(json!({"do": "deny", "knock": shown["knock"]}));
    let step = scene.step(Proposal::Admit(knock.clone()), vec![alices.signature(), alices.signature()]);
    scene.liar.mind().tell("bob", step);
    assert_eq!(scene.bob.next("misbehaviour")["what"], "missing_consent");
    let forged = scene.admission(&knock, vec![alices.signature(); 2]);
    scene.liar.mind().tell("carol", forged);
    is_not_in(&mut carol);
    scene.nobody_came_in();
}

#[test]
fn a_consent_to_an_earlier_knock_is_none_to_a_later_one() {
    let mut scene = Scene::new();
    let mut carol = scene.world.json("carol", &["join", "lobby"]);
    let first = Proposal::Admit(scene.knock()).hash();
    scene.alice.approve("carol");
    let knock = scene.bob.wait("knock", |it| it["name"] == "carol");
    scene.bob.send(json!({"do": "deny", "knock": knock["knock"]}));
    assert_eq!(carol.next("refused")["reason"], "denied");
    carol.exit();
    let old = scene.answer("alice", first);

    // She knocks again. Bob agrees this time; alice doesn't, and her old yes is all that the server has.
    scene.liar.mind().heard.clear();
    let mut carol = scene.world.json("carol", &["join", "lobby"]);
    let knock = scene.knock();
    let proposal = Proposal::Admit(knock.clone());
    scene.bob.approve("carol");
    let bobs = scene.answer("bob", proposal.hash());
    let signatures = vec![old.signature(), bobs.signature()];
    let mut replayed = old.unverified().clone();
    replayed.proposal = proposal.hash();
    for name in ["alice", "bob"] {
        let step = scene.step(proposal.clone(), signatures.clone());
        let mut mind = scene.liar.mind();
        // As it was, it is about a knock that is over; made to fit, its signature doesn't.
        mind.tell(name, FromServer::Consent(old.clone()));
        mind.tell(name, FromServer::Consent(Signed::from_parts(replayed.clone(), old.signature())));
        mind.tell(name, step);
    }
    for peer in [&mut scene.alice, &mut scene.bob] {
        peer.wait("misbehaviour", |it| it["what"] == "bad_signature");
        peer.wait("misbehaviour", |it| it["what"] == "missing_consent");
    }
    let forged = scene.admission(&knock, signatures);
    scene.liar.mind().tell("carol", forged);
    is_not_in(&mut carol);
    scene.nobody_came_in();
}

#[test]
fn nobody_dials_whom_the_server_introduces_too_early() {
    let mut scene = Scene::new();
    let mut carol = scene.world.json("carol", &["join", "lobby"]);
    scene.knock();
    scene.alice.wait("knock", |it| it["name"] == "carol");
    let trap = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at: Few<SocketAddr, 8> = Few::first_of([trap.local_addr().unwrap()]);
    let room = scene.roster.room;
    let stranger = Identity::from_seed(&[9; 32]).id();
    {
        let mut mind = scene.liar.mind();
        let (alice, carols): (PeerId, PeerId) = (mind.key("alice"), mind.key("carol"));
        for (to, whom) in [("alice", carols), ("bob", carols), ("alice", stranger), ("bob", stranger)] {
            mind.tell(to, FromServer::Introduce((room, whom, at.clone())));
            mind.tell(to, FromServer::Presence((room, whom, true)));
            mind.tell(to, FromServer::Reported((room, whom, whom)));
        }
        mind.tell("carol", FromServer::Introduce((room, alice, at.clone())));
        mind.tell("carol", FromServer::RosterIs((room, scene.roster.hash())));
    }
    // The answers come behind what was said before; a dial would have begun by then.
    scene.nobody_came_in();
    carol.send(json!({"do": "list"}));
    carol.next("rooms");
    trap.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(trap.recv_from(&mut [0; 2000]).is_err(), "somebody dialled");
    assert!(!carol.has_heard("link", |_| true) && !carol.has_heard("joined", |_| true));
}

#[test]
fn an_honest_server_gives_no_address_to_anybody_before_the_admission() {
    let mut scene = Scene::new();
    let mut carol = scene.world.json("carol", &["join", "lobby"]);
    scene.knock();
    scene.world.let_in(&mut carol, &mut [&mut scene.alice, &mut scene.bob]);
    let mind = scene.liar.mind();
    let at = |wanted: &str| encode(&mind.observed(wanted));
    let admitted = |name: &str, it: &FromServer| name == "carol" && matches!(it, FromServer::Admitted(_));
    let admission = mind.told.iter().position(|(name, it)| admitted(name, it)).unwrap();
    let contains = |bytes: &[u8], address: &[u8]| bytes.windows(address.len()).any(|part| part == address);
    for (name, message) in &mind.told[..admission] {
        let bytes = p2pchat::wire::frame(message);
        if name == "carol" {
            assert!(!contains(&bytes, &at("alice")) && !contains(&bytes, &at("bob")), "{message:?}");
            assert!(!matches!(message, FromServer::Introduce(_) | FromServer::Presence(_)), "{message:?}");
        } else {
            assert!(!contains(&bytes, &at("carol")), "{message:?}");
        }
    }
    // And the members' addresses come only from members that have taken the step themselves.
    let given = |name: &str| {
        mind.heard.iter().any(|(by, it)| {
            by == name && matches!(it, ToServer::Candidates((_, roster, _)) if *roster != scene.roster.hash())
        })
    };
    assert!(given("alice") && given("bob") && given("carol"));
    let introduced =
        mind.told[admission..].iter().any(|(name, it)| name == "carol" && matches!(it, FromServer::Introduce(_)));
    assert!(introduced, "after the admission the addresses do come");
}
