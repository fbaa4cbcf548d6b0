use dockmaster_host::Observation;
use dockmaster_proto::{
    event::{
        CertIssued, Event, Evidence, HeldAddress, HostEnrolled, HostEvicted, HostWatched,
        LeaseCause, LeaseClosed, MasterStarted, OperatorGranted, Reach,
    },
    id::Digest,
};

use super::*;
use crate::testing::{apply, facts, host, id, observe};

const NOW: UnixMs = UnixMs(1000);

fn serial(last: u8) -> Serial {
    Serial::from_bytes([last; 16])
}

fn peer(ip: &str, principal: &str, serial: Serial) -> Peer {
    let identity = PeerIdentity {
        id: format!("spiffe://td{principal}").parse().unwrap(),
        serial,
        not_after: UnixMs(2000),
        ips: vec![],
        addresses: vec![],
        role: None,
    };
    Peer {
        address: format!("{ip}:999").parse().unwrap(),
        relay: None,
        local: "10.0.0.1:8140".parse().unwrap(),
        identity: Some(identity),
        binding: Arc::new(Binding::new([0; 32])),
        flow: Arc::default(),
        slots: Slots::default(),
        seat: None,
    }
}

fn node_peer(ip: &str) -> Peer {
    peer(ip, &format!("/host/h1/container/{}", id(1)), serial(1))
}

fn lease() -> HeldAddress {
    HeldAddress {
        address: "h1/bridge/172.17.0.2".parse().unwrap(),
        epoch: 1,
    }
}

fn state() -> State {
    let mut state = State::default();
    state.watch_here(host());
    apply(
        &mut state,
        Event::HostWatched(HostWatched {
            host: host(),
            containers: 0,
        }),
    );
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    apply(
        &mut state,
        Event::CertIssued(CertIssued {
            subject: format!("spiffe://td/host/h1/container/{}", id(1))
                .parse()
                .unwrap(),
            container: Some(id(1)),
            host: Some(host()),
            addresses: vec![lease()],
            ips: vec![],
            serial: serial(1),
            issuer_key_id: String::new(),
            not_before_ms: UnixMs(0),
            not_after_ms: UnixMs(2000),
            spki_sha256: Digest::of(b""),
            der_sha256: Digest::of(b""),
            evidence: vec![Evidence::Master],
            rule: String::new(),
            prev: None,
            policy_sha256: None,
        }),
    );
    let granted = OperatorGranted {
        operator: "ada".parse().unwrap(),
        role: "admin".into(),
        serial: serial(7),
        not_after_ms: UnixMs(2000),
        der_sha256: Digest::of(b""),
        issuer_key_id: String::new(),
    };
    apply(&mut state, Event::OperatorGranted(granted));
    state
}

fn code(route: Route, peer: &Peer, state: &State, now: UnixMs) -> Option<ProblemCode> {
    authorise(route, peer, state, now)
        .err()
        .map(|problem| problem.code)
}

#[test]
fn a_node_is_its_current_certificate_shown_from_its_own_address() {
    let mut state = state();
    assert_eq!(
        authorise(Route::Catalog, &node_peer("172.17.0.2"), &state, NOW),
        Ok(Caller::Node(id(1)))
    );
    assert_eq!(
        code(Route::Catalog, &node_peer("172.17.0.3"), &state, NOW),
        Some(ProblemCode::CertificateRevoked),
        "stolen"
    );
    assert_eq!(
        code(
            Route::Catalog,
            &node_peer("172.17.0.2"),
            &state,
            UnixMs(2000)
        ),
        Some(ProblemCode::NoCertificate),
        "expired"
    );
    let HeldAddress { address, epoch } = lease();
    apply(
        &mut state,
        Event::LeaseClosed(LeaseClosed {
            address,
            epoch,
            container: id(1),
            cause: LeaseCause::Died,
        }),
    );
    assert_eq!(
        code(Route::Catalog, &node_peer("172.17.0.2"), &state, NOW),
        Some(ProblemCode::CertificateRevoked),
        "lease closed"
    );
}

#[test]
fn nodes_hosts_and_operators_keep_to_their_own_routes() {
    let state = with_host();
    let host = peer("10.0.0.2", "/host/h2", serial(9));
    let operator = peer("10.0.0.1", "/operator/ada", serial(7));
    assert_eq!(
        authorise(Route::Nodes, &operator, &state, NOW),
        Ok(Caller::Operator("ada".parse().unwrap()))
    );
    for route in Route::ALL {
        let by_node = code(*route, &node_peer("172.17.0.2"), &state, NOW);
        let by_operator = code(*route, &operator, &state, NOW);
        let by_host = code(*route, &host, &state, NOW);
        let is_the_hosts = matches!(route.audience(), Audience::Anyone | Audience::Host);
        assert_eq!(by_host.is_none(), is_the_hosts, "{route:?}");
        match route.audience() {
            Audience::Anyone => assert_eq!((by_node, by_operator), (None, None)),
            Audience::Host => assert_eq!(
                (by_node, by_operator),
                (Some(ProblemCode::Forbidden), Some(ProblemCode::Forbidden)),
                "{route:?}"
            ),
            Audience::Node => assert_eq!(
                (by_node, by_operator),
                (None, Some(ProblemCode::Forbidden)),
                "{route:?}"
            ),
            Audience::Operator => assert_eq!(
                (by_node, by_operator),
                (Some(ProblemCode::Forbidden), None),
                "{route:?}"
            ),
        }
    }
}

/// The same with a host h2, whose certificate is number 9.
fn with_host() -> State {
    let mut state = state();
    let name: Name = "h2".parse().unwrap();
    apply(
        &mut state,
        Event::HostEnrolled(HostEnrolled {
            host: name.clone(),
            cidrs: vec![],
            reach: Reach::Relay,
            serial: serial(9),
            spki_sha256: Digest::of(b""),
            not_after_ms: UnixMs(2000),
        }),
    );
    apply(
        &mut state,
        Event::CertIssued(CertIssued {
            subject: "spiffe://td/host/h2".parse().unwrap(),
            container: None,
            host: None,
            addresses: vec![],
            ips: vec![],
            serial: serial(9),
            issuer_key_id: String::new(),
            not_before_ms: UnixMs(0),
            not_after_ms: UnixMs(2000),
            spki_sha256: Digest::of(b""),
            der_sha256: Digest::of(b""),
            evidence: vec![Evidence::Master],
            rule: String::new(),
            policy_sha256: None,
            prev: None,
        }),
    );
    state
}

#[test]
fn a_nodes_certificate_counts_by_no_other_hosts_relay() {
    let state = with_host();
    let mut relayed = node_peer("172.17.0.2");
    assert_eq!(code(Route::Catalog, &relayed, &state, NOW), None);
    relayed.relay = Some("h2".parse().unwrap());
    assert_eq!(
        code(Route::Catalog, &relayed, &state, NOW),
        Some(ProblemCode::CertificateRevoked)
    );
}

#[test]
fn a_host_is_its_current_certificate_shown_straight_to_the_master() {
    let mut state = with_host();
    let mut host = peer("10.0.0.2", "/host/h2", serial(9));
    assert_eq!(
        authorise(Route::HostWatch, &host, &state, NOW),
        Ok(Caller::Host("h2".parse().unwrap()))
    );
    let forged = peer("10.0.0.2", "/host/h2", serial(8));
    assert_eq!(
        code(Route::HostWatch, &forged, &state, NOW),
        Some(ProblemCode::CertificateRevoked)
    );
    host.relay = Some("h2".parse().unwrap());
    assert_eq!(
        code(Route::HostWatch, &host, &state, NOW),
        Some(ProblemCode::Forbidden)
    );
    host.relay = None;
    let evicted = HostEvicted {
        host: "h2".parse().unwrap(),
    };
    apply(&mut state, Event::HostEvicted(evicted));
    assert_eq!(
        code(Route::HostWatch, &host, &state, NOW),
        Some(ProblemCode::CertificateRevoked)
    );
}

#[test]
fn an_operator_whom_the_ledger_does_not_know_is_nobody() {
    let forged = peer("10.0.0.1", "/operator/ada", serial(8));
    assert_eq!(
        code(Route::Nodes, &forged, &state(), NOW),
        Some(ProblemCode::CertificateRevoked)
    );
}

#[test]
fn leases_from_before_a_restart_count_only_once_the_host_has_reported() {
    let mut state = state();
    apply(
        &mut state,
        Event::MasterStarted(MasterStarted {
            version: String::new(),
            log_size: 0,
        }),
    );
    assert_eq!(
        code(Route::Catalog, &node_peer("172.17.0.2"), &state, NOW),
        Some(ProblemCode::Unavailable)
    );
    apply(
        &mut state,
        Event::HostWatched(HostWatched {
            host: host(),
            containers: 1,
        }),
    );
    assert_eq!(
        code(Route::Catalog, &node_peer("172.17.0.2"), &state, NOW),
        None
    );
}

#[test]
fn a_container_that_is_losing_its_lease_is_cut_off_before_the_disk_has_room() {
    let mut state = state();
    state.suspend([id(1)]);
    assert_eq!(
        code(Route::Catalog, &node_peer("172.17.0.2"), &state, NOW),
        Some(ProblemCode::CertificateRevoked)
    );
    state.resume(&[id(1)]);
    assert_eq!(
        code(Route::Catalog, &node_peer("172.17.0.2"), &state, NOW),
        None
    );
}

/// A container without an address of its own, with a certificate that was asked for from `source`.
fn sharing(mode: NetworkMode, source: &str) -> State {
    let mut state = state();
    let mut shared = facts(2, &[]);
    shared.network_mode = mode;
    observe(&mut state, &Observation::Up(shared));
    let issued = CertIssued {
        subject: format!("spiffe://td/host/h1/container/{}", id(2))
            .parse()
            .unwrap(),
        container: Some(id(2)),
        host: Some(host()),
        addresses: vec![],
        ips: vec![],
        serial: serial(2),
        issuer_key_id: String::new(),
        not_before_ms: UnixMs(0),
        not_after_ms: UnixMs(2000),
        spki_sha256: Digest::of(b""),
        der_sha256: Digest::of(b""),
        evidence: vec![Evidence::Socket {
            host: host(),
            source: format!("{source}:40312").parse().unwrap(),
            local: "10.0.0.1:8140".parse().unwrap(),
            pid: 7,
        }],
        rule: String::new(),
        prev: None,
        policy_sha256: None,
    };
    apply(&mut state, Event::CertIssued(issued));
    state
}

fn sharing_peer(ip: &str) -> Peer {
    peer(ip, &format!("/host/h1/container/{}", id(2)), serial(2))
}

#[test]
fn a_sidecars_certificate_counts_from_the_address_of_the_namespaces_owner_while_it_is_his() {
    let mut state = sharing(NetworkMode::Container(id(1).to_string()), "172.17.0.2");
    assert_eq!(
        authorise(Route::Catalog, &sharing_peer("172.17.0.2"), &state, NOW),
        Ok(Caller::Node(id(2)))
    );
    let revoked = Some(ProblemCode::CertificateRevoked);
    assert_eq!(
        code(Route::Catalog, &sharing_peer("172.17.0.3"), &state, NOW),
        revoked
    );
    // The owner ends, and another container gets the address.
    observe(
        &mut state,
        &Observation::Down {
            id: id(1),
            cause: LeaseCause::Died,
        },
    );
    assert_eq!(
        code(Route::Catalog, &sharing_peer("172.17.0.2"), &state, NOW),
        revoked
    );
    observe(&mut state, &Observation::Up(facts(3, &["172.17.0.2"])));
    assert_eq!(
        code(Route::Catalog, &sharing_peer("172.17.0.2"), &state, NOW),
        revoked
    );
}

#[test]
fn on_the_hosts_network_a_certificate_counts_from_where_it_was_asked_for_unless_a_container_holds_that()
 {
    let mut state = sharing(NetworkMode::Host, "192.0.2.2");
    assert_eq!(
        code(Route::Catalog, &sharing_peer("192.0.2.2"), &state, NOW),
        None
    );
    let revoked = Some(ProblemCode::CertificateRevoked);
    assert_eq!(
        code(Route::Catalog, &sharing_peer("192.0.2.3"), &state, NOW),
        revoked
    );
    observe(&mut state, &Observation::Up(facts(3, &["192.0.2.2"])));
    assert_eq!(
        code(Route::Catalog, &sharing_peer("192.0.2.2"), &state, NOW),
        revoked
    );
}
