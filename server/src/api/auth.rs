//! Who may call what.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use dockmaster_certs::identity::PeerIdentity;
use dockmaster_host::{Namespace, socket::Connection};
use dockmaster_proto::{
    facts::NetworkMode,
    id::{ContainerId, Name, Serial},
    problem::{Problem, ProblemCode},
    route::{Audience, Route},
    spiffe::Principal,
    time::UnixMs,
};

use crate::{
    enrollment::Binding,
    state::{NodeRecord, State},
};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The master's own, that it dialled.
    pub local: SocketAddr,
    /// What its certificate says, where it showed one that leads to the trust bundle.
    pub identity: Option<PeerIdentity>,
    /// What certificate requests that come by this connection have to be bound to.
    pub binding: Arc<Binding>,
}

impl Peer {
    /// The connection, for a question about its other end.
    #[must_use]
    pub const fn connection(&self) -> Connection {
        Connection {
            source: self.address,
            local: self.local,
        }
    }

    /// Who it is, for the ledger and the log.
    #[must_use]
    pub fn actor(&self) -> String {
        match &self.identity {
            Some(identity) => identity.id.principal.to_string(),
            None => format!("anyone@{}", self.address.ip().to_canonical()),
        }
    }
}

/// A peer that may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Anyone.
    Anyone,
    /// A container whose certificate is honoured and whose address is its own.
    Node(ContainerId),
    /// An operator.
    Operator(Name),
}

/// Whether a peer may use a route: checked at every request and not only in the handshake, because
/// a connection outlives a lease.
pub(super) fn authorise(
    route: Route,
    peer: &Peer,
    state: &State,
    now: UnixMs,
) -> Result<Caller, Problem> {
    match route.audience() {
        Audience::Anyone => Ok(Caller::Anyone),
        Audience::Node => node(peer, state, now).map(Caller::Node),
        Audience::Operator => operator(peer, state, now).map(Caller::Operator),
    }
}

fn node(peer: &Peer, state: &State, now: UnixMs) -> Result<ContainerId, Problem> {
    let identity = identity(
        peer,
        now,
        "a container's certificate; the agent gets one by enrolling",
    )?;
    let Principal::Container { id, .. } = &identity.id.principal else {
        return Err(forbidden(identity, "containers"));
    };
    let ended = |detail: String| {
        Problem::new(
            ProblemCode::CertificateRevoked,
            detail,
            "enroll again for a certificate of what runs now",
        )
    };
    let Some(node) = state.node(id) else {
        return Err(ended(format!(
            "container {} of this certificate has ended",
            id.short()
        )));
    };
    if state.is_suspended(id) {
        return Err(ended(format!("container {} is losing a lease", id.short())));
    }
    if !state.is_watched(&node.host) {
        return Err(Problem::new(
            ProblemCode::Unavailable,
            format!(
                "host {} has not reported since the master started, so its leases may be past",
                node.host
            ),
            "it takes a moment after a start; else see the master's log, and whether it was started with --docker",
        ));
    }
    if !node.honours(&identity.serial) {
        return Err(ended(format!(
            "certificate {} of container {} is revoked or its lease is closed",
            identity.serial,
            id.short()
        )));
    }
    let source = peer.address.ip().to_canonical();
    if !may_speak_from(node, source, &identity.serial, state) {
        return Err(ended(format!(
            "the certificate is that of container {}, which does not hold {source}",
            id.short()
        )));
    }
    Ok(*id)
}

/// Whether a certificate counts when it is shown from an address: one that its container holds. A
/// container that shares a network namespace holds none: its certificate counts from the address
/// that it was asked for from, as long as that is still the owner's of the namespace (or, on the
/// host's own network, no container's).
fn may_speak_from(node: &NodeRecord, source: IpAddr, serial: &Serial, state: &State) -> bool {
    if !node.shares_its_address() {
        return node.addresses.iter().any(|held| held.address.ip == source);
    }
    let asked_from = node
        .certificate(serial)
        .and_then(|certificate| certificate.shown_from);
    if asked_from != Some(source) {
        return false;
    }
    let mut holders = state.leases_of_ip(source).map(|(_, lease)| lease.container);
    if node.facts.network_mode == NetworkMode::Host {
        return holders.next().is_none();
    }
    holders.any(|holder| {
        state.node(&holder).is_some_and(|owner| {
            let namespace = Namespace::Container {
                id: holder,
                name: owner.facts.name.clone(),
            };
            namespace.is_used_by(&node.facts.network_mode)
        })
    })
}

fn operator(peer: &Peer, state: &State, now: UnixMs) -> Result<Name, Problem> {
    let identity = identity(
        peer,
        now,
        "an operator's certificate; use the context file that \"dockmaster init\" wrote",
    )?;
    let Principal::Operator(name) = &identity.id.principal else {
        return Err(forbidden(identity, "operators"));
    };
    // Only certificates that the ledger knows count, whoever signed them.
    if state.operator(&identity.serial).is_none() {
        return Err(Problem::new(
            ProblemCode::CertificateRevoked,
            format!(
                "certificate {} of operator {name} is not one that this master's ledger grants",
                identity.serial
            ),
            "use the context file of this installation",
        ));
    }
    Ok(name.clone())
}

fn identity<'a>(peer: &'a Peer, now: UnixMs, wanted: &str) -> Result<&'a PeerIdentity, Problem> {
    let Some(identity) = &peer.identity else {
        return Err(Problem::new(
            ProblemCode::NoCertificate,
            "the route needs a client certificate and none was shown",
            format!("show {wanted}"),
        ));
    };
    // The handshake checked the time once; a connection may live longer than its certificate.
    if identity.not_after <= now {
        return Err(Problem::new(
            ProblemCode::NoCertificate,
            format!("the client certificate expired at {}", identity.not_after),
            format!("show {wanted}"),
        ));
    }
    Ok(identity)
}

fn forbidden(identity: &PeerIdentity, wanted: &str) -> Problem {
    Problem::new(
        ProblemCode::Forbidden,
        format!(
            "the route is for {wanted}, and the certificate is that of {}",
            identity.id.principal
        ),
        "",
    )
}

#[cfg(test)]
mod tests {
    use dockmaster_host::Observation;
    use dockmaster_proto::{
        event::{
            CertIssued, Event, Evidence, HeldAddress, HostWatched, LeaseCause, LeaseClosed,
            MasterStarted, OperatorGranted,
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
            local: "10.0.0.1:8140".parse().unwrap(),
            identity: Some(identity),
            binding: Arc::new(Binding::new([0; 32])),
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
    fn nodes_and_operators_keep_to_their_own_routes() {
        let state = state();
        let operator = peer("10.0.0.1", "/operator/ada", serial(7));
        assert_eq!(
            authorise(Route::Nodes, &operator, &state, NOW),
            Ok(Caller::Operator("ada".parse().unwrap()))
        );
        for route in Route::ALL {
            let by_node = code(*route, &node_peer("172.17.0.2"), &state, NOW);
            let by_operator = code(*route, &operator, &state, NOW);
            match route.audience() {
                Audience::Anyone => assert_eq!((by_node, by_operator), (None, None)),
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
}
