//! Entries into the view.

use dockmaster_proto::{
    address::Address,
    api::documents::RevisionInfo,
    event::{
        CertIssued, CertRevoked, DocumentChanged, Entry, Event, HeldAddress, LeaseClosed,
        LeaseOpened, NodeBanned, NodeObserved, OperatorGranted,
    },
    id::{Digest, Name, Serial},
    revocation::RevocationReason,
    spiffe::Principal,
    time::UnixMs,
};

use super::{
    Approved, AuthorityState, Ban, CurrentCertificate, Dormant, Ended, EnrolledHost, HostKey,
    Lease, LostWatch, MachineRecord, NodeRecord, Operator, RevokedCertificate, State, TokenRecord,
    apply_to_authorities, revocation_reason, token_of,
};

impl State {
    /// Takes up the entry with this index. Entries come in order, each once.
    pub fn apply(&mut self, index: u64, entry: &Entry) {
        match &entry.event {
            Event::CertConfirmed(_)
            | Event::CertDenied(_)
            | Event::HostRefused(_)
            | Event::BackupTaken(_) => {}
            Event::CaCreated(_)
            | Event::CaRenewed(_)
            | Event::CaRotationStarted(_)
            | Event::CaSwitched(_)
            | Event::CaSwitchedBack(_)
            | Event::CaRotationFinished(_)
            | Event::CaRolledBack(_) => {
                apply_to_authorities(&mut self.authorities, &entry.event, entry.ts_ms);
            }
            Event::RequestHeld(_) | Event::RequestApproved(_) | Event::RequestDenied(_) => {}
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
            Event::LeaseClosed(event) => self.close(event, entry.ts_ms),
            Event::NodeObserved(event) => self.observe(event),
            Event::NodeGone(event) => {
                if let Some(mut node) = self.nodes.remove(&event.container) {
                    let reason = RevocationReason::CessationOfOperation;
                    let ended = node.end(entry.ts_ms);
                    self.list(ended, entry.ts_ms, reason);
                    if let Some(dormant) = Dormant::of(&node) {
                        self.keep_labels(dormant);
                    }
                }
            }
            Event::CertIssued(event) => {
                if let (Some(token), Some(node)) = (token_of(event), event.container) {
                    self.tokens.change(&token, |token| token.take(event, node));
                }
                self.certify(index, event, entry);
            }
            Event::CertRenewed(event) => self.certify(index, event, entry),
            Event::CertRevoked(event) => self.revoke(event, entry.ts_ms),
            Event::NodeBanned(event) => {
                let ban = ban(event, entry);
                self.bans.insert(event.container, ban);
            }
            Event::NodeUnbanned(event) => {
                self.bans.remove(&event.container);
            }
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
                self.operators
                    .insert(event.serial, Operator::of(event, entry.ts_ms));
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
        self.machines.apply(&entry.event);
        let is_changed = self.requests.apply(index, entry);
        self.request_generation += u64::from(is_changed);
        self.size = index + 1;
        self.newest = entry.ts_ms;
        self.revocations.forget(entry.ts_ms);
        self.generation += u64::from(concerns_catalogs(&entry.event));
    }

    fn observe(&mut self, event: &NodeObserved) {
        if let Some(node) = self.nodes.get_mut(&event.facts.id) {
            // Two hosts reported one ID in the same moment: it is the first one's, and nothing that
            // the other says of it counts.
            if node.host == event.host {
                node.facts = event.facts.clone();
            }
            return;
        }
        let mut node = NodeRecord::new(event.host.clone(), event.facts.clone());
        node.operator_labels = self.dormant.wake(node.id(), &node.host);
        self.nodes.insert(event.facts.id, node);
    }

    /// Keeps what operators said of a container that ended.
    pub(crate) fn keep_labels(&mut self, dormant: Dormant) {
        self.dormant.keep(dormant);
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
            authorities,
            revoked,
            bans,
            documents,
            requests,
            policy,
            size,
            newest,
        } = parts;
        self.hosts.enrolled.extend(hosts);
        self.authorities = authorities;
        self.epochs.extend(epochs);
        self.operators.extend(operators);
        for revoked in revoked {
            self.revocations.insert(revoked);
        }
        self.revocations.forget(newest);
        self.bans
            .extend(bans.into_iter().map(|ban| (ban.container, ban)));
        self.documents = documents;
        self.requests = requests;
        self.policy = policy;
        self.size = size;
        self.generation += 1;
    }

    /// Puts back a machine.
    pub(crate) fn restore_machine(&mut self, machine: MachineRecord) {
        self.machines.restore(machine);
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
        let node = self.nodes.get(&event.container);
        if node.is_some_and(|node| node.host != event.host) {
            // As in `observe`: a host gives no address to another's container.
            return;
        }
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

    fn close(&mut self, event: &LeaseClosed, at: UnixMs) {
        self.leases.remove(&event.address);
        if let Some(of_ip) = self.by_ip.get_mut(&event.address.ip) {
            of_ip.retain(|address| *address != event.address);
            if of_ip.is_empty() {
                self.by_ip.remove(&event.address.ip);
            }
        }
        if let Some(node) = self.nodes.get_mut(&event.container) {
            let ended = node.lose(&event.address);
            self.list(ended, at, RevocationReason::CessationOfOperation);
        }
    }

    fn certify(&mut self, index: u64, event: &CertIssued, entry: &Entry) {
        if let Principal::Host(name) = &event.subject.principal
            && let Some(host) = self.hosts.enrolled.get_mut(name)
        {
            host.certify(HostKey::of(event));
        }
        let Principal::Container { id, .. } = &event.subject.principal else {
            return;
        };
        let certificate = CurrentCertificate::of(index, event);
        let ended = match self.nodes.get_mut(id) {
            Some(node) => {
                node.join(event);
                node.approved = Approved::of(&event.evidence);
                let ended = node.certify(certificate);
                if node.honours(&event.serial) {
                    let before = node.certified_before(&event.serial, &ended);
                    self.machines
                        .certify(&entry.event, node, &before, entry.ts_ms);
                }
                ended
            }
            // Its container ended while it was being issued.
            None => vec![certificate],
        };
        for certificate in ended {
            let reason = displacement(&certificate, event);
            self.list([certificate], entry.ts_ms, reason);
        }
    }

    fn revoke(&mut self, event: &CertRevoked, at: UnixMs) {
        self.operators.remove(&event.serial);
        for host in self.hosts.enrolled.values_mut() {
            host.revoke(&event.serial);
        }
        let node = event.container.and_then(|id| self.nodes.get_mut(&id));
        if let Some(ended) = node.and_then(|node| node.revoke(&event.serial)) {
            self.list([ended], at, revocation_reason(event));
        }
    }

    /// Takes certificates up that ended before their time.
    fn list(
        &mut self,
        ended: impl IntoIterator<Item = CurrentCertificate>,
        at: UnixMs,
        reason: RevocationReason,
    ) {
        for certificate in ended {
            self.revocations
                .insert(RevokedCertificate::new(certificate, at, reason));
        }
    }
}

impl Operator {
    /// The operator whose certificate an entry grants.
    #[must_use]
    pub fn of(event: &OperatorGranted, granted_at_ms: UnixMs) -> Self {
        Self {
            name: event.operator.to_string(),
            role: event.role.clone(),
            not_after_ms: event.not_after_ms,
            issuer_key_id: event.issuer_key_id.clone(),
            granted_at_ms,
        }
    }
}

/// Why a certificate is not honoured any more now that this one was issued.
pub(crate) fn displacement(ended: &CurrentCertificate, issued: &CertIssued) -> RevocationReason {
    if ended.serial == issued.serial {
        // Its lease closed while it was being issued.
        RevocationReason::CessationOfOperation
    } else {
        RevocationReason::Superseded
    }
}

/// A ban, from its entry.
pub(crate) fn ban(event: &NodeBanned, entry: &Entry) -> Ban {
    Ban {
        container: event.container,
        reason: event.reason.clone(),
        by: entry.actor.clone(),
        at_ms: entry.ts_ms,
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
        | Event::CaRenewed(_)
        | Event::CaRotationStarted(_)
        | Event::CaSwitched(_)
        | Event::CaSwitchedBack(_)
        | Event::CaRotationFinished(_)
        | Event::CaRolledBack(_)
        | Event::MasterStarted(_)
        | Event::HostWatched(_)
        | Event::HostLost(_)
        | Event::CertIssued(_)
        | Event::CertRenewed(_)
        | Event::CertConfirmed(_)
        | Event::CertDenied(_)
        | Event::CertRevoked(_)
        | Event::NodeBanned(_)
        | Event::NodeUnbanned(_)
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
    pub(crate) authorities: Option<AuthorityState>,
    pub(crate) revoked: Vec<RevokedCertificate>,
    pub(crate) bans: Vec<Ban>,
    pub(crate) documents: super::Documents,
    pub(crate) requests: super::Requests,
    pub(crate) policy: Option<Digest>,
    pub(crate) size: u64,
    pub(crate) newest: UnixMs,
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
