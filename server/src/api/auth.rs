//! Who may call what.

use std::{any::Any, net::SocketAddr, sync::Arc};

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
    hosts::evicted,
    origin::Origin,
    state::{NodeRecord, State},
};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address, as the master sees it or as a host that relays says.
    pub address: SocketAddr,
    /// The master's own, that it dialled, or the relay's.
    pub local: SocketAddr,
    /// The host that relays the connection; none where it came straight to the master.
    pub relay: Option<Name>,
    /// What its certificate says, where it showed one that leads to the trust bundle.
    pub identity: Option<PeerIdentity>,
    /// What certificate requests that come by this connection have to be bound to.
    pub binding: Arc<Binding>,
    /// What the connection occupies: whoever goes on using it after its last request keeps this.
    pub seat: Option<Arc<dyn Any + Send + Sync>>,
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

    /// Where the connection comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            ip: self.address.ip().to_canonical(),
            relay: self.relay.clone(),
        }
    }

    /// Who it is, for the ledger and the log.
    #[must_use]
    pub fn actor(&self) -> String {
        match &self.identity {
            Some(identity) => identity.id.principal.to_string(),
            None => {
                let Origin { ip, relay } = self.origin();
                relay.map_or_else(
                    || format!("anyone@{ip}"),
                    |host| format!("anyone@{host}/{ip}"),
                )
            }
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
    /// A host that is enrolled.
    Host(Name),
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
        Audience::Host => host(peer, state, now).map(Caller::Host),
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
    let source = peer.origin();
    if !source.may_be_of(&node.host, state) {
        return Err(ended(format!(
            "the certificate is that of container {} of host {}, and the connection comes from {source}",
            id.short(),
            node.host
        )));
    }
    if !may_speak_from(node, &source, &identity.serial, state) {
        return Err(ended(format!(
            "the certificate is that of container {}, which does not hold {source}",
            id.short()
        )));
    }
    Ok(*id)
}

fn host(peer: &Peer, state: &State, now: UnixMs) -> Result<Name, Problem> {
    let identity = identity(
        peer,
        now,
        "a host's certificate; \"dockmaster host enroll\" makes one",
    )?;
    let Principal::Host(name) = &identity.id.principal else {
        return Err(forbidden(identity, "hosts"));
    };
    // A container that got hold of its host's key still comes through the relay.
    if let Some(relay) = &peer.relay {
        return Err(Problem::new(
            ProblemCode::Forbidden,
            format!("host {name} comes through the relay of host {relay}"),
            "a host dials the master itself",
        ));
    }
    let is_honoured = state
        .host(name)
        .is_some_and(|host| host.honours(&identity.serial));
    if !is_honoured {
        return Err(evicted(name));
    }
    Ok(name.clone())
}

/// Whether a certificate counts when it is shown from an address: one that its container holds. A
/// container that shares a network namespace holds none: its certificate counts from the address
/// that it was asked for from, as long as that is still the owner's of the namespace (or, on the
/// host's own network, no container's).
fn may_speak_from(node: &NodeRecord, source: &Origin, serial: &Serial, state: &State) -> bool {
    if !node.shares_its_address() {
        return node
            .addresses
            .iter()
            .any(|held| held.address.ip == source.ip);
    }
    let asked_from = node
        .certificate(serial)
        .and_then(|certificate| certificate.shown_from);
    if asked_from != Some(source.ip) {
        return false;
    }
    let mut holders = state.leases_from(source).map(|lease| lease.container);
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
}
