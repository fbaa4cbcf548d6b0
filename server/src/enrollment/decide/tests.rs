use std::collections::BTreeMap;

use dockmaster_host::Observation;
use dockmaster_proto::{
    event::{ENTRY_VERSION, Entry, LeaseCause},
    facts::{Attachment, ContainerFacts, Limits},
};

use super::*;
use crate::leases;

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn facts(container: u8, ips: &[&str]) -> ContainerFacts {
    let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    ContainerFacts {
        id: ContainerId::from_bytes([container; 32]),
        name: format!("c{container}"),
        image: "app:1".into(),
        image_digest: "sha256:00".into(),
        labels: BTreeMap::new(),
        started_at_ms: UnixMs(NOW.0 - 60_000),
        limits: Limits::default(),
        network_mode: NetworkMode::Own,
        attachments: vec![Attachment {
            network: "h1/bridge".parse().unwrap(),
            ips,
        }],
    }
}

fn observe(state: &mut State, observation: &Observation) {
    let host: Name = "h1".parse().unwrap();
    for event in leases::decide(observation, &host, state) {
        let index = state.size();
        let entry = Entry {
            v: ENTRY_VERSION,
            ts_ms: UnixMs(index),
            event,
            request_id: String::new(),
            actor: String::new(),
            master: host.clone(),
        };
        state.apply(index, &entry);
    }
}

fn state(containers: &[ContainerFacts]) -> State {
    let mut state = State::default();
    for facts in containers {
        observe(&mut state, &Observation::Up(facts.clone()));
    }
    state
}

fn applicant(source: &str) -> Applicant {
    Applicant {
        source: source.parse().unwrap(),
        binding: [0; 32],
        renewing: None,
    }
}

fn claimed(facts: &ContainerFacts) -> Claimed {
    Claimed {
        container: facts.id,
        facts: facts.clone(),
    }
}

fn policy() -> Policy {
    Policy {
        trust_domain: "example.internal".parse().unwrap(),
        lifetime_ms: 3_600_000,
    }
}

fn private(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_private())
}

#[test]
fn a_holder_gets_its_addresses_with_their_epochs_and_nothing_from_before_its_start() {
    let web = facts(1, &["172.17.0.2", "172.18.0.2"]);
    let grant = decide(
        &applicant("172.17.0.2"),
        &claimed(&web),
        &state(&[web.clone()]),
        &policy(),
        private,
        NOW,
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
    assert!(matches!(grant.evidence, Evidence::Host { .. }));
}

#[test]
fn an_address_outside_the_permitted_ranges_is_refused_or_left_out() {
    let web = facts(1, &["172.17.0.2", "203.0.113.9"]);
    let state = state(&[web.clone()]);
    let ask = |source| {
        decide(
            &applicant(source),
            &claimed(&web),
            &state,
            &policy(),
            private,
            NOW,
        )
    };
    assert_eq!(
        ask("203.0.113.9").unwrap_err().code,
        ProblemCode::AddressNotPermitted
    );
    assert_eq!(ask("172.17.0.2").unwrap().addresses.len(), 1);
}

#[test]
fn a_lease_that_closed_meanwhile_is_no_claim() {
    let (first, second) = (facts(1, &["172.17.0.2"]), facts(2, &["172.17.0.2"]));
    let state = state(&[first.clone(), second]);
    // The host confirmed the first a moment ago; since then the address changed hands.
    let refusal = decide(
        &applicant("172.17.0.2"),
        &claimed(&first),
        &state,
        &policy(),
        private,
        NOW,
    )
    .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::NoLease);
    let gone = facts(9, &["172.17.0.9"]);
    let refusal = decide(
        &applicant("172.17.0.9"),
        &claimed(&gone),
        &state,
        &policy(),
        private,
        NOW,
    )
    .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::NoLease);
}

#[test]
fn nobody_renews_for_another_container() {
    let (mine, other) = (facts(1, &["172.17.0.2"]), facts(2, &["172.17.0.3"]));
    let state = state(&[mine.clone(), other.clone()]);
    let applicant = Applicant {
        renewing: Some(other.id),
        ..applicant("172.17.0.2")
    };
    let refusal = decide(&applicant, &claimed(&mine), &state, &policy(), private, NOW).unwrap_err();
    assert_eq!(refusal.code, ProblemCode::CertificateRevoked);
}

#[test]
fn a_container_on_the_host_network_is_told_why_it_gets_nothing() {
    let shared = ContainerFacts {
        network_mode: NetworkMode::Host,
        ..facts(1, &[])
    };
    let refusal = Refusal::no_lease("10.0.0.1".parse().unwrap(), &state(&[shared]));
    assert!(refusal.hint.contains("--network host"), "{}", refusal.hint);
}

#[test]
fn the_end_of_the_container_is_the_end_of_the_claim() {
    let web = facts(1, &["172.17.0.2"]);
    let mut state = state(&[web.clone()]);
    observe(
        &mut state,
        &Observation::Down {
            id: web.id,
            cause: LeaseCause::Died,
        },
    );
    assert!(
        decide(
            &applicant("172.17.0.2"),
            &claimed(&web),
            &state,
            &policy(),
            private,
            NOW
        )
        .is_err()
    );
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
