use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use dockmaster_host::{Observation, socket::Connection};
use dockmaster_proto::{
    event::{CertIssued, NodeBanned, NodeUnbanned, TokenCreated, TokenUsed},
    id::{Serial, TokenId, TrustDomain},
    spiffe::{Principal, SpiffeId},
    token::{JoinToken, MachineId, TokenSecret},
};
use proptest::prelude::*;

use super::{
    super::{Binding, Policy},
    *,
};
use crate::{
    config::Config,
    lifetime::Lifetime,
    origin::Origin,
    policy::Rules,
    testing::{apply, decide, facts as container, host as own_host, id as container_id, observe},
};

pub(super) const NOW: UnixMs = UnixMs(100_000);
const UNTIL: UnixMs = UnixMs(200_000);

pub(super) fn token(number: u8) -> JoinToken {
    JoinToken {
        id: TokenId::from_bytes([number; 8]),
        secret: TokenSecret::from_bytes([number; 32]),
    }
}

fn created(number: u8, uses: u32) -> Event {
    Event::TokenCreated(TokenCreated {
        token: token(number).id,
        secret_sha256: token(number).secret.digest(),
        labels: BTreeMap::from([("role".into(), format!("r{number}"))]),
        network: "token/direct".parse().unwrap(),
        uses,
        until_ms: UNTIL,
    })
}

pub(super) fn key(number: u8) -> Digest {
    Digest::of(&[number])
}

pub(super) fn machine(number: u8) -> MachineId {
    MachineId::from_bytes([number; 16])
}

pub(super) fn policy(rules: Rules) -> Policy {
    Policy {
        trust_domain: "td".parse().unwrap(),
        rules,
    }
}

/// What a decision rests on, under the policy of an installation that wrote none.
pub(super) fn given<'a>(state: &'a State, policy: &'a Policy, now: UnixMs) -> Given<'a> {
    Given {
        state,
        policy,
        permits: &|_| true,
        now,
    }
}

pub(super) fn unwritten() -> Policy {
    policy(Rules::unwritten(Lifetime::default()))
}

pub(super) fn applicant(source: &str) -> Applicant {
    let source = SocketAddr::new(source.parse().unwrap(), 999);
    Applicant {
        connection: Connection {
            source,
            local: source,
        },
        binding: Arc::new(Binding::new([0; 32])),
        relay: None,
        renewing: None,
    }
}

/// A request with a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) token: u8,
    pub(super) machine: u8,
    pub(super) key: u8,
    pub(super) ip: &'static str,
}

pub(super) const FIRST: Request = Request {
    token: 1,
    machine: 1,
    key: 1,
    ip: "10.0.0.1",
};

pub(super) fn ask(request: Request, state: &State, now: UnixMs) -> Result<Admission, Refused> {
    let redemption = Redemption {
        token: token(request.token),
        machine: machine(request.machine),
    };
    let policy = unwritten();
    redeem(
        &applicant(request.ip),
        &redemption,
        &key(request.key),
        &given(state, &policy, now),
    )
}

/// Takes up what an admission says, with the certificate; gives its serial.
pub(super) fn admit(admission: Admission, by: u8, state: &mut State) -> Serial {
    let Admission { before, grant } = admission;
    for event in before {
        apply(state, event);
    }
    let serial = Serial::from_bytes(u128::from(state.size()).to_be_bytes());
    let trust_domain: TrustDomain = "td".parse().unwrap();
    let subject = SpiffeId {
        trust_domain,
        principal: Principal::Container {
            host: grant.host.clone(),
            id: grant.container,
        },
    };
    apply(
        state,
        Event::CertIssued(CertIssued {
            subject,
            container: Some(grant.container),
            host: Some(grant.host),
            addresses: grant.addresses,
            ips: vec![],
            serial,
            issuer_key_id: String::new(),
            not_before_ms: UnixMs(0),
            not_after_ms: UnixMs(1 << 40),
            spki_sha256: key(by),
            der_sha256: Digest::of(b""),
            evidence: grant.evidence,
            rule: String::new(),
            policy_sha256: None,
            prev: grant.prev,
        }),
    );
    serial
}

fn grant_to(request: Request, state: &mut State) -> Serial {
    let admission = ask(request, state, NOW).unwrap();
    admit(admission, request.key, state)
}

fn confirm(request: Request, state: &mut State) {
    apply(
        state,
        Event::TokenUsed(TokenUsed {
            token: token(request.token).id,
            container: machine(request.machine).node(),
            spki_sha256: key(request.key),
        }),
    );
}

pub(super) fn state(tokens: &[(u8, u32)]) -> State {
    let mut state = State::default();
    for (number, uses) in tokens {
        apply(&mut state, created(*number, *uses));
    }
    state
}

/// What the log is told of a refusal whose applicant is told nothing.
fn untold_fact(refused: Result<Admission, Refused>) -> String {
    match refused {
        Err(Refused::Untold(refusal)) => refusal.detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_gives_an_address_its_labels_and_a_certificate_that_names_it() {
    let mut state = state(&[(1, 1)]);
    let admission = ask(FIRST, &state, NOW).unwrap();
    let names: Vec<&str> = admission.before.iter().map(Event::name).collect();
    assert_eq!(names, ["node_observed", "lease_opened"]);
    let evidence = Evidence::Token {
        token: token(1).id,
        returned_with: None,
    };
    assert_eq!(admission.grant.evidence, [evidence]);
    assert_eq!(admission.grant.container, machine(1).node());
    let serial = admit(admission, 1, &mut state);
    let node = state.node(&machine(1).node()).unwrap();
    assert!(node.honours(&serial));
    let view = node.view();
    assert_eq!(view.labels.get("role").unwrap().value, "r1");
    let tier = view.labels.get("role").unwrap().tier;
    assert_eq!(tier, dockmaster_proto::label::Tier::Token);
    assert_eq!(view.addresses[0].to_string(), "token/direct/10.0.0.1");
}

#[test]
fn a_lost_answer_loses_no_token_and_another_key_does_not_find_it() {
    let mut state = state(&[(1, 1)]);
    grant_to(FIRST, &mut state);
    let again = ask(FIRST, &state, NOW).unwrap();
    assert_eq!(again.before, [], "its lease is open already");
    let serial = admit(again, 1, &mut state);
    assert!(state.node(&machine(1).node()).unwrap().honours(&serial));
    let other = Request {
        machine: 2,
        key: 2,
        ip: "10.0.0.2",
        ..FIRST
    };
    let fact = untold_fact(ask(other, &state, NOW));
    assert!(fact.contains("burned into other keys"), "{fact}");
    confirm(FIRST, &mut state);
    let fact = untold_fact(ask(FIRST, &state, NOW));
    assert!(fact.contains("came back with it"), "{fact}");
}

#[test]
fn a_token_for_two_lets_in_two_and_no_third() {
    let mut state = state(&[(1, 2)]);
    let ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let requests = [1, 2, 3].map(|number| Request {
        token: 1,
        machine: number,
        key: number,
        ip: ips[usize::from(number) - 1],
    });
    for request in &requests[..2] {
        grant_to(*request, &mut state);
        confirm(*request, &mut state);
    }
    assert!(untold_fact(ask(requests[2], &state, NOW)).contains("used up"));
}

#[test]
fn whoever_shows_no_good_token_is_told_one_and_the_same() {
    let mut state = state(&[(1, 1), (2, 1), (3, 1)]);
    apply(
        &mut state,
        Event::TokenRevoked(dockmaster_proto::event::TokenRevoked { token: token(2).id }),
    );
    let by = |token| Request { token, ..FIRST };
    let wrong = Redemption {
        token: JoinToken {
            secret: TokenSecret::from_bytes([9; 32]),
            ..token(3)
        },
        machine: machine(1),
    };
    let policy = unwritten();
    let wrong = redeem(
        &applicant(FIRST.ip),
        &wrong,
        &key(1),
        &given(&state, &policy, NOW),
    );
    let facts = [
        untold_fact(ask(by(1), &state, UNTIL)),
        untold_fact(ask(by(2), &state, NOW)),
        untold_fact(wrong),
        untold_fact(ask(by(7), &state, NOW)),
    ];
    let expected = ["expired at", "was revoked", "secret", "not known"];
    for (fact, expected) in facts.iter().zip(expected) {
        assert!(fact.contains(expected), "{fact}");
        // Neither half of the secret, nor the digest of it.
        assert!(!fact.contains(&"03".repeat(9)), "{fact}");
    }
    // A restore ends them all: what became of them since the backup nobody knows.
    let restored = dockmaster_proto::event::Restored {
        log_size: 1,
        root: Digest::of(b""),
        backup_at_ms: NOW,
        previous_log: String::new(),
    };
    apply(&mut state, Event::Restored(restored));
    assert!(untold_fact(ask(by(1), &state, NOW)).contains("restored"));
}

#[test]
fn a_token_takes_no_address_that_a_host_vouches_for_and_loses_its_own_to_one() {
    let mut state = state(&[(1, 1), (2, 2)]);
    state.watch_here(own_host());
    observe(&mut state, &Observation::Up(container(7, &["10.0.0.1"])));
    let Err(Refused::Told(refusal)) = ask(FIRST, &state, NOW) else {
        panic!("let in");
    };
    assert_eq!(refusal.container, Some(container_id(7)));
    assert!(refusal.detail.contains("cannot take it"), "{refusal:?}");

    let free = Request {
        ip: "10.0.0.2",
        ..FIRST
    };
    let serial = grant_to(free, &mut state);
    let names = observe(&mut state, &Observation::Up(container(8, &["10.0.0.2"])));
    assert_eq!(
        names,
        [
            "node_observed",
            "lease_closed",
            "cert_revoked",
            "node_gone",
            "lease_opened"
        ]
    );
    assert!(state.node(&machine(1).node()).is_none(), "{serial}");
    let holders: Vec<_> = state.leases_of_ip("10.0.0.2".parse().unwrap()).collect();
    assert_eq!(holders.len(), 1);
    // The same IP on a host that relays its containers is somebody else.
    let h2 = "h2".parse().unwrap();
    let behind = Request {
        token: 2,
        machine: 3,
        key: 3,
        ip: "10.0.0.9",
    };
    let _ = grant_to(behind, &mut state);
    let theirs = Observation::Up(container(9, &["10.0.0.9"]));
    let events = decide(&theirs, &h2, &state);
    let names: Vec<_> = events.iter().map(Event::name).collect();
    assert!(!names.contains(&"node_gone"), "{names:?}");
    // A look at the host ends no machine that the host knows nothing of.
    let elsewhere = Request {
        token: 2,
        machine: 2,
        key: 2,
        ip: "10.0.0.3",
    };
    grant_to(elsewhere, &mut state);
    let snapshot = Observation::Snapshot {
        containers: vec![],
        unclear: vec![],
    };
    observe(&mut state, &snapshot);
    assert!(state.node(&machine(2).node()).is_some());
}

#[test]
fn the_newer_of_two_machines_has_the_address() {
    let mut state = state(&[(1, 1), (2, 1)]);
    let old = grant_to(FIRST, &mut state);
    let heir = Request {
        token: 2,
        machine: 2,
        key: 2,
        ..FIRST
    };
    let admission = ask(heir, &state, NOW).unwrap();
    let new = admission.grant.addresses[0].epoch;
    assert_eq!(new, 2);
    admit(admission, 2, &mut state);
    assert!(state.node(&machine(1).node()).is_none(), "{old}");
    let lease = state
        .lease(&"token/direct/10.0.0.1".parse().unwrap())
        .unwrap();
    assert_eq!((lease.container, lease.epoch), (machine(2).node(), 2));
}

#[test]
fn a_machine_that_lost_its_certificate_begins_anew_with_a_new_token() {
    let mut state = state(&[(1, 1), (2, 1)]);
    let old = grant_to(FIRST, &mut state);
    confirm(FIRST, &mut state);
    let again = Request {
        token: 2,
        key: 2,
        ip: "10.0.0.9",
        ..FIRST
    };
    let new = grant_to(again, &mut state);
    let node = state.node(&machine(1).node()).unwrap();
    assert!(node.honours(&new) && !node.honours(&old));
    assert_eq!(node.view().labels.get("role").unwrap().value, "r2");
    assert_eq!(node.addresses.len(), 1);
    assert!(!node.joined.as_ref().unwrap().confirmed);
}

#[test]
fn a_machine_renews_from_its_address_only() {
    let mut state = state(&[(1, 1)]);
    grant_to(FIRST, &mut state);
    let node = state.node(&machine(1).node()).unwrap();
    let policy = unwritten();
    let ask = |ip| renew(&applicant(ip), node, &given(&state, &policy, NOW));
    let grant = ask("10.0.0.1").unwrap();
    assert_eq!(grant.prev, node.last_certificate);
    assert_eq!(
        grant.evidence,
        [Evidence::Token {
            token: token(1).id,
            returned_with: None,
        }]
    );
    assert_eq!(ask("10.0.0.2").unwrap_err().code, ProblemCode::NoLease);
}

#[test]
fn a_banned_machine_renews_no_more_and_no_new_token_lets_it_in() {
    let mut state = state(&[(1, 1), (2, 1)]);
    grant_to(FIRST, &mut state);
    let banned = NodeBanned {
        container: machine(1).node(),
        reason: "stolen".into(),
    };
    apply(&mut state, Event::NodeBanned(banned));
    let node = state.node(&machine(1).node()).unwrap();
    let policy = unwritten();
    let renewed = renew(&applicant(FIRST.ip), node, &given(&state, &policy, NOW));
    assert_eq!(renewed.unwrap_err().code, ProblemCode::Banned);
    let anew = Request {
        token: 2,
        key: 2,
        ..FIRST
    };
    let Err(Refused::Told(refusal)) = ask(anew, &state, NOW) else {
        panic!("the token let it in");
    };
    assert_eq!(refusal.code, ProblemCode::Banned);
    let unbanned = NodeUnbanned {
        container: machine(1).node(),
    };
    apply(&mut state, Event::NodeUnbanned(unbanned));
    ask(anew, &state, NOW).unwrap();
}

#[test]
fn the_policy_is_asked_about_tokens_too() {
    let rules = |text: &str| Config::parse("dockmaster.yaml", text).unwrap().policy;
    let with = |policy: &str| {
        rules(&format!(
            "name: m\ntrust_domain: td\nlisten: 127.0.0.1:1\nhost: h1\npolicy:\n{policy}"
        ))
    };
    let ask = |rules: Rules| {
        let state = state(&[(1, 1)]);
        let redemption = Redemption {
            token: token(1),
            machine: machine(1),
        };
        let policy = policy(rules);
        redeem(
            &applicant(FIRST.ip),
            &redemption,
            &key(1),
            &given(&state, &policy, NOW),
        )
    };
    let issued = ask(with(
        "  - { name: vms, evidence: [token], labels: role=r1, label_tier: token, verdict: issue, lifetime: 10m }\n",
    ));
    let grant = issued.unwrap().grant;
    assert_eq!(grant.rule, "vms");
    assert_eq!(grant.validity.not_after, NOW.plus_ms(600_000));
    for refusing in [
        "  - { name: none, evidence: [token], verdict: deny, reason: no machines }\n",
        "  - { name: some, evidence: [token], verdict: hold, reason: look }\n",
        "  - { name: containers, evidence: [host], verdict: issue }\n",
    ] {
        let Err(Refused::Told(refusal)) = ask(with(refusing)) else {
            panic!("{refusing}");
        };
        assert_eq!(refusal.code, ProblemCode::DeniedByPolicy, "{refusing}");
    }
}

#[test]
fn a_rule_on_an_operators_label_holds_for_a_machine_that_ended_and_comes_with_another_token() {
    let text = "name: m\ntrust_domain: td\nlisten: 127.0.0.1:1\nhost: h1\npolicy:\n  \
        - { name: out, labels: stolen=yes, label_tier: operator, verdict: deny, reason: stolen }\n  \
        - { name: vms, evidence: [token], verdict: issue }\n";
    let policy = policy(Config::parse("dockmaster.yaml", text).unwrap().policy);
    let mut state = state(&[(1, 1), (2, 1)]);
    let admitted = |number: u8, state: &State| {
        let redemption = Redemption {
            token: token(number),
            machine: machine(1),
        };
        let given = given(state, &policy, NOW);
        redeem(&applicant(FIRST.ip), &redemption, &key(number), &given)
    };
    let first = admitted(1, &state).unwrap();
    admit(first, 1, &mut state);
    let container = machine(1).node();
    let change = dockmaster_proto::label::LabelChange::parse(["stolen=yes"]).unwrap();
    let labelled = dockmaster_proto::event::LabelsChanged { container, change };
    apply(&mut state, Event::LabelsChanged(labelled));
    let by_rule = |state: &State| match admitted(2, state) {
        Err(Refused::Told(refusal)) => refusal.rule,
        other => panic!("{other:?}"),
    };
    assert_eq!(by_rule(&state), "out");
    let node = state.node(&container).unwrap();
    for event in leases::end(node, &state, LeaseCause::Superseded) {
        apply(&mut state, event);
    }
    assert!(state.node(&container).is_none());
    assert_eq!(by_rule(&state), "out", "it ended and is labelled as it was");
}

#[test]
fn an_applicant_without_a_token_is_told_whose_address_it_is() {
    let mut state = state(&[(1, 1)]);
    grant_to(FIRST, &mut state);
    let (ours, other) = (FIRST.ip.parse().unwrap(), "10.0.0.2".parse().unwrap());
    let refusal = |ip| explained(Refusal::no_inventory(&Origin::direct(ip)), ip, &state, NOW);
    assert!(refusal(ours).hint.contains("DOCKMASTER_TOKEN_FILE"));
    assert_eq!(
        refusal(other),
        Refusal::no_inventory(&Origin::direct(other))
    );
}

#[test]
fn the_ban_of_a_machine_is_the_ban_of_its_token() {
    let mut state = state(&[(1, 2)]);
    grant_to(FIRST, &mut state);
    let banned = NodeBanned {
        container: machine(1).node(),
        reason: "stolen".into(),
    };
    apply(&mut state, Event::NodeBanned(banned));
    // Neither by another ID with the same key, nor by another key, though there is a use left.
    for (machine, key) in [(2, 1), (2, 2)] {
        let other = Request {
            machine,
            key,
            ip: "10.0.0.3",
            ..FIRST
        };
        let fact = untold_fact(ask(other, &state, NOW));
        assert!(fact.contains("which is banned"), "{fact}");
    }
}

proptest! {
    /// Whatever is asked in whichever order: a token burns into no more keys than it has uses, an IP
    /// has one holder, and no key is let in again after it was confirmed.
    #[test]
    fn no_token_lets_in_more_than_it_may(
        uses in 1u32..4,
        steps in prop::collection::vec((1u8..3, 1u8..5, 1u8..5, 0usize..3, any::<bool>()), 0..30),
    ) {
        const IPS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
        let mut state = state(&[(1, uses), (2, 1)]);
        let mut confirmed = Vec::new();
        for (token, machine, key, ip, comes_back) in steps {
            let request = Request { token, machine, key, ip: IPS[ip] };
            let Ok(admission) = ask(request, &state, NOW) else { continue };
            prop_assert!(!confirmed.contains(&(token, key)));
            let serial = admit(admission, key, &mut state);
            let node = state.node(&MachineId::from_bytes([machine; 16]).node()).unwrap();
            prop_assert!(node.honours(&serial), "what was issued counts");
            if comes_back {
                confirm(request, &mut state);
                confirmed.push((token, key));
            }
            for token in state.tokens().iter() {
                prop_assert!(token.burnt.len() <= token.uses as usize);
                let by_it = |node: &&NodeRecord| {
                    node.joined.as_ref().is_some_and(|joined| joined.token == token.id)
                };
                prop_assert!(state.nodes().filter(by_it).count() <= token.uses as usize);
            }
            for ip in IPS {
                prop_assert!(state.leases_of_ip(ip.parse().unwrap()).count() <= 1);
            }
            for node in state.nodes() {
                prop_assert_eq!(node.addresses.len(), 1);
            }
        }
    }
}

#[test]
fn a_key_that_comes_as_ever_another_machine_is_refused_in_the_end() {
    let mut state = state(&[(1, 1)]);
    let machines = (1..=u8::MAX).map(|machine| Request { machine, ..FIRST });
    let mut let_in = 0;
    for request in machines {
        match ask(request, &state, NOW) {
            Ok(admission) => {
                admit(admission, 1, &mut state);
                let_in += 1;
            }
            Err(Refused::Untold(refusal) | Refused::Told(refusal)) => {
                let detail = refusal.detail;
                assert!(detail.contains("as 9 machines"), "{detail}");
                break;
            }
        }
    }
    assert_eq!(let_in, MAX_MOVES + 1);
}
