//! A node in the view.

use std::{collections::BTreeMap, net::IpAddr};

use dockmaster_proto::{
    address::Address,
    event::{CertIssued, Evidence, HeldAddress, TokenUsed},
    facts::{ContainerFacts, NetworkMode},
    id::{ContainerId, Digest, Name, RequestId, Serial, TokenId},
    label::{LabelChange, Labels, MAX_KEY, Tier},
    node::NodeView,
    time::UnixMs,
    token::TOKEN_HOST,
};
use serde::{Deserialize, Serialize};

use super::{came_back, requests::approval_in, token_of};

/// Everything that the ledger says about one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The host that vouches for it.
    pub host: Name,
    /// What the host attests.
    pub facts: ContainerFacts,
    /// What operators said.
    pub operator_labels: BTreeMap<String, String>,
    /// The addresses that it holds, sorted.
    pub addresses: Vec<HeldAddress>,
    /// The certificates that are honoured, newest first.
    pub certificates: Vec<CurrentCertificate>,
    /// The index of the entry of its last certificate, honoured or not.
    pub last_certificate: Option<u64>,
    /// When it ended; none while it runs.
    pub gone_at_ms: Option<UnixMs>,
    /// The operator's word on which its newest certificate rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// The token that let it in; none where a host vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Joined>,
}

/// How a machine came in that no container host vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// By this token.
    pub token: TokenId,
    /// With this key (SHA-256 of the DER SubjectPublicKeyInfo).
    pub key: Digest,
    /// Whether it came back with the certificate.
    pub confirmed: bool,
}

/// An operator's word for a run of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Who gave it.
    pub operator: Name,
    /// For which request.
    pub request: RequestId,
}

impl Approved {
    /// The word among some evidence.
    pub(crate) fn of(evidence: &[Evidence]) -> Option<Self> {
        let (operator, request) = approval_in(evidence)?;
        Some(Self {
            operator: operator.clone(),
            request: *request,
        })
    }
}

/// A certificate that is honoured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentCertificate {
    /// Its serial number.
    pub serial: Serial,
    /// The index of its entry.
    pub index: u64,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// The addresses in it.
    pub addresses: Vec<HeldAddress>,
    /// The key identifier of the authority that signed it, in hex.
    pub issuer_key_id: String,
    /// The addresses that its container held when it was issued, whether it names them or not.
    #[serde(default)]
    pub held: Vec<HeldAddress>,
    /// Where it counts when it names no address: the source of the connection that it was asked for by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_from: Option<IpAddr>,
}

impl CurrentCertificate {
    /// The certificate of the issuance that is entry `index`.
    #[must_use]
    pub fn of(index: u64, event: &CertIssued) -> Self {
        let source = event.evidence.iter().find_map(|evidence| match evidence {
            Evidence::Socket { source, .. } => Some(source.ip().to_canonical()),
            _ => None,
        });
        Self {
            serial: event.serial,
            index,
            not_after_ms: event.not_after_ms,
            addresses: event.addresses.clone(),
            issuer_key_id: event.issuer_key_id.clone(),
            held: Vec::new(),
            shown_from: source.filter(|_| event.addresses.is_empty()),
        }
    }
}

/// How many certificates of a node are honoured at a time: while an agent renews, the old one must
/// serve until the new one has arrived; more are of no use to an honest node.
pub(super) const MAX_HONOURED: usize = 2;

impl NodeRecord {
    /// A node that was just seen.
    #[must_use]
    pub const fn new(host: Name, facts: ContainerFacts) -> Self {
        Self {
            host,
            facts,
            operator_labels: BTreeMap::new(),
            addresses: Vec::new(),
            certificates: Vec::new(),
            last_certificate: None,
            gone_at_ms: None,
            approved: None,
            joined: None,
        }
    }

    /// The container ID.
    #[must_use]
    pub const fn id(&self) -> &ContainerId {
        &self.facts.id
    }

    /// Whether it holds this address.
    #[must_use]
    pub fn holds(&self, address: &Address) -> bool {
        self.addresses.iter().any(|held| held.address == *address)
    }

    /// Whether a certificate of it is honoured.
    #[must_use]
    pub fn honours(&self, serial: &Serial) -> bool {
        self.certificate(serial).is_some()
    }

    /// A certificate of it that is honoured.
    #[must_use]
    pub fn certificate(&self, serial: &Serial) -> Option<&CurrentCertificate> {
        self.certificates
            .iter()
            .find(|certificate| certificate.serial == *serial)
    }

    /// Whether it came in by a join token: no host vouches for it, and none is asked about it.
    #[must_use]
    pub fn is_by_token(&self) -> bool {
        self.host.as_str() == TOKEN_HOST
    }

    /// Whether several containers may speak from its address: it has no network namespace of its own.
    #[must_use]
    pub fn shares_its_address(&self) -> bool {
        self.facts.network_mode != NetworkMode::Own
    }

    /// As selectors and templates see it.
    #[must_use]
    pub fn view(&self) -> NodeView {
        let Self {
            host,
            facts,
            operator_labels,
            addresses,
            certificates: _,
            last_certificate: _,
            gone_at_ms: _,
            approved: _,
            joined: _,
        } = self;
        let mut labels = Labels::new();
        let tier = if self.is_by_token() {
            Tier::Token
        } else {
            Tier::Host
        };
        for (key, value) in facts.labels.iter().filter(|(key, _)| key.len() <= MAX_KEY) {
            labels.set(key, value, tier);
        }
        for (key, value) in operator_labels {
            labels.set(key, value, Tier::Operator);
        }
        NodeView {
            id: facts.id,
            name: facts.name.clone(),
            host: host.clone(),
            image: facts.image.clone(),
            image_digest: facts.image_digest.clone(),
            addresses: addresses.iter().map(|held| held.address.clone()).collect(),
            labels,
            started_at_ms: facts.started_at_ms,
            limits: facts.limits,
        }
    }

    /// Takes up by which token and with which key it came in. A renewal is no coming in.
    pub(crate) fn join(&mut self, event: &CertIssued) {
        let Some(token) = token_of(event).filter(|_| self.is_by_token()) else {
            return;
        };
        let is_known = |joined: &Joined| joined.token == token;
        if !self.joined.as_ref().is_some_and(is_known) {
            self.joined = Some(Joined {
                token,
                key: event.spki_sha256,
                confirmed: came_back(event),
            });
        }
    }

    /// Takes up that it came back with the certificate.
    pub(crate) fn confirm(&mut self, event: &TokenUsed) {
        if let Some(joined) = &mut self.joined
            && joined.token == event.token
            && joined.key == event.spki_sha256
        {
            joined.confirmed = true;
        }
    }

    /// Makes an operator's change of labels.
    pub fn relabel(&mut self, change: &LabelChange) {
        for (key, value) in &change.set {
            self.operator_labels
                .insert(key.as_str().to_owned(), value.clone());
        }
        for key in &change.remove {
            self.operator_labels.remove(key.as_str());
        }
    }

    /// Takes up an address.
    pub fn gain(&mut self, held: HeldAddress) {
        self.addresses.retain(|other| other.address != held.address);
        self.addresses.push(held);
        self.addresses.sort_by(|a, b| a.address.cmp(&b.address));
    }

    /// Gives an address up. Gives back the certificates that name it: they are honoured no more.
    pub fn lose(&mut self, address: &Address) -> Vec<CurrentCertificate> {
        self.addresses.retain(|held| held.address != *address);
        let names_it = |certificate: &mut CurrentCertificate| {
            certificate
                .addresses
                .iter()
                .any(|held| held.address == *address)
        };
        self.certificates.extract_if(.., names_it).collect()
    }

    /// Takes up a certificate. Gives back those that are honoured no more: the oldest beyond
    /// the two that count, or the new one itself when its lease closed while it was being committed.
    pub fn certify(&mut self, mut certificate: CurrentCertificate) -> Vec<CurrentCertificate> {
        self.last_certificate = Some(certificate.index);
        if certificate
            .addresses
            .iter()
            .any(|held| !self.addresses.contains(held))
        {
            return vec![certificate];
        }
        certificate.held.clone_from(&self.addresses);
        self.certificates.insert(0, certificate);
        let honoured = self.certificates.len().min(MAX_HONOURED);
        self.certificates.split_off(honoured)
    }

    /// The certificates that counted before this one, which displaced `displaced`.
    #[must_use]
    pub(crate) fn certified_before(
        &self,
        serial: &Serial,
        displaced: &[CurrentCertificate],
    ) -> Vec<Serial> {
        let all = self.certificates.iter().chain(displaced);
        all.map(|certificate| certificate.serial)
            .filter(|other| other != serial)
            .collect()
    }

    /// Ends the node. Gives back the certificates that were honoured until now.
    pub fn end(&mut self, at: UnixMs) -> Vec<CurrentCertificate> {
        self.gone_at_ms = Some(at);
        std::mem::take(&mut self.certificates)
    }

    /// Gives a certificate up before its time.
    pub fn revoke(&mut self, serial: &Serial) -> Option<CurrentCertificate> {
        let mut revoked = self
            .certificates
            .extract_if(.., |certificate| certificate.serial == *serial);
        revoked.next()
    }
}
