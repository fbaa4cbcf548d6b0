mod sockets;

use std::sync::Arc;

use dockmaster_host::{Observation, socket::Connection};
use dockmaster_proto::{
    event::{CertIssued, Event, LeaseCause, RequestApproved, RequestDenied},
    facts::{Attachment, ContainerFacts, NetworkMode},
    id::{ContainerId, RequestId},
    spiffe::SpiffeId,
};

use super::{super::Binding, *};
use crate::{
    lifetime::Lifetime,
    origin::Origin,
    policy::parse,
    state::requests::{MAX_OF_CONTAINER, MAX_OF_HOST, MAX_REQUESTS},
    testing::{apply, facts, host, id, observe},
};

const NOW: UnixMs = UnixMs(1_800_000_000_000);

/// A container that was started a minute ago.
fn recent(container: u8, ips: &[&str]) -> ContainerFacts {
    ContainerFacts {
        started_at_ms: UnixMs(NOW.0 - 60_000),
        ..facts(container, ips)
    }
}

fn state(containers: &[ContainerFacts]) -> State {
    let mut state = State::default();
    state.watch_here(host());
    for facts in containers {
        observe(&mut state, &Observation::Up(facts.clone()));
    }
    state
}

fn applicant(source: &str) -> Applicant {
    Applicant {
        connection: Connection {
            source: SocketAddr::new(source.parse().unwrap(), 40312),
            local: "172.17.0.1:8140".parse().unwrap(),
        },
        relay: None,
        binding: Arc::new(Binding::new([0; 32])),
        renewing: None,
    }
}

fn claimed(facts: &ContainerFacts) -> Claimed {
    Claimed {
        container: facts.id,
        host: host(),
        facts: facts.clone(),
        socket: SocketVerdict::Owned { pid: 7 },
        further: Vec::new(),
    }
}

fn policy() -> Policy {
    Policy {
        trust_domain: "example.internal".parse().unwrap(),
        rules: Rules::unwritten("1h".parse::<Lifetime>().unwrap()),
    }
}

/// The certificate that an applicant gets under a policy.
fn decide_by(
    policy: &Policy,
    applicant: &Applicant,
    claimed: &Claimed,
    state: &State,
) -> Result<Decision, Refusal> {
    let given = Given {
        state,
        policy,
        permits: &private,
        now: NOW,
    };
    super::decide(applicant, claimed, &key(1), &given)
}

/// The certificate that an applicant gets where no policy is written.
fn decide(applicant: &Applicant, claimed: &Claimed, state: &State) -> Result<Grant, Refusal> {
    decide_by(&policy(), applicant, claimed, state).map(granted)
}

fn granted(decision: Decision) -> Grant {
    match decision {
        Decision::Grant(grant) => grant,
        other => panic!("no grant: {other:?}"),
    }
}

fn key(number: u8) -> Digest {
    Digest::of(&[number])
}

fn private(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_private())
}

#[test]
fn a_holder_gets_its_addresses_with_their_epochs_and_nothing_from_before_its_start() {
    let web = recent(1, &["172.17.0.2", "172.18.0.2"]);
    let grant = decide(
        &applicant("172.17.0.2"),
        &claimed(&web),
        &state(std::slice::from_ref(&web)),
    )
    .unwrap();
    let held: Vec<String> = grant
        .addresses
        .iter()
        .map(|held| format!("{} {}", held.address, held.epoch))
        .collect();
    assert_eq!(held, ["h1/bridge/172.17.0.2 1", "h1/bridge/172.18.0.2 1"]);
    assert_eq!(grant.validity.not_before, web.started_at_ms);
    assert_eq!(grant.validity.not_after, NOW.plus_ms(3_600_000));
    assert!(matches!(
        grant.evidence[..],
        [Evidence::Host { .. }, Evidence::Socket { pid: 7, .. }]
    ));
}

#[test]
fn an_address_outside_the_permitted_ranges_is_refused_or_left_out() {
    let web = recent(1, &["172.17.0.2", "203.0.113.9"]);
    let state = state(std::slice::from_ref(&web));
    let ask = |source| decide(&applicant(source), &claimed(&web), &state);
    assert_eq!(
        ask("203.0.113.9").unwrap_err().code,
        ProblemCode::AddressNotPermitted
    );
    assert_eq!(ask("172.17.0.2").unwrap().addresses.len(), 1);
}

#[test]
fn a_lease_that_closed_meanwhile_is_no_claim() {
    let (first, second) = (recent(1, &["172.17.0.2"]), recent(2, &["172.17.0.2"]));
    let state = state(&[first.clone(), second]);
    // The host confirmed the first a moment ago; since then the address changed hands.
    let refusal = decide(&applicant("172.17.0.2"), &claimed(&first), &state).unwrap_err();
    assert_eq!(refusal.code, ProblemCode::NoLease);
    let gone = recent(9, &["172.17.0.9"]);
    let refusal = decide(&applicant("172.17.0.9"), &claimed(&gone), &state).unwrap_err();
    assert_eq!(refusal.code, ProblemCode::NoLease);
}

#[test]
fn nobody_renews_for_another_container() {
    let (mine, other) = (recent(1, &["172.17.0.2"]), recent(2, &["172.17.0.3"]));
    let state = state(&[mine.clone(), other.clone()]);
    let applicant = Applicant {
        renewing: Some(other.id),
        ..applicant("172.17.0.2")
    };
    let refusal = decide(&applicant, &claimed(&mine), &state).unwrap_err();
    assert_eq!(refusal.code, ProblemCode::CertificateRevoked);
}

#[test]
fn a_container_on_the_host_network_is_told_why_it_gets_nothing() {
    let shared = ContainerFacts {
        network_mode: NetworkMode::Host,
        ..recent(1, &[])
    };
    let refusal = Refusal::no_lease(
        &Origin::direct("10.0.0.1".parse().unwrap()),
        &state(&[shared]),
    );
    assert!(refusal.hint.contains("--network host"), "{}", refusal.hint);
}

#[test]
fn the_end_of_the_container_is_the_end_of_the_claim() {
    let web = recent(1, &["172.17.0.2"]);
    let mut state = state(std::slice::from_ref(&web));
    observe(
        &mut state,
        &Observation::Down {
            id: web.id,
            cause: LeaseCause::Died,
        },
    );
    assert!(decide(&applicant("172.17.0.2"), &claimed(&web), &state).is_err());
}

#[test]
fn renewal_falls_around_half_life_and_spreads() {
    let at = |last| {
        let mut serial = [0; 16];
        serial[15] = last;
        renew_at(UnixMs(0), UnixMs(1000), &Serial::from_bytes(serial)).0
    };
    assert_eq!((at(0), at(255)), (400, 600));
}

fn written(policy: &str) -> Policy {
    use dockmaster_document::{diagnostic::SourceFile, fields::Fields, yaml};
    let file = SourceFile {
        name: "f",
        text: policy,
    };
    let document = yaml::parse(policy).unwrap();
    let mut wrong = Vec::new();
    let fields = Fields::of(file, &document, "it", &["policy"], &mut wrong);
    let rules = parse(file, &fields, Lifetime::default(), &mut wrong);
    assert_eq!(wrong, []);
    Policy {
        rules,
        ..self::policy()
    }
}

const HOLD: &str = "policy: [{name: look, verdict: hold, reason: look at it, lifetime: 2h}]";

fn ask(policy: &Policy, state: &State, number: u8) -> Result<Decision, Refusal> {
    ask_with(policy, state, &web(), None, number)
}

fn ask_with(
    policy: &Policy,
    state: &State,
    asking: &ContainerFacts,
    renewing: Option<ContainerId>,
    number: u8,
) -> Result<Decision, Refusal> {
    let given = Given {
        state,
        policy,
        permits: &private,
        now: NOW,
    };
    let applicant = Applicant {
        renewing,
        ..applicant(&asking.attachments[0].ips[0].to_string())
    };
    super::decide(&applicant, &claimed(asking), &key(number), &given)
}

fn web() -> ContainerFacts {
    recent(1, &["172.17.0.2"])
}

fn hold(state: &mut State, decision: Result<Decision, Refusal>) -> RequestHeld {
    let Ok(Decision::Hold(held)) = decision else {
        panic!("not held: {decision:?}");
    };
    apply(state, Event::RequestHeld(held.clone()));
    held
}

fn approve(state: &mut State, held: &RequestHeld) {
    let approved = RequestApproved {
        request: held.request,
        container: held.container,
        spki_sha256: held.spki_sha256,
        operator: "ada".parse().unwrap(),
    };
    apply(state, Event::RequestApproved(approved));
}

fn deny(state: &mut State, held: &RequestHeld) {
    let denied = RequestDenied {
        request: held.request,
        container: held.container,
        operator: "ada".parse().unwrap(),
        reason: "not yet".into(),
    };
    apply(state, Event::RequestDenied(denied));
}

/// Takes up the issuance of a grant; its serial.
fn issue(state: &mut State, grant: &Grant) -> Serial {
    let serial = Serial::from_bytes([7; 16]);
    let subject: SpiffeId = format!("spiffe://td/host/h1/container/{}", grant.container)
        .parse()
        .unwrap();
    let issued = CertIssued {
        subject,
        container: Some(grant.container),
        host: Some(grant.host.clone()),
        addresses: grant.addresses.clone(),
        ips: vec![],
        serial,
        issuer_key_id: String::new(),
        not_before_ms: grant.validity.not_before,
        not_after_ms: grant.validity.not_after,
        spki_sha256: key(1),
        der_sha256: key(1),
        evidence: grant.evidence.clone(),
        rule: grant.rule.clone(),
        prev: None,
        policy_sha256: Some(grant.policy_sha256),
    };
    apply(state, Event::CertIssued(issued));
    serial
}

#[test]
fn a_request_that_is_held_waits_and_is_granted_to_the_key_that_was_approved() {
    let (policy, mut state) = (written(HOLD), state(&[web()]));
    let asked = ask(&policy, &state, 1);
    let held = hold(&mut state, asked);
    assert_eq!(
        (held.rule.as_str(), held.reason.as_str()),
        ("look", "look at it")
    );
    assert_eq!(ask(&policy, &state, 1), Ok(Decision::Wait(held.clone())));
    approve(&mut state, &held);
    let grant = granted(ask(&policy, &state, 1).unwrap());
    assert!(matches!(
        &grant.evidence[..],
        [Evidence::Host { .. }, Evidence::Socket { .. }, Evidence::Operator { operator, .. }] if operator.as_str() == "ada"
    ));
    assert_eq!(grant.rule, "look");
    assert_eq!(grant.policy_sha256, policy.rules.sha256());
    assert_eq!(grant.validity.not_after, NOW.plus_ms(2 * 3_600_000));
    // Another key of the same container has to wait for a word of its own.
    assert!(matches!(ask(&policy, &state, 2), Ok(Decision::Hold(_))));
}

#[test]
fn an_approval_burns_with_its_certificate_and_renewals_go_on_from_that() {
    let (policy, mut state) = (written(HOLD), state(&[web()]));
    let asked = ask(&policy, &state, 1);
    let held = hold(&mut state, asked);
    approve(&mut state, &held);
    let grant = granted(ask(&policy, &state, 1).unwrap());
    issue(&mut state, &grant);
    assert!(matches!(ask(&policy, &state, 1), Ok(Decision::Hold(_))));
    let renewal = ask_with(&policy, &state, &web(), Some(id(1)), 2).unwrap();
    let renewed = granted(renewal);
    assert_eq!(renewed.evidence[2].kind(), EvidenceKind::Operator);
    // The container is started again: nobody has approved this run.
    let again = ContainerFacts {
        started_at_ms: UnixMs(NOW.0 - 1),
        ..web()
    };
    observe(&mut state, &Observation::Up(again.clone()));
    let asked = ask_with(&policy, &state, &again, None, 1);
    assert!(matches!(asked, Ok(Decision::Hold(_))), "{asked:?}");
}

#[test]
fn an_approval_does_not_outlive_a_policy_that_denies() {
    let (policy, mut state) = (written(HOLD), state(&[web()]));
    let asked = ask(&policy, &state, 1);
    let held = hold(&mut state, asked);
    approve(&mut state, &held);
    let stricter = written("policy: [{name: never, verdict: deny, reason: no}]");
    let refusal = ask(&stricter, &state, 1).unwrap_err();
    assert_eq!(refusal.code, ProblemCode::DeniedByPolicy);
    assert_eq!(refusal.rule, "never");
}

#[test]
fn a_denial_is_for_the_run_whatever_key_it_makes() {
    let (policy, mut state) = (written(HOLD), state(&[web()]));
    let asked = ask(&policy, &state, 1);
    let held = hold(&mut state, asked);
    deny(&mut state, &held);
    for number in [1, 2] {
        let refusal = ask(&policy, &state, number).unwrap_err();
        assert_eq!(refusal.code, ProblemCode::RequestDenied);
        assert!(refusal.detail.contains("ada") && refusal.detail.contains("not yet"));
    }
    let again = ContainerFacts {
        started_at_ms: UnixMs(NOW.0 - 1),
        ..web()
    };
    observe(&mut state, &Observation::Up(again.clone()));
    let asked = ask_with(&policy, &state, &again, None, 1);
    assert!(matches!(asked, Ok(Decision::Hold(_))), "{asked:?}");
}

#[test]
fn no_container_fills_the_list_of_requests_and_neither_do_all() {
    let (policy, mut state) = (written(HOLD), state(&[web()]));
    for number in 0..MAX_OF_CONTAINER {
        let asked = ask(&policy, &state, u8::try_from(number).unwrap());
        hold(&mut state, asked);
    }
    let refusal = ask(&policy, &state, 99).unwrap_err();
    assert_eq!(refusal.code, ProblemCode::TooManyRequests);
    assert!(refusal.hint.contains("request list"), "{}", refusal.hint);
    // Those that wait still do.
    assert!(matches!(ask(&policy, &state, 0), Ok(Decision::Wait(_))));

    let (_, mut state) = ((), self::state(&[web()]));
    let asked = ask(&policy, &state, 1);
    let Ok(Decision::Hold(held)) = asked else {
        panic!("{asked:?}");
    };
    for number in 0..MAX_REQUESTS as u64 {
        let other = RequestHeld {
            request: RequestId::from_bytes(number.to_be_bytes()),
            container: id(9),
            ..held.clone()
        };
        apply(&mut state, Event::RequestHeld(other));
    }
    let refusal = ask(&policy, &state, 1).unwrap_err();
    assert_eq!(refusal.code, ProblemCode::TooManyRequests);
}

#[test]
fn a_further_host_fills_its_part_of_the_list_of_requests_and_no_more() {
    let (policy, mut state) = (written(HOLD), state(&[web()]));
    let asked = ask(&policy, &state, 1);
    let Ok(Decision::Hold(own)) = asked else {
        panic!("{asked:?}");
    };
    let theirs = |number: u64| RequestHeld {
        request: RequestId::from_bytes(number.to_be_bytes()),
        container: ContainerId::from_bytes([u8::try_from(number % 251).unwrap(); 32]),
        spki_sha256: Digest::of(&number.to_be_bytes()),
        host: "h2".parse().unwrap(),
        ..own.clone()
    };
    for number in 0..MAX_OF_HOST as u64 {
        apply(&mut state, Event::RequestHeld(theirs(number)));
    }
    let refusal = held::decide(theirs(9_999), &state, NOW).unwrap_err();
    assert!(refusal.detail.contains("of its host"), "{}", refusal.detail);
    assert!(matches!(ask(&policy, &state, 2), Ok(Decision::Hold(_))));
}

#[test]
fn an_address_that_the_policy_would_hold_does_not_come_along_with_another() {
    let policy = written(
        "policy:
  - {name: front, networks: [h1/bridge], verdict: issue, lifetime: 4h}
  - {name: side, networks: [h1/side], verdict: issue, lifetime: 1h}
  - {name: rest, verdict: hold, reason: look}
",
    );
    let network = |name: &str, ip: &str| Attachment {
        network: name.parse().unwrap(),
        ips: vec![ip.parse().unwrap()],
    };
    let mut both = web();
    both.attachments.push(network("h1/back", "172.18.0.2"));
    let two = state(std::slice::from_ref(&both));
    let grant = granted(ask_with(&policy, &two, &both, None, 1).unwrap());
    let networks: Vec<&str> = grant
        .addresses
        .iter()
        .map(|held| held.address.network.as_str())
        .collect();
    assert_eq!(networks, ["h1/bridge"]);
    assert_eq!(grant.validity.not_after, NOW.plus_ms(4 * 3_600_000));
    // Of several lifetimes the shortest counts.
    both.attachments.push(network("h1/side", "172.19.0.2"));
    let three = state(std::slice::from_ref(&both));
    let grant = granted(ask_with(&policy, &three, &both, None, 1).unwrap());
    assert_eq!(grant.addresses.len(), 2);
    assert_eq!(grant.validity.not_after, NOW.plus_ms(3_600_000));
}
