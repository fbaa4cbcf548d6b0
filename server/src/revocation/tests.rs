use dockmaster_host::Observation;
use dockmaster_proto::{
    event::{CertIssued, Evidence, HeldAddress, HostEnrolled, OperatorGranted, Reach},
    id::Digest,
    revocation::RevocationReason,
    time::UnixMs,
};

use super::*;
use crate::testing::{apply, facts, host, id, observe};

fn serial(last: u8) -> Serial {
    Serial::from_bytes([last; 16])
}

fn certify(state: &mut State, last: u8) {
    apply(
        state,
        Event::CertIssued(CertIssued {
            subject: format!("spiffe://td/host/h1/container/{}", id(1))
                .parse()
                .unwrap(),
            container: Some(id(1)),
            host: Some(host()),
            addresses: vec![HeldAddress {
                address: "h1/bridge/172.17.0.2".parse().unwrap(),
                epoch: 1,
            }],
            ips: vec![],
            serial: serial(last),
            issuer_key_id: "aa".into(),
            not_before_ms: UnixMs(0),
            not_after_ms: UnixMs(9_000_000),
            spki_sha256: Digest::of(b""),
            der_sha256: Digest::of(b""),
            evidence: vec![Evidence::Master],
            rule: String::new(),
            policy_sha256: None,
            prev: None,
        }),
    );
}

/// A node with two certificates, one without any, and an operator.
fn state() -> State {
    let mut state = State::default();
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    observe(&mut state, &Observation::Up(facts(2, &["172.17.0.3"])));
    certify(&mut state, 1);
    certify(&mut state, 2);
    let granted = OperatorGranted {
        operator: "ada".parse().unwrap(),
        role: "admin".into(),
        serial: serial(7),
        not_after_ms: UnixMs(9_000_000),
        der_sha256: Digest::of(b""),
        issuer_key_id: String::new(),
    };
    apply(&mut state, Event::OperatorGranted(granted));
    state
}

fn request(target: RevocationTarget, afterwards: Afterwards) -> RevocationRequest {
    RevocationRequest {
        target,
        reason: RevocationReason::KeyCompromise,
        message: String::new(),
        afterwards,
    }
}

fn node(name: &str) -> RevocationTarget {
    RevocationTarget::Node(name.into())
}

#[test]
fn what_was_issued_while_a_revocation_was_on_its_way_ends_too() {
    let state = state();
    let node = state.node(&id(1)).unwrap();
    let [newest, oldest] = &node.certificates[..] else {
        panic!("{:?}", node.certificates);
    };
    let whole = RevocationRequest {
        target: RevocationTarget::Node(id(1).to_string()),
        reason: RevocationReason::KeyCompromise,
        message: String::new(),
        afterwards: Afterwards::MayEnroll,
    };
    assert_eq!(overtaken(&whole, node, oldest.index), []);
    let events = overtaken(&whole, node, newest.index);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].serial(), Some(&oldest.serial));
    // Who names one certificate means that one.
    let one = RevocationRequest {
        target: RevocationTarget::Serial(newest.serial),
        ..whole
    };
    assert_eq!(overtaken(&one, node, u64::MAX), []);
}

#[test]
fn a_node_loses_all_its_certificates_and_may_enroll_again() {
    let mut state = state();
    let request = request(node("c1"), Afterwards::MayEnroll);
    let (events, revoked) = decide(&request, None, &state).unwrap();
    assert_eq!(revoked.serials, [serial(2), serial(1)]);
    for event in events {
        apply(&mut state, event);
    }
    let c1 = state.node(&id(1)).unwrap();
    assert!(c1.certificates.is_empty());
    assert!(state.ban(&id(1)).is_none());
    let listed: Vec<_> = state.revocations().iter().collect();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .all(|revoked| revoked.reason == RevocationReason::KeyCompromise
                && revoked.issuer_key_id == "aa")
    );
}

#[test]
fn one_certificate_is_revoked_by_its_serial_and_the_other_stays() {
    let mut state = state();
    let target = RevocationTarget::Serial(serial(1));
    let (events, _) = decide(&request(target, Afterwards::MayEnroll), None, &state).unwrap();
    for event in events {
        apply(&mut state, event);
    }
    let c1 = state.node(&id(1)).unwrap();
    assert!(c1.honours(&serial(2)) && !c1.honours(&serial(1)));
}

#[test]
fn a_ban_comes_before_the_revocations_and_needs_no_certificate() {
    let state = state();
    let (events, _) = decide(&request(node("c1"), Afterwards::Banned), None, &state).unwrap();
    let names: Vec<_> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["node_banned", "cert_revoked", "cert_revoked"]);
    let (events, _) = decide(&request(node("c2"), Afterwards::Banned), None, &state).unwrap();
    assert_eq!(events.len(), 1);
    let without = decide(&request(node("c2"), Afterwards::MayEnroll), None, &state);
    assert_eq!(without, Err(RevocationRefused::NoCertificate("c2".into())));
}

#[test]
fn an_operator_is_revoked_by_another_and_is_never_banned() {
    let mut state = state();
    let target = RevocationTarget::Serial(serial(7));
    let plain = request(target.clone(), Afterwards::MayEnroll);
    assert_eq!(
        decide(&plain, Some(&serial(7)), &state),
        Err(RevocationRefused::Own(serial(7)))
    );
    let ban = request(target, Afterwards::Banned);
    assert_eq!(
        decide(&ban, None, &state),
        Err(RevocationRefused::BanOfOperator("ada".into()))
    );
    let (events, _) = decide(&plain, None, &state).unwrap();
    for event in events {
        apply(&mut state, event);
    }
    assert!(state.operator(&serial(7)).is_none());
}

#[test]
fn a_hosts_certificate_is_not_revoked_but_the_host_named() {
    let mut state = state();
    let enrolled = HostEnrolled {
        host: "h2".parse().unwrap(),
        cidrs: vec![],
        reach: Reach::Relay,
        serial: serial(8),
        spki_sha256: Digest::of(b""),
        not_after_ms: UnixMs(9_000_000),
    };
    apply(&mut state, Event::HostEnrolled(enrolled));
    let issued = CertIssued {
        subject: "spiffe://td/host/h2".parse().unwrap(),
        container: None,
        host: None,
        addresses: vec![],
        ips: vec![],
        serial: serial(8),
        issuer_key_id: "aa".into(),
        not_before_ms: UnixMs(0),
        not_after_ms: UnixMs(9_000_000),
        spki_sha256: Digest::of(b""),
        der_sha256: Digest::of(b""),
        evidence: vec![],
        rule: String::new(),
        policy_sha256: None,
        prev: None,
    };
    apply(&mut state, Event::CertIssued(issued));
    let target = RevocationTarget::Serial(serial(8));
    let refused = decide(&request(target, Afterwards::MayEnroll), None, &state);
    let host = "h2".parse().unwrap();
    assert_eq!(refused, Err(RevocationRefused::OfHost(serial(8), host)));
}

#[test]
fn what_does_not_count_cannot_be_revoked() {
    let target = RevocationTarget::Serial(serial(9));
    assert_eq!(
        decide(&request(target, Afterwards::MayEnroll), None, &state()),
        Err(RevocationRefused::NotCurrent(serial(9)))
    );
}
