//! What a request comes to that is not refused.

use dockmaster_certs::{issue::Validity, profile::ContainerLeaf};
use dockmaster_proto::{
    event::{Evidence, HeldAddress, RequestHeld},
    id::{ContainerId, Digest, Name, Serial},
    time::UnixMs,
};

use super::Policy;
use crate::state::requests::approval_in;

/// What a request comes to that is not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// A certificate may be issued.
    Grant(Grant),
    /// It waits for an operator from now on: the event is to be committed.
    Hold(RequestHeld),
    /// It waits for an operator already.
    Wait(RequestHeld),
}

impl Decision {
    /// Whether it makes a difference to other decisions about requests that are held.
    pub(super) fn counts(&self) -> bool {
        match self {
            Self::Grant(grant) => approval_in(&grant.evidence).is_some(),
            Self::Hold(_) => true,
            Self::Wait(_) => false,
        }
    }
}

/// A certificate that may be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The container.
    pub container: ContainerId,
    /// The host that vouches.
    pub host: Name,
    /// The addresses that go into it.
    pub addresses: Vec<HeldAddress>,
    /// When the container was started.
    pub started_at_ms: UnixMs,
    /// The image's digest.
    pub image_digest: String,
    /// From when until when.
    pub validity: Validity,
    /// What it rests on: the host's word first.
    pub evidence: Vec<Evidence>,
    /// The rule that allows it.
    pub rule: String,
    /// The policy that the rule belongs to.
    pub policy_sha256: Digest,
    /// The entry of the node's previous certificate.
    pub prev: Option<u64>,
    /// All addresses that the container holds.
    pub held: Vec<HeldAddress>,
    /// Certificates of the container that name other addresses: they end with this issuance.
    pub superseded: Vec<Serial>,
}

impl Grant {
    pub(super) fn leaf(&self, policy: &Policy, serial: Serial) -> ContainerLeaf {
        ContainerLeaf {
            trust_domain: policy.trust_domain.clone(),
            host: self.host.clone(),
            container: self.container,
            addresses: self.addresses.clone(),
            started_at_ms: self.started_at_ms,
            image_digest: self.image_digest.clone(),
            ips: self.addresses.iter().map(|held| held.address.ip).collect(),
            validity: self.validity,
            serial,
        }
    }
}
