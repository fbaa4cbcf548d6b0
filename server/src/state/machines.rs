//! Machines that a join token let in, in the view: by which keys each comes back when its certificates
//! have expired.
//!
//! A token burns into a key, and each renewal hands that on to a new one. Until the machine was seen with
//! the new certificate it may hold the one before, for the answer may be lost; so the key that it was seen
//! with last and the newest one count, and no other.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use dockmaster_proto::{
    address::Address,
    event::{CertIssued, Event, Evidence, HeldAddress, LeaseCause},
    facts::{Attachment, ContainerFacts, Limits, NetworkMode},
    id::{ContainerId, Digest, Name, NetworkName, Serial, TokenId},
    time::UnixMs,
    token::TOKEN_HOST,
};
use serde::{Deserialize, Serialize};

use super::{NodeRecord, NodeReference, token_of};

/// How long after the end of its newest certificate a machine may come back by its key: 30 days.
pub const MAX_ABSENCE_MS: u64 = 30 * 24 * 3_600_000;
/// How long it is remembered, so that a refusal can say what it was.
const KEEP_MS: u64 = 2 * MAX_ABSENCE_MS;

/// Everything that the ledger says about the return of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// Its node.
    pub id: ContainerId,
    /// The token that let it in.
    pub token: TokenId,
    /// The labels that the token gave it.
    pub labels: BTreeMap<String, String>,
    /// The address of its newest certificate.
    pub held: HeldAddress,
    /// The key of its newest certificate.
    pub newest: CertifiedKey,
    /// The key that it was last seen with.
    pub seen: Option<CertifiedKey>,
    /// How it stands.
    pub standing: Standing,
}

/// A key with its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedKey {
    /// SHA-256 of the key (DER SubjectPublicKeyInfo).
    pub key: Digest,
    /// The certificate.
    pub serial: Serial,
    /// Valid until.
    pub not_after_ms: UnixMs,
}

impl CertifiedKey {
    const fn of(event: &CertIssued) -> Self {
        Self {
            key: event.spki_sha256,
            serial: event.serial,
            not_after_ms: event.not_after_ms,
        }
    }
}

/// How a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It holds its lease.
    Present,
    /// Its certificates expired, and its lease is closed; it is not gone yet.
    Leaving,
    /// Its certificates expired, and it is gone with them.
    Away,
    /// Its lease ended otherwise, or it was put out after that.
    Ended(LeaseCause),
    /// An operator revoked a certificate of it.
    Revoked,
    /// The installation was restored from a backup: what became of the machine since the backup is not
    /// known, and it may have been put out.
    Restored,
}

impl MachineRecord {
    /// The machine of a first certificate, or of a return; none where no token let it in.
    #[must_use]
    pub fn new(event: &CertIssued, node: &NodeRecord) -> Option<Self> {
        let key = CertifiedKey::of(event);
        let token = token_of(event).filter(|_| node.is_by_token())?;
        Some(Self {
            id: *node.id(),
            token,
            labels: node.facts.labels.clone(),
            held: event.addresses.first()?.clone(),
            newest: key,
            // Who comes back by a key has it.
            seen: came_back(event).then_some(key),
            standing: Standing::Present,
        })
    }

    /// What is known of it after a first certificate or a return, of which this is the record. A return
    /// that was decided before the machine was put out does not undo that.
    #[must_use]
    pub(crate) fn after(self, event: &CertIssued, known: Option<&Self>) -> Self {
        let standing = known
            .filter(|known| came_back(event) && !known.may_return())
            .map_or(self.standing, |known| known.standing);
        Self { standing, ..self }
    }

    /// Takes up a renewal; `before` are the certificates that counted until then.
    pub(crate) fn renew(&mut self, event: &CertIssued, before: &[Serial]) {
        // What did not count cannot have been shown for it.
        let counted = |seen: &CertifiedKey| before.contains(&seen.serial);
        let is_present = self.standing == Standing::Present;
        self.seen = self.seen.filter(|seen| is_present && counted(seen));
        self.newest = CertifiedKey::of(event);
        // One that was decided before the last one was revoked does not undo that.
        if is_present || !before.is_empty() {
            self.standing = Standing::Present;
        }
    }

    /// The machine that an event is about which [`MachineRecord::apply`] takes up.
    #[must_use]
    pub(crate) const fn concerned(event: &Event) -> Option<&ContainerId> {
        match event {
            Event::CertConfirmed(_)
            | Event::TokenUsed(_)
            | Event::LeaseClosed(_)
            | Event::CertRevoked(_)
            | Event::NodeGone(_) => event.container(),
            _ => None,
        }
    }

    /// Takes up what else happened to it.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::CertConfirmed(event) if self.newest.serial == event.serial => {
                self.seen = Some(self.newest);
            }
            Event::TokenUsed(event) if self.newest.key == event.spki_sha256 => {
                self.seen = Some(self.newest);
            }
            Event::LeaseClosed(event) if self.standing == Standing::Present => {
                self.standing = match event.cause {
                    LeaseCause::Expired => Standing::Leaving,
                    cause => Standing::Ended(cause),
                };
            }
            // An operator's: those of a lease that expires come between its end and the machine's.
            Event::CertRevoked(event)
                if matches!(self.standing, Standing::Present | Standing::Away)
                    && self.keys().any(|key| key.serial == event.serial) =>
            {
                self.standing = Standing::Revoked;
            }
            Event::NodeGone(event) if self.may_return() => {
                self.standing = match event.cause {
                    LeaseCause::Expired => Standing::Away,
                    cause => Standing::Ended(cause),
                };
            }
            Event::Restored(_) if self.may_return() => self.standing = Standing::Restored,
            _ => {}
        }
    }

    const fn may_return(&self) -> bool {
        matches!(
            self.standing,
            Standing::Present | Standing::Leaving | Standing::Away
        )
    }

    /// The key with this digest, where it is one by which the machine comes back.
    #[must_use]
    pub fn key(&self, key: &Digest) -> Option<&CertifiedKey> {
        self.keys().find(|known| known.key == *key)
    }

    /// The keys by which it comes back, with the certificates that they are known by.
    pub fn keys(&self) -> impl Iterator<Item = &CertifiedKey> {
        std::iter::once(&self.newest).chain(&self.seen)
    }

    /// Its node as it was and would be again, from this start on.
    #[must_use]
    pub fn node(&self, started_at_ms: UnixMs) -> NodeRecord {
        let Address { network, ip } = &self.held.address;
        let facts = machine_facts(self.id, &self.labels, (network, *ip), started_at_ms);
        NodeRecord {
            addresses: vec![self.held.clone()],
            ..NodeRecord::new(token_host(), facts)
        }
    }

    /// Whether it is news that the machine came back with this certificate.
    #[must_use]
    pub fn is_news(&self, serial: &Serial) -> bool {
        self.newest.serial == *serial && self.seen != Some(self.newest)
    }

    /// When its newest certificate ends, or ended.
    #[must_use]
    pub fn certified_until(&self) -> UnixMs {
        let ends = self.keys().map(|key| key.not_after_ms);
        ends.max().unwrap_or_default()
    }

    /// From then on it needs a new token.
    #[must_use]
    pub fn returns_until(&self) -> UnixMs {
        self.certified_until().plus_ms(MAX_ABSENCE_MS)
    }

    /// Whether it is remembered no longer.
    #[must_use]
    pub fn is_past(&self, now: UnixMs) -> bool {
        self.certified_until().plus_ms(KEEP_MS) <= now
    }
}

/// What is known of a machine: what its token says, and the address that it speaks from.
#[must_use]
pub fn machine_facts(
    id: ContainerId,
    labels: &BTreeMap<String, String>,
    (network, ip): (&NetworkName, IpAddr),
    started_at_ms: UnixMs,
) -> ContainerFacts {
    ContainerFacts {
        id,
        // A name of the machine's own choice would be taken for a container's.
        name: format!("machine-{}", id.short()),
        image: String::new(),
        image_digest: String::new(),
        labels: labels.clone(),
        started_at_ms,
        limits: Limits::default(),
        network_mode: NetworkMode::Own,
        attachments: vec![Attachment {
            network: network.clone(),
            ips: vec![ip],
        }],
    }
}

/// What stands in the place of a machine's host.
#[must_use]
#[expect(clippy::expect_used, reason = "a constant, and a test reads it")]
pub fn token_host() -> Name {
    TOKEN_HOST.parse().expect("a name")
}

/// Whether an issuance is the return of a machine.
#[must_use]
pub fn came_back(event: &CertIssued) -> bool {
    let is_return = |evidence: &Evidence| {
        matches!(
            evidence,
            Evidence::Token {
                returned_with: Some(_),
                ..
            }
        )
    };
    event.evidence.iter().any(is_return)
}

/// The machines that are remembered.
#[derive(Debug, Default)]
pub struct Machines {
    by_id: BTreeMap<ContainerId, MachineRecord>,
    /// Whose key it is.
    by_key: HashMap<Digest, ContainerId>,
}

impl Machines {
    /// A machine.
    #[must_use]
    pub fn get(&self, id: &ContainerId) -> Option<&MachineRecord> {
        self.by_id.get(id)
    }

    /// The machine that comes back by this key.
    #[must_use]
    pub fn of_key(&self, key: &Digest) -> Option<&MachineRecord> {
        self.get(self.by_key.get(key)?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &MachineRecord> {
        self.by_id.values()
    }

    /// Those that are away, and might come back.
    pub fn all_away(&self) -> impl Iterator<Item = &MachineRecord> {
        self.iter()
            .filter(|machine| machine.standing == Standing::Away)
    }

    /// The one that is away and that an operator means: of several the one that was there last.
    #[must_use]
    pub fn away(&self, reference: NodeReference<'_>) -> Option<&MachineRecord> {
        let fitting = self
            .all_away()
            .filter(|machine| reference.fits(&machine.node(UnixMs(0))));
        fitting.max_by_key(|machine| machine.certified_until())
    }

    /// Those that held an IP last.
    pub fn at(&self, ip: IpAddr) -> impl Iterator<Item = &MachineRecord> {
        self.iter()
            .filter(move |machine| machine.held.address.ip == ip)
    }

    /// Takes up the certificate of a node, when it counts: a first one, a return or a renewal.
    /// `before` are the certificates that counted until then.
    pub(super) fn certify(
        &mut self,
        event: &Event,
        node: &NodeRecord,
        before: &[Serial],
        at: UnixMs,
    ) {
        match event {
            Event::CertIssued(event) => {
                if let Some(machine) = MachineRecord::new(event, node) {
                    let machine = machine.after(event, self.get(node.id()));
                    self.forget_past(at);
                    self.restore(machine);
                }
            }
            Event::CertRenewed(event) if token_of(event).is_some() => {
                self.change(node.id(), |machine| machine.renew(event, before));
            }
            _ => {}
        }
    }

    /// Takes up what else happened.
    pub(super) fn apply(&mut self, event: &Event) {
        if let Event::Restored(_) = event {
            for machine in self.by_id.values_mut() {
                machine.apply(event);
            }
        } else if let Some(id) = MachineRecord::concerned(event) {
            self.change(id, |machine| machine.apply(event));
        }
    }

    /// Puts a machine in the place of what was known of it.
    pub(crate) fn restore(&mut self, machine: MachineRecord) {
        self.forget(&machine.id);
        for key in machine.keys() {
            // One key may have come as two machines: it is the one's that may still come back.
            let other = self.of_key(&key.key);
            if machine.may_return() || !other.is_some_and(MachineRecord::may_return) {
                self.by_key.insert(key.key, machine.id);
            }
        }
        self.by_id.insert(machine.id, machine);
    }

    fn change(&mut self, id: &ContainerId, change: impl FnOnce(&mut MachineRecord)) {
        if let Some(mut machine) = self.by_id.get(id).cloned() {
            change(&mut machine);
            self.restore(machine);
        }
    }

    fn forget(&mut self, id: &ContainerId) {
        if let Some(machine) = self.by_id.remove(id) {
            for key in machine.keys() {
                // One key may have come as another machine since.
                if self.by_key.get(&key.key) == Some(id) {
                    self.by_key.remove(&key.key);
                }
            }
        }
    }

    fn forget_past(&mut self, now: UnixMs) {
        let past = self.iter().filter(|machine| machine.is_past(now));
        let past: Vec<ContainerId> = past.map(|machine| machine.id).collect();
        for id in past {
            self.forget(&id);
        }
    }
}
