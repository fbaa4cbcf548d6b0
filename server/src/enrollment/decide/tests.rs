use std::sync::Arc;

use dockmaster_host::{Observation, socket::Connection};
use dockmaster_proto::{
    event::{CertIssued, Event, LeaseCause},
    facts::{ContainerFacts, NetworkMode},
};

use super::{super::Binding, *};
use crate::testing::{apply, facts, observe};

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
        binding: Arc::new(Binding::new([0; 32])),
        renewing: None,
    }
}

fn claimed(facts: &ContainerFacts) -> Claimed {
    Claimed {
        container: facts.id,
        facts: facts.clone(),
        socket: SocketVerdict::Owned { pid: 7 },
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
    assert!(matches!(
        grant.evidence[..],
        [Evidence::Host { .. }, Evidence::Socket { pid: 7, .. }]
    ));
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

/// A container in the network namespace of the first one.
fn sidecar() -> ContainerFacts {
    ContainerFacts {
        network_mode: NetworkMode::Container(format!("{}", crate::testing::id(1))),
        ..recent(2, &[])
    }
}

fn with(socket: SocketVerdict, facts: &ContainerFacts) -> Claimed {
    Claimed {
        socket,
        ..claimed(facts)
    }
}

fn unavailable(sharing: &[ContainerId]) -> SocketVerdict {
    SocketVerdict::Unavailable {
        why: "no root".to_owned(),
        sharing: sharing.to_vec(),
    }
}

/// The entry of an issuance.
fn issued(serial: Serial, grant: &Grant) -> CertIssued {
    let subject = format!("spiffe://td/host/h1/container/{}", grant.container);
    CertIssued {
        subject: subject.parse().unwrap(),
        container: Some(grant.container),
        host: Some(grant.host.clone()),
        addresses: grant.addresses.clone(),
        ips: vec![],
        serial,
        issuer_key_id: String::new(),
        not_before_ms: UnixMs(0),
        not_after_ms: NOW,
        spki_sha256: Digest::of(b""),
        der_sha256: Digest::of(b""),
        evidence: grant.evidence.clone(),
        rule: grant.rule.clone(),
        prev: None,
    }
}

/// What comes of a request from the first container's address.
fn ask(claimed: &Claimed, renewing: Option<ContainerId>) -> Result<Grant, ProblemCode> {
    let state = state(&[recent(1, &["172.17.0.2"]), sidecar()]);
    let applicant = Applicant {
        renewing,
        ..applicant("172.17.0.2")
    };
    decide(&applicant, claimed, &state, &policy(), private, NOW).map_err(|refusal| {
        assert!(!refusal.hint.is_empty());
        refusal.code
    })
}

#[test]
fn a_connection_that_is_not_the_holders_is_refused() {
    let web = recent(1, &["172.17.0.2"]);
    for socket in [SocketVerdict::NotThere, SocketVerdict::Foreign] {
        let refused = ask(&with(socket, &web), None);
        assert_eq!(refused.unwrap_err(), ProblemCode::SocketMismatch);
    }
}

#[test]
fn where_the_host_cannot_tell_its_word_for_the_address_is_enough_and_the_rule_says_so() {
    let web = recent(1, &["172.17.0.2"]);
    let grant = ask(&with(unavailable(&[]), &web), None).unwrap();
    assert!(matches!(grant.evidence[..], [Evidence::Host { .. }]));
    assert!(
        grant.rule.contains("no socket evidence: no root"),
        "{}",
        grant.rule
    );
}

#[test]
fn who_shares_an_address_gets_it_never_and_a_name_of_its_own_only_by_its_socket() {
    let (web, sidecar) = (recent(1, &["172.17.0.2"]), sidecar());
    let own = SocketVerdict::Owned { pid: 8 };
    let grant = ask(&with(own, &sidecar), None).unwrap();
    assert_eq!((grant.container, grant.addresses), (sidecar.id, vec![]));
    assert!(grant.rule.contains("shares"), "{}", grant.rule);
    let blind = with(unavailable(&[]), &sidecar);
    assert_eq!(
        ask(&blind, None).unwrap_err(),
        ProblemCode::AmbiguousAddress
    );
    // It may be the neighbour or the holder that asks: neither gets the holder's.
    let either = with(unavailable(&[sidecar.id]), &web);
    assert_eq!(
        ask(&either, None).unwrap_err(),
        ProblemCode::AmbiguousAddress
    );
    // A renewal is by the holder's own key.
    assert!(ask(&either, Some(web.id)).is_ok());
    assert_eq!(
        ask(&either, Some(sidecar.id)).unwrap_err(),
        ProblemCode::CertificateRevoked
    );
}

#[test]
fn a_certificate_for_other_addresses_ends_certificates_for_fewer() {
    let before = recent(1, &["172.17.0.2"]);
    let mut state = state(std::slice::from_ref(&before));
    let issue = |state: &State, facts: &ContainerFacts| {
        decide(
            &applicant("172.17.0.2"),
            &claimed(facts),
            state,
            &policy(),
            private,
            NOW,
        )
        .unwrap()
    };
    let first = issue(&state, &before);
    assert_eq!(first.superseded, []);
    let serial = Serial::from_bytes([1; 16]);
    apply(&mut state, Event::CertIssued(issued(serial, &first)));
    assert_eq!(issue(&state, &before).superseded, [], "the same addresses");
    let after = recent(1, &["172.17.0.2", "172.18.0.2"]);
    observe(&mut state, &Observation::Up(after.clone()));
    let grant = issue(&state, &after);
    assert_eq!(grant.superseded, [serial]);
    let node = state.node(&after.id).unwrap();
    assert_ne!(node.certificate(&serial).unwrap().held, node.addresses);
    let renewed = Serial::from_bytes([2; 16]);
    apply(&mut state, Event::CertRenewed(issued(renewed, &grant)));
    let node = state.node(&after.id).unwrap();
    assert_eq!(node.certificate(&renewed).unwrap().held, node.addresses);
}
