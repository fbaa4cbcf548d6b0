use std::sync::Arc;

use dockmaster_host::Observation;
use dockmaster_proto::{event::LeaseCause, facts::ContainerFacts};

use super::{super::Binding, *};
use crate::testing::{facts, host, observe};

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
        source: Origin::direct(source.parse().unwrap()),
        binding: Arc::new(Binding::new([0; 32])),
        renewing: None,
    }
}

fn claimed(facts: &ContainerFacts) -> Claimed {
    Claimed {
        container: facts.id,
        facts: facts.clone(),
        further: Vec::new(),
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
    let web = recent(1, &["172.17.0.2", "172.18.0.2"]);
    let grant = decide(
        &applicant("172.17.0.2"),
        &claimed(&web),
        &state(std::slice::from_ref(&web)),
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
    assert!(matches!(grant.evidence[..], [Evidence::Host { .. }]));
}

#[test]
fn an_address_outside_the_permitted_ranges_is_refused_or_left_out() {
    let web = recent(1, &["172.17.0.2", "203.0.113.9"]);
    let state = state(std::slice::from_ref(&web));
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
    let (first, second) = (recent(1, &["172.17.0.2"]), recent(2, &["172.17.0.2"]));
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
    let gone = recent(9, &["172.17.0.9"]);
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
    let (mine, other) = (recent(1, &["172.17.0.2"]), recent(2, &["172.17.0.3"]));
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
        ..recent(1, &[])
    };
    let refusal = Refusal::no_lease("10.0.0.1".parse().unwrap(), &state(&[shared]));
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
