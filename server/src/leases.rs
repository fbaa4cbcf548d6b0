//! Leases: which container holds which address, decided from what the host reports.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
};

pub use dockmaster_host::bounded;
use dockmaster_host::{MAX_REFUSED, Observation};
use dockmaster_proto::{
    address::Address,
    event::{
        CertRevoked, Event, HostRefused, LeaseCause, LeaseClosed, LeaseOpened, NodeGone,
        NodeObserved,
    },
    facts::ContainerFacts,
    id::{ContainerId, Name},
    revocation::RevocationReason,
};

use crate::{
    origin::Origin,
    state::{NodeRecord, State},
};

/// The hosts on which containers ran the last time that have ended.
pub type LastHosts = HashMap<ContainerId, Name>;

/// The containers of a report that the view does not know: of these it counts on which host they ran the
/// last time.
pub fn unknown<'a>(
    observation: &'a Observation,
    state: &'a State,
) -> impl Iterator<Item = &'a ContainerId> {
    let seen = match observation {
        Observation::Snapshot { containers, .. } => &containers[..],
        Observation::Up(facts) => std::slice::from_ref(facts),
        Observation::Down { .. } | Observation::Lost(_) | Observation::Refused { .. } => &[],
    };
    seen.iter()
        .map(|facts| &facts.id)
        .filter(|id| state.node(id).is_none())
}

/// The events that make the view agree with what the host reported. Pure; the caller commits them.
/// No event at all when the report says nothing new.
#[must_use]
pub fn decide(
    observation: &Observation,
    host: &Name,
    state: &State,
    last_hosts: &LastHosts,
) -> Vec<Event> {
    let mut decision = Decision {
        last_hosts: Some(last_hosts),
        ..Decision::new(host, state)
    };
    match observation {
        Observation::Snapshot {
            containers,
            unclear,
        } => decision.reconcile(containers, unclear),
        Observation::Up(facts) => decision.up(facts, LeaseCause::Started),
        Observation::Down { id, cause } => {
            if let Some(node) = state.node(id).filter(|node| node.host == *host) {
                decision.end(node, *cause);
            }
        }
        // Not seeing a container is no evidence that it ended; a snapshot follows.
        // What was refused at the wall is the keeper's to record.
        Observation::Lost(_) | Observation::Refused { .. } => {}
    }
    decision.events
}

/// The events that end a node: its leases, its certificates, itself.
#[must_use]
pub(crate) fn end(node: &NodeRecord, state: &State, cause: LeaseCause) -> Vec<Event> {
    let mut decision = Decision::new(&node.host, state);
    decision.end(node, cause);
    decision.events
}

/// The events by which all that a host vouched for ends, when it is lost for good or evicted. Pure.
#[must_use]
pub fn end_of_host(host: &Name, cause: LeaseCause, state: &State) -> Vec<Event> {
    let mut decision = Decision::new(host, state);
    for node in state.nodes().filter(|node| node.host == *host) {
        decision.end(node, cause);
    }
    decision.events
}

struct Decision<'a> {
    host: &'a Name,
    state: &'a State,
    last_hosts: Option<&'a LastHosts>,
    events: Vec<Event>,
    /// Addresses that this decision touched: their newest epoch, and who holds them by now.
    moved: BTreeMap<Address, (u64, Option<ContainerId>)>,
}

impl<'a> Decision<'a> {
    const fn new(host: &'a Name, state: &'a State) -> Self {
        Self {
            host,
            state,
            last_hosts: None,
            events: Vec::new(),
            moved: BTreeMap::new(),
        }
    }

    /// Not seeing a container is no evidence against it while it is said to run.
    fn reconcile(&mut self, containers: &[ContainerFacts], unclear: &[ContainerId]) {
        let running: HashSet<&ContainerId> = containers
            .iter()
            .map(|facts| &facts.id)
            .chain(unclear)
            .collect();
        let gone = self
            .state
            .nodes()
            .filter(|node| node.host == *self.host && !node.is_by_token())
            .filter(|node| !running.contains(node.id()));
        for node in gone.collect::<Vec<_>>() {
            self.end(node, LeaseCause::Missing);
        }
        for facts in containers {
            self.up(facts, LeaseCause::Found);
        }
    }

    fn up(&mut self, facts: &ContainerFacts, cause: LeaseCause) {
        let known = self.state.node(&facts.id);
        if let Some(node) = known.filter(|node| node.host != *self.host) {
            // A host vouches only for its own containers; an ID that another host already vouches for is not its own.
            self.refuse(
                facts,
                facts.addresses(),
                format!("host {} vouches for it", node.host),
            );
            return;
        }
        // Nor is one that another host may start again: between its end and its next start nobody else
        // may take it, though its ID is in the log for all to read.
        if let Some(other) = self.other_claim(&facts.id).filter(|_| known.is_none()) {
            self.refuse(
                facts,
                facts.addresses(),
                format!("it was a container of host {other}"),
            );
            return;
        }
        // A container that was started again is a new run: nothing from before the restart may count.
        let known = match known {
            Some(node) if node.facts.started_at_ms != facts.started_at_ms => {
                self.end(node, LeaseCause::Died);
                None
            }
            other => other,
        };
        if known.is_none_or(|node| node.facts != *facts) {
            self.events.push(Event::NodeObserved(NodeObserved {
                host: self.host.clone(),
                facts: facts.clone(),
            }));
        }
        let wanted = facts.addresses();
        let held: Vec<Address> = known
            .map(|node| {
                node.addresses
                    .iter()
                    .map(|held| held.address.clone())
                    .collect()
            })
            .unwrap_or_default();
        for address in held.iter().filter(|address| !wanted.contains(address)) {
            self.close(address, LeaseCause::Disconnected);
        }
        for address in wanted.into_iter().filter(|address| !held.contains(address)) {
            // In a network that several hosts share an address moves only when the other host has
            // given it up: no host takes away what another vouches for.
            match self.other_host(&address) {
                Some(other) => {
                    let reason = format!("{address} is held by a container of host {other}");
                    self.refuse(facts, vec![address], reason);
                }
                None => self.open(address, facts, cause),
            }
        }
    }

    /// The other host that a container's ID belongs to though its container ended.
    fn other_claim(&self, id: &ContainerId) -> Option<&'a Name> {
        let (state, host) = (self.state, self.host);
        let last = self.last_hosts.and_then(|last| last.get(id));
        let last = last.filter(|last| *last != host && state.may_come_back(last));
        // What operators said of it counts for longer than the last run.
        state.dormant_elsewhere(id, host).or(last)
    }

    fn open(&mut self, address: Address, facts: &ContainerFacts, cause: LeaseCause) {
        self.oust(address.ip);
        // The engine says that the address is this container's now, so the former holder's end was
        // missed or is still on its way.
        self.close(&address, LeaseCause::Superseded);
        let epoch = match self.moved.get(&address) {
            Some((epoch, _)) => epoch + 1,
            None => self.state.next_epoch(&address),
        };
        self.moved.insert(address.clone(), (epoch, Some(facts.id)));
        self.events.push(Event::LeaseOpened(LeaseOpened {
            address,
            epoch,
            container: facts.id,
            name: facts.name.clone(),
            image: facts.image.clone(),
            host: self.host.clone(),
            cause,
        }));
    }

    /// The host's word counts more than a join token: a machine that holds the IP by one, in whichever
    /// network, holds it no more, and has no other. Where the host's containers do not come straight to
    /// the master, their IPs are not the machines'.
    fn oust(&mut self, ip: IpAddr) {
        if !self.state.may_come_from(self.host, &Origin::direct(ip)) {
            return;
        }
        let holders = self.state.leases_of_ip(ip);
        let machines: Vec<&NodeRecord> = holders
            .filter_map(|(_, lease)| self.state.node(&lease.container))
            .filter(|node| node.is_by_token())
            .collect();
        for machine in machines {
            let id = machine.id();
            let is_ended =
                |event: &Event| matches!(event, Event::NodeGone(gone) if gone.container == *id);
            if !self.events.iter().any(is_ended) {
                self.end(machine, LeaseCause::Superseded);
            }
        }
    }

    /// The other host whose container holds an address.
    fn other_host(&self, address: &Address) -> Option<Name> {
        let (holder, _) = self.holder(address)?;
        let node = self.state.node(&holder)?;
        (node.host != *self.host).then(|| node.host.clone())
    }

    fn refuse(&mut self, facts: &ContainerFacts, mut addresses: Vec<Address>, reason: String) {
        addresses.truncate(MAX_REFUSED);
        self.events.push(Event::HostRefused(HostRefused {
            host: self.host.clone(),
            container: facts.id,
            reason,
            name: facts.name.clone(),
            addresses,
        }));
    }

    /// Who holds an address by now, and in which epoch.
    fn holder(&self, address: &Address) -> Option<(ContainerId, u64)> {
        match self.moved.get(address) {
            Some((epoch, holder)) => holder.map(|holder| (holder, *epoch)),
            None => self
                .state
                .lease(address)
                .map(|lease| (lease.container, lease.epoch)),
        }
    }

    fn close(&mut self, address: &Address, cause: LeaseCause) {
        let Some((container, epoch)) = self.holder(address) else {
            return;
        };
        self.moved.insert(address.clone(), (epoch, None));
        self.events.push(Event::LeaseClosed(LeaseClosed {
            address: address.clone(),
            epoch,
            container,
            cause,
        }));
        let Some(node) = self.state.node(&container) else {
            return;
        };
        for certificate in &node.certificates {
            let names_it = certificate
                .addresses
                .iter()
                .any(|held| held.address == *address);
            let is_revoked = self
                .events
                .iter()
                .any(|event| event.serial() == Some(&certificate.serial));
            if names_it && !is_revoked {
                self.events
                    .push(revocation(certificate.serial, container, "lease closed"));
            }
        }
    }

    fn end(&mut self, node: &NodeRecord, cause: LeaseCause) {
        for held in &node.addresses {
            if self
                .holder(&held.address)
                .is_some_and(|(holder, _)| holder == *node.id())
            {
                self.close(&held.address, cause);
            }
        }
        for certificate in &node.certificates {
            // A certificate without an address (a shared network namespace) ends with its container.
            if certificate.addresses.is_empty() {
                self.events.push(revocation(
                    certificate.serial,
                    *node.id(),
                    "container ended",
                ));
            }
        }
        self.events.push(Event::NodeGone(NodeGone {
            container: *node.id(),
            cause,
        }));
    }
}

fn revocation(serial: dockmaster_proto::id::Serial, container: ContainerId, reason: &str) -> Event {
    Event::CertRevoked(CertRevoked {
        serial,
        container: Some(container),
        reason: reason.to_owned(),
        code: Some(RevocationReason::CessationOfOperation),
    })
}

#[cfg(test)]
mod tests;
