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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    enrollment::Binding,
    flow::Flow,
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
    /// Whether it takes its answers.
    pub flow: Arc<Flow>,
    /// How many of its requests may wait for their turn.
    pub slots: Slots,
    /// What the connection occupies: whoever goes on using it after its last request keeps this.
    pub seat: Option<Arc<dyn Any + Send + Sync>>,
}

/// Requests of one connection on their way to their turn: as many as it has streams. HTTP/2 takes
/// requests back for nothing, and has room for the next at once; here it has not before the wait is over.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Semaphore>);

impl Slots {
    /// Streams of one connection, and so requests that may wait.
    pub const MOST: u32 = 16;

    /// One of them, when there is one. None only of a semaphore that was closed, which nobody does.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().acquire_owned().await.ok()
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(Self::MOST as usize)))
    }
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

/// Whether a peer is one of those whom an operator appointed: an operator or a host.
pub(super) fn is_appointed(peer: &Peer, state: &State, now: UnixMs) -> bool {
    let Some(identity) = &peer.identity else {
        return false;
    };
    match identity.id.principal {
        Principal::Operator(_) => operator(peer, state, now).is_ok(),
        Principal::Host(_) => host(peer, state, now).is_ok(),
        Principal::Container { .. } | Principal::Master(_) => false,
    }
}

/// Whether its certificate counts for anything here and now.
pub(super) fn is_honoured(peer: &Peer, state: &State, now: UnixMs) -> bool {
    is_appointed(peer, state, now) || (peer.identity.is_some() && node(peer, state, now).is_ok())
}

fn node(peer: &Peer, state: &State, now: UnixMs) -> Result<ContainerId, Problem> {
    let wanted = "a container's certificate; the agent gets one by enrolling";
    let identity = identity(peer, now, wanted)?;
    let Principal::Container { id, .. } = &identity.id.principal else {
        return Err(forbidden(identity, "containers", wanted));
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
    // A machine that a token let in has no host that could report.
    if !node.is_by_token() && !state.is_watched(&node.host) {
        return Err(Problem::new(
            ProblemCode::Unavailable,
            format!(
                "host {} has not reported since the master started, so its leases may be past",
                node.host
            ),
            "it takes a moment after a start; else see the master's log, and whether it was started with --docker",
        ));
    }
    if let Some(ban) = state.ban(id) {
        return Err(ended(format!("{} banned container {}", ban.by, id.short())));
    }
    if !node.honours(&identity.serial) {
        return Err(ended(format!(
            "certificate {} of container {} is revoked or its lease is closed",
            identity.serial,
            id.short()
        )));
    }
    is_its_own_address(node, &peer.origin(), &identity.serial, state).map_err(ended)?;
    Ok(*id)
}

/// The container whose honoured certificate is shown from an address that is not its own: somebody
/// has its key, or NAT stands between. The log is to know; of what ended and was revoked it does.
pub(super) fn shown_elsewhere(peer: &Peer, state: &State) -> Option<ContainerId> {
    let identity = peer.identity.as_ref()?;
    let Principal::Container { id, .. } = &identity.id.principal else {
        return None;
    };
    let node = state
        .node(id)
        .filter(|node| node.honours(&identity.serial))?;
    let own = is_its_own_address(node, &peer.origin(), &identity.serial, state);
    own.is_err().then_some(*id)
}

fn is_its_own_address(
    node: &NodeRecord,
    source: &Origin,
    serial: &Serial,
    state: &State,
) -> Result<(), String> {
    let id = node.id().short();
    if !state.may_come_from(&node.host, source) {
        return Err(format!(
            "the certificate is that of container {id} of host {}, and the connection comes from {source}",
            node.host
        ));
    }
    if !may_speak_from(node, source, serial, state) {
        return Err(format!(
            "the certificate is that of container {id}, which does not hold {source}"
        ));
    }
    Ok(())
}

fn host(peer: &Peer, state: &State, now: UnixMs) -> Result<Name, Problem> {
    let wanted = "a host's certificate; \"dockmaster host enroll\" makes one";
    let identity = identity(peer, now, wanted)?;
    let Principal::Host(name) = &identity.id.principal else {
        return Err(forbidden(identity, "hosts", wanted));
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
    let wanted = "an operator's certificate; use the context file that \"dockmaster init\" wrote";
    let identity = identity(peer, now, wanted)?;
    let Principal::Operator(name) = &identity.id.principal else {
        return Err(forbidden(identity, "operators", wanted));
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

fn forbidden(identity: &PeerIdentity, whose: &str, wanted: &str) -> Problem {
    Problem::new(
        ProblemCode::Forbidden,
        format!(
            "the route is for {whose}, and the certificate is that of {}",
            identity.id.principal
        ),
        format!("show {wanted}"),
    )
}

#[cfg(test)]
mod tests;
