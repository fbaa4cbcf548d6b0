//! Entries into the view.

use dockmaster_proto::{
    address::Address,
    api::documents::RevisionInfo,
    event::{
        CertIssued, DocumentChanged, Entry, Event, HeldAddress, LeaseClosed, LeaseOpened,
        NodeObserved,
    },
    id::{ContainerId, Digest, Name, Serial},
    spiffe::Principal,
};

use super::{
    Approved, CurrentCertificate, Ended, EnrolledHost, HostKey, Lease, LostWatch, NodeRecord,
    Operator, State, TokenRecord, token_of,
};

impl State {
    /// Takes up the entry with this index. Entries come in order, each once.
    pub fn apply(&mut self, index: u64, entry: &Entry) {
        match &entry.event {
            Event::CaCreated(_)
            | Event::CertDenied(_)
            | Event::HostRefused(_)
            | Event::BackupTaken(_)
            | Event::RequestHeld(_)
            | Event::RequestApproved(_)
            | Event::RequestDenied(_) => {}
            Event::Restored(_) => self.tokens.end_all(Ended::Restored),
            Event::PolicyChanged(event) => self.policy = Some(event.policy_sha256),
            // A master that starts knows nothing yet.
            Event::MasterStarted(_) => {
                self.hosts.watched.clear();
                self.hosts.lost.clear();
            }
            Event::HostWatched(event) => {
                self.hosts.lost.remove(&event.host);
                self.hosts.watched.insert(event.host.clone(), entry.ts_ms);
            }
            // A host that is lost for a moment loses nobody, so it stays among the watched.
            Event::HostLost(event) => {
                let lost = LostWatch {
                    since: entry.ts_ms,
                    reason: event.reason.clone(),
                };
                self.hosts.lost.insert(event.host.clone(), lost);
            }
            Event::LeaseOpened(event) => self.open(event, entry),
            Event::LeaseClosed(event) => self.close(event),
            Event::NodeObserved(event) => self.observe(event),
            Event::NodeGone(event) => {
                if let Some(node) = self.nodes.remove(&event.container) {
                    self.keep_labels(node);
                }
            }
            Event::CertIssued(event) => {
                if let (Some(token), Some(node)) = (token_of(event), event.container) {
                    self.tokens
                        .change(&token, |token| token.take(event.spki_sha256, node));
                }
                self.certify(index, event);
            }
            Event::CertRenewed(event) => self.certify(index, event),
            Event::CertRevoked(event) => self.revoke(event.container.as_ref(), &event.serial),
            Event::LabelsChanged(event) => {
                if let Some(node) = self.nodes.get_mut(&event.container) {
                    node.relabel(&event.change);
                }
            }
            Event::ClassificationChanged(event) => {
                self.documents.classification = Some(revision_info(event, entry));
            }
            Event::SiteDeployed(event) => self.documents.site = Some(revision_info(event, entry)),
            Event::OperatorGranted(event) => {
                let operator = Operator {
                    name: event.operator.to_string(),
                    role: event.role.clone(),
                    not_after_ms: event.not_after_ms,
                };
                self.operators.insert(event.serial, operator);
            }
            Event::TokenCreated(event) => self.tokens.create(event, entry),
            Event::TokenUsed(event) => {
                self.tokens
                    .change(&event.token, |token| token.confirm(&event.spki_sha256));
                if let Some(node) = self.nodes.get_mut(&event.container) {
                    node.confirm(event);
                }
            }
            Event::TokenRevoked(event) => {
                self.tokens
                    .change(&event.token, |token| token.end(Ended::Revoked));
            }
            Event::HostEnrolled(event) => {
                let host = EnrolledHost::new(event, entry.ts_ms);
                self.hosts.enrolled.insert(event.host.clone(), host);
            }
            Event::HostEvicted(event) => self.hosts.evict(&event.host),
        }
        let is_changed = self.requests.apply(index, entry);
        self.request_generation += u64::from(is_changed);
        self.size = index + 1;
        self.newest = entry.ts_ms;
        self.generation += u64::from(concerns_catalogs(&entry.event));
    }

    fn observe(&mut self, event: &NodeObserved) {
        if let Some(node) = self.nodes.get_mut(&event.facts.id) {
            node.facts = event.facts.clone();
            return;
        }
        let mut node = NodeRecord::new(event.host.clone(), event.facts.clone());
        node.operator_labels = self.dormant_labels.remove(node.id()).unwrap_or_default();
        self.nodes.insert(event.facts.id, node);
    }

    /// Keeps what operators said of a container that ended.
    pub(crate) fn keep_labels(&mut self, ended: NodeRecord) {
        if !ended.operator_labels.is_empty() {
            self.dormant_labels
                .insert(*ended.id(), ended.operator_labels);
        }
    }

    /// Puts back a live node with its leases: the view is being loaded from the index.
    pub(crate) fn restore_node(
        &mut self,
        node: NodeRecord,
        leases: impl IntoIterator<Item = (HeldAddress, Lease)>,
    ) {
        for (held, lease) in leases {
            self.remember_lease(held.address, lease);
        }
        self.nodes.insert(*node.id(), node);
    }

    /// Puts back what is no node's.
    pub(crate) fn restore(&mut self, parts: RestoredParts) {
        let RestoredParts {
            epochs,
            operators,
            hosts,
            documents,
            requests,
            policy,
            size,
        } = parts;
        self.hosts.enrolled.extend(hosts);
        self.epochs.extend(epochs);
        self.operators.extend(operators);
        self.documents = documents;
        self.requests = requests;
        self.policy = policy;
        self.size = size;
        self.generation += 1;
    }

    /// Puts back a token.
    pub(crate) fn restore_token(&mut self, token: TokenRecord) {
        self.tokens.restore(token);
    }

    fn open(&mut self, event: &LeaseOpened, entry: &Entry) {
        let lease = Lease {
            container: event.container,
            epoch: event.epoch,
            opened_at_ms: entry.ts_ms,
            cause: event.cause,
        };
        self.epochs.insert(event.address.clone(), event.epoch);
        self.remember_lease(event.address.clone(), lease);
        if let Some(node) = self.nodes.get_mut(&event.container) {
            node.gain(HeldAddress {
                address: event.address.clone(),
                epoch: event.epoch,
            });
        }
    }

    fn remember_lease(&mut self, address: Address, lease: Lease) {
        let of_ip = self.by_ip.entry(address.ip).or_default();
        if !of_ip.contains(&address) {
            of_ip.push(address.clone());
        }
        self.leases.insert(address, lease);
    }

    fn close(&mut self, event: &LeaseClosed) {
        self.leases.remove(&event.address);
        if let Some(of_ip) = self.by_ip.get_mut(&event.address.ip) {
            of_ip.retain(|address| *address != event.address);
            if of_ip.is_empty() {
                self.by_ip.remove(&event.address.ip);
            }
        }
        if let Some(node) = self.nodes.get_mut(&event.container) {
            node.lose(&event.address);
        }
    }

    fn certify(&mut self, index: u64, event: &CertIssued) {
        if let Principal::Host(name) = &event.subject.principal
            && let Some(host) = self.hosts.enrolled.get_mut(name)
        {
            host.certify(HostKey {
                serial: event.serial,
                not_after_ms: event.not_after_ms,
            });
        }
        let Principal::Container { id, .. } = &event.subject.principal else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(id) {
            node.join(event);
            node.certify(CurrentCertificate::of(index, event));
            node.approved = Approved::of(&event.evidence);
        }
    }

    fn revoke(&mut self, container: Option<&ContainerId>, serial: &Serial) {
        self.operators.remove(serial);
        for host in self.hosts.enrolled.values_mut() {
            host.revoke(serial);
        }
        if let Some(node) = container.and_then(|id| self.nodes.get_mut(id)) {
            node.certificates
                .retain(|certificate| certificate.serial != *serial);
        }
    }
}

/// Whether a catalog may change by it.
const fn concerns_catalogs(event: &Event) -> bool {
    match event {
        Event::LeaseOpened(_)
        | Event::LeaseClosed(_)
        | Event::NodeObserved(_)
        | Event::NodeGone(_)
        | Event::LabelsChanged(_)
        | Event::ClassificationChanged(_)
        | Event::SiteDeployed(_) => true,
        Event::CaCreated(_)
        | Event::MasterStarted(_)
        | Event::HostWatched(_)
        | Event::HostLost(_)
        | Event::CertIssued(_)
        | Event::CertRenewed(_)
        | Event::CertDenied(_)
        | Event::CertRevoked(_)
        | Event::OperatorGranted(_)
        | Event::BackupTaken(_)
        | Event::Restored(_)
        | Event::TokenCreated(_)
        | Event::TokenUsed(_)
        | Event::TokenRevoked(_)
        | Event::HostEnrolled(_)
        | Event::HostEvicted(_)
        | Event::HostRefused(_)
        | Event::PolicyChanged(_)
        | Event::RequestHeld(_)
        | Event::RequestApproved(_)
        | Event::RequestDenied(_) => false,
    }
}

/// What the index gives back beside the nodes.
#[derive(Debug, Default)]
pub(crate) struct RestoredParts {
    pub(crate) epochs: Vec<(Address, u64)>,
    pub(crate) operators: Vec<(Serial, Operator)>,
    pub(crate) hosts: Vec<(Name, EnrolledHost)>,
    pub(crate) documents: super::Documents,
    pub(crate) requests: super::Requests,
    pub(crate) policy: Option<Digest>,
    pub(crate) size: u64,
}

/// Who changed a document, when and why, from its entry.
pub(crate) fn revision_info(event: &DocumentChanged, entry: &Entry) -> RevisionInfo {
    RevisionInfo {
        revision: event.revision,
        sha256: Some(event.sha256),
        author: entry.actor.clone(),
        message: event.message.clone(),
        at_ms: entry.ts_ms,
    }
}
