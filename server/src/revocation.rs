//! What an operator's revocation comes to: a pure decision.

use dockmaster_proto::{
    api::certs::{Afterwards, RevocationRequest, RevocationTarget, Revoked},
    event::{CertRevoked, Event, NodeBanned},
    id::{ContainerId, Name, Serial},
    time::UnixMs,
};

use crate::state::{LookupError, MachineRecord, NodeRecord, NodeReference, State};

/// The events that end what the request names, and what the operator is told.
///
/// # Errors
/// When there is nothing that counts under that name, or it may not be ended.
pub fn decide(
    request: &RevocationRequest,
    own: Option<&Serial>,
    state: &State,
) -> Result<(Vec<Event>, Revoked), RevocationRefused> {
    match &request.target {
        RevocationTarget::Node(reference) => {
            let found = state.find(NodeReference(reference));
            if let (Err(LookupError::Unknown(_)), Some(machine)) =
                (&found, state.machines().away(NodeReference(reference)))
            {
                return Ok(of_machine(request, machine));
            }
            let node = found?;
            let serials = node.certificates.iter().map(|it| it.serial).collect();
            of_node(request, node, serials)
        }
        RevocationTarget::Serial(serial) => {
            if let Some(node) = state.nodes().find(|node| node.honours(serial)) {
                return of_node(request, node, vec![*serial]);
            }
            if let Some(host) = host_of(serial, state) {
                return Err(RevocationRefused::OfHost(*serial, host.clone()));
            }
            let is_its = |machine: &&MachineRecord| machine.keys().any(|it| it.serial == *serial);
            if let Some(machine) = state.machines().all_away().find(is_its) {
                return Ok(of_machine(request, machine));
            }
            let operator = state.operator(serial);
            let operator = operator.ok_or(RevocationRefused::NotCurrent(*serial))?;
            if own == Some(serial) {
                return Err(RevocationRefused::Own(*serial));
            }
            if request.afterwards == Afterwards::Banned {
                return Err(RevocationRefused::BanOfOperator(operator.name.clone()));
            }
            let revoked = Revoked {
                serials: vec![*serial],
                container: None,
                name: operator.name.clone(),
                afterwards: request.afterwards,
            };
            Ok((vec![revocation(request, *serial, None)], revoked))
        }
    }
}

/// The events that end what was issued to a node while its revocation was on its way to the disk; `at`
/// is the index of the revocation's first entry.
#[must_use]
pub fn overtaken(request: &RevocationRequest, node: &NodeRecord, at: u64) -> Vec<Event> {
    let is_of_all = matches!(request.target, RevocationTarget::Node(_))
        || request.afterwards == Afterwards::Banned;
    if !is_of_all {
        return Vec::new();
    }
    let certificates = node.certificates.iter();
    certificates
        .filter(|certificate| certificate.index < at)
        .map(|certificate| revocation(request, certificate.serial, Some(*node.id())))
        .collect()
}

fn of_node(
    request: &RevocationRequest,
    node: &NodeRecord,
    serials: Vec<Serial>,
) -> Result<(Vec<Event>, Revoked), RevocationRefused> {
    let (container, name) = (*node.id(), node.facts.name.clone());
    let mut events: Vec<Event> = serials
        .iter()
        .map(|serial| revocation(request, *serial, Some(container)))
        .collect();
    if request.afterwards == Afterwards::Banned {
        // First: whoever asks for a certificate between two entries must not get one.
        let reason = words(request);
        events.insert(0, Event::NodeBanned(NodeBanned { container, reason }));
    }
    if events.is_empty() {
        return Err(RevocationRefused::NoCertificate(name));
    }
    let revoked = Revoked {
        serials,
        container: Some(container),
        name,
        afterwards: request.afterwards,
    };
    Ok((events, revoked))
}

/// The further host whose certificate it is.
fn host_of<'s>(serial: &Serial, state: &'s State) -> Option<&'s Name> {
    let mut hosts = state.hosts();
    let found = hosts.find(|(_, host)| host.certificates.iter().any(|key| key.serial == *serial));
    found.map(|(name, _)| name)
}

/// The events by which a machine that is away comes back by no key. Its certificates have expired; that
/// they are revoked says so of their keys.
fn of_machine(request: &RevocationRequest, machine: &MachineRecord) -> (Vec<Event>, Revoked) {
    let container = machine.id;
    let mut serials: Vec<Serial> = machine.keys().map(|key| key.serial).collect();
    serials.dedup();
    let ban = (request.afterwards == Afterwards::Banned).then(|| {
        let reason = words(request);
        Event::NodeBanned(NodeBanned { container, reason })
    });
    let revocations = serials
        .iter()
        .map(|serial| revocation(request, *serial, Some(container)));
    let events = ban.into_iter().chain(revocations).collect();
    let revoked = Revoked {
        container: Some(container),
        name: machine.node(UnixMs(0)).facts.name,
        afterwards: request.afterwards,
        serials,
    };
    (events, revoked)
}

fn revocation(
    request: &RevocationRequest,
    serial: Serial,
    container: Option<ContainerId>,
) -> Event {
    Event::CertRevoked(CertRevoked {
        serial,
        container,
        reason: words(request),
        code: Some(request.reason),
    })
}

fn words(request: &RevocationRequest) -> String {
    if request.message.is_empty() {
        request.reason.to_string()
    } else {
        request.message.clone()
    }
}

/// Why nothing was revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationRefused {
    /// The reference names no node.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// No such certificate counts.
    #[error("no certificate {0} of a container or an operator counts now")]
    NotCurrent(Serial),
    /// A host's ends with all that the host vouched for.
    #[error("certificate {0} is that of host {1}, which is evicted, not revoked")]
    OfHost(Serial, Name),
    /// The node has none.
    #[error("node {0:?} has no certificate that counts")]
    NoCertificate(String),
    /// The one that the request is made with.
    #[error("certificate {0} is the one that this very request is made with")]
    Own(Serial),
    /// Only containers enroll.
    #[error("operator {0} cannot be banned: only containers enroll")]
    BanOfOperator(String),
}

#[cfg(test)]
mod tests;
