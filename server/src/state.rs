//! What is true now, in memory: the view that decisions are made upon.
//!
//! It is a fold over the ledger's entries and nothing else. [`State::apply`] is called by the
//! ledger's writer after an entry is durable and before anyone is told about it.

mod apply;
mod authority;
mod dormant;
mod hosts;
mod lookup;
mod machines;
mod node;
pub mod requests;
mod revocations;
mod tokens;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use dockmaster_proto::{
    address::Address,
    api::documents::RevisionInfo,
    event::LeaseCause,
    id::{ContainerId, Digest, Name, Serial},
    time::UnixMs,
    token::TOKEN_HOST,
};
use serde::{Deserialize, Serialize};

use crate::origin::{Origin, Party};

pub(crate) use apply::{RestoredParts, ban, displacement, revision_info};
pub(crate) use authority::apply as apply_to_authorities;
pub use authority::{AuthorityNames, AuthorityState, Rotation};
pub(crate) use dormant::Dormant;
pub use hosts::{EnrolledHost, HostKey, LostWatch};
pub(crate) use lookup::MIN_PREFIX;
pub use lookup::{LookupError, NodeReference};
pub use machines::{
    CertifiedKey, MAX_ABSENCE_MS, MachineRecord, Machines, Standing, came_back, machine_facts,
    token_host,
};
pub use node::{Approved, CurrentCertificate, Joined, NodeRecord};
pub use requests::Requests;
pub use revocations::{Ban, Revocations, RevokedCertificate};
pub(crate) use revocations::{GRACE_MS, reason as revocation_reason};
pub use tokens::{Burn, Ended, TokenRecord, Tokens, token_of};

/// The view.
#[derive(Debug, Default)]
pub struct State {
    nodes: BTreeMap<ContainerId, NodeRecord>,
    leases: HashMap<Address, Lease>,
    by_ip: HashMap<IpAddr, Vec<Address>>,
    epochs: HashMap<Address, u64>,
    operators: HashMap<Serial, Operator>,
    authorities: Option<AuthorityState>,
    revocations: Revocations,
    bans: BTreeMap<ContainerId, Ban>,
    /// Operator labels of containers that ended: the same host may start one again under the same ID.
    dormant: dormant::DormantLabels,
    hosts: hosts::Hosts,
    /// Containers whose loss of a lease is decided and not durable yet. Not part of the fold.
    suspended: HashSet<ContainerId>,
    documents: Documents,
    tokens: Tokens,
    machines: Machines,
    /// Requests that wait for an operator.
    requests: Requests,
    /// Grows whenever one of them changes.
    request_generation: u64,
    /// The policy that the ledger says is in force.
    policy: Option<Digest>,
    size: u64,
    /// The time of the newest entry.
    newest: UnixMs,
    generation: u64,
}

/// An open lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The holder.
    pub container: ContainerId,
    /// Grows by one each time the address changes hands.
    pub epoch: u64,
    /// Since when.
    pub opened_at_ms: UnixMs,
    /// How that is known.
    pub cause: LeaseCause,
}

/// An operator's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The operator's name.
    pub name: String,
    /// The role.
    pub role: String,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// The key identifier of the authority that signed it, in hex; empty where the ledger does not say.
    #[serde(default)]
    pub issuer_key_id: String,
    /// When it was granted.
    #[serde(default)]
    pub granted_at_ms: UnixMs,
}

/// The documents in force; none before the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    /// The classification.
    pub classification: Option<RevisionInfo>,
    /// The site.
    pub site: Option<RevisionInfo>,
}

impl State {
    /// Live nodes by ID.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    /// A live node.
    #[must_use]
    pub fn node(&self, id: &ContainerId) -> Option<&NodeRecord> {
        self.nodes.get(id)
    }

    /// The open lease of an address.
    #[must_use]
    pub fn lease(&self, address: &Address) -> Option<&Lease> {
        self.leases.get(address)
    }

    /// The open leases of an IP, in whichever network.
    pub fn leases_of_ip(&self, ip: IpAddr) -> impl Iterator<Item = (&Address, &Lease)> {
        let addresses = self.by_ip.get(&ip.to_canonical());
        addresses
            .into_iter()
            .flatten()
            .filter_map(|address| self.leases.get_key_value(address))
    }

    /// The epoch that the next lease of an address gets.
    #[must_use]
    pub fn next_epoch(&self, address: &Address) -> u64 {
        self.epochs.get(address).map_or(1, |epoch| epoch + 1)
    }

    /// The operator whose certificate this is.
    #[must_use]
    pub fn operator(&self, serial: &Serial) -> Option<&Operator> {
        self.operators.get(serial)
    }

    /// The authorities that count; none before the log says which.
    #[must_use]
    pub const fn authorities(&self) -> Option<&AuthorityState> {
        self.authorities.as_ref()
    }

    /// Certificates that ended before their time.
    #[must_use]
    pub const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Why a container gets no certificate.
    #[must_use]
    pub fn ban(&self, container: &ContainerId) -> Option<&Ban> {
        self.bans.get(container)
    }

    /// The containers that get no certificate.
    pub fn bans(&self) -> impl Iterator<Item = &Ban> {
        self.bans.values()
    }

    /// The operators' certificates that count.
    pub fn operators(&self) -> impl Iterator<Item = (&Serial, &Operator)> {
        self.operators.iter()
    }

    /// The time of the newest entry.
    #[must_use]
    pub const fn newest(&self) -> UnixMs {
        self.newest
    }

    /// Why the watch of a host broke off, when it has not begun again.
    #[must_use]
    pub fn lost(&self, host: &Name) -> Option<&str> {
        self.lost_watch(host).map(|lost| lost.reason.as_str())
    }

    /// Why and since when the watch of a host is broken.
    #[must_use]
    pub fn lost_watch(&self, host: &Name) -> Option<&LostWatch> {
        self.hosts.lost.get(host)
    }

    /// Whether a host has reported since the master started.
    #[must_use]
    pub fn is_watched(&self, host: &Name) -> bool {
        self.hosts.watched.contains_key(host)
    }

    /// Since when a host has been watched without a break that anyone saw.
    #[must_use]
    pub fn watched_since(&self, host: &Name) -> Option<UnixMs> {
        self.hosts.watched.get(host).copied()
    }

    /// A host that may vouch for containers besides the master's own.
    #[must_use]
    pub fn host(&self, name: &Name) -> Option<&EnrolledHost> {
        self.hosts.enrolled.get(name)
    }

    /// All such hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = (&Name, &EnrolledHost)> {
        self.hosts.enrolled.iter()
    }

    /// The master watches its own machine, under this name.
    pub(crate) fn watch_here(&mut self, host: Name) {
        self.hosts.here = Some(host);
    }

    /// Whether a host is the master's own machine.
    #[must_use]
    pub fn is_here(&self, host: &Name) -> bool {
        self.hosts.here.as_ref() == Some(host)
    }

    /// The master's own machine, where it watches one.
    #[must_use]
    pub const fn here(&self) -> Option<&Name> {
        self.hosts.here.as_ref()
    }

    /// Whether a container of this host may be at the beginning of a connection: what a host relays is
    /// from its own containers, and what comes straight is from the master's own machine, from a host
    /// whose ranges an operator said to be routed, or from a machine that a join token let in.
    #[must_use]
    pub fn may_come_from(&self, host: &Name, origin: &Origin) -> bool {
        match &origin.relay {
            Some(relay) => relay == host,
            None => {
                host.as_str() == TOKEN_HOST
                    || self.is_here(host)
                    || self
                        .host(host)
                        .is_some_and(|enrolled| enrolled.is_reached_at(origin.ip))
            }
        }
    }

    /// The ways by which a container of this host comes to the master from an IP: by the host's relay,
    /// straight, or either. None where nobody hears of the host any more.
    #[must_use]
    pub fn ways(&self, host: &Name, ip: IpAddr) -> Vec<Origin> {
        let ways = [Origin::relayed(ip, host.clone()), Origin::direct(ip)];
        let is_way = |way: &Origin| match way.relay {
            Some(_) => self.host(host).is_some(),
            None => self.may_come_from(host, way),
        };
        ways.into_iter().filter(is_way).collect()
    }

    /// The open leases whose holder may be at the beginning of a connection.
    pub fn leases_from<'s>(&'s self, origin: &'s Origin) -> impl Iterator<Item = &'s Lease> {
        self.leases_of_ip(origin.ip)
            .map(|(_, lease)| lease)
            .filter(|lease| {
                let node = self.node(&lease.container);
                node.is_some_and(|node| self.may_come_from(&node.host, origin))
            })
    }

    /// Whose limits count for an origin.
    #[must_use]
    pub fn party(&self, origin: Origin) -> Party {
        if self.knows(&origin) {
            Party::known(origin)
        } else {
            Party::unknown(origin)
        }
    }

    /// Whether it is known who speaks from an origin: the holder of a lease, or somebody on this machine.
    #[must_use]
    fn knows(&self, origin: &Origin) -> bool {
        let is_this_machine = match origin.ip {
            // Not all of 127.0.0.0/8: whoever takes another of its addresses could take any number.
            IpAddr::V4(ip) => ip == Ipv4Addr::LOCALHOST,
            IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST,
        };
        let is_holders = || self.leases_from(origin).next().is_some();
        // Or of a machine that is away and comes back by its key.
        let is_machines = || {
            let mut machines = self.machines.at(origin.ip);
            machines.any(|machine| machine.standing == Standing::Away)
        };
        is_holders() || (origin.relay.is_none() && (is_this_machine || is_machines()))
    }

    /// Whether a container's loss of a lease is decided and not durable yet: it gets nothing and its
    /// certificates are not honoured.
    #[must_use]
    pub fn is_suspended(&self, container: &ContainerId) -> bool {
        self.suspended.contains(container)
    }

    /// Suspends containers until their change is committed.
    pub(crate) fn suspend(&mut self, containers: impl IntoIterator<Item = ContainerId>) {
        self.suspended.extend(containers);
    }

    /// Ends the suspension of containers.
    pub(crate) fn resume(&mut self, containers: &[ContainerId]) {
        self.suspended
            .retain(|suspended| !containers.contains(suspended));
    }

    /// The documents in force.
    #[must_use]
    pub const fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The join tokens that are remembered.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The machines that join tokens let in, those that are away among them.
    #[must_use]
    pub const fn machines(&self) -> &Machines {
        &self.machines
    }

    /// Requests that wait for an operator.
    #[must_use]
    pub const fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Grows whenever a request that waits for an operator changes.
    #[must_use]
    pub const fn request_generation(&self) -> u64 {
        self.request_generation
    }

    /// The policy that the ledger says is in force; none before the first.
    #[must_use]
    pub const fn policy(&self) -> Option<Digest> {
        self.policy
    }

    /// Grows whenever something changes that a catalog may depend on.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// How many entries of the ledger are in the view.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}
