//! The decision: a pure function of the claim, the view and the policy.

use std::net::{IpAddr, SocketAddr};

use dockmaster_certs::{issue::Validity, profile::ContainerLeaf};
use dockmaster_proto::{
    event::{Evidence, HeldAddress},
    id::{ContainerId, Digest, Name, Serial, TrustDomain},
    problem::ProblemCode,
    time::UnixMs,
};

use super::{Applicant, Claimed, SocketVerdict, refusal::Refusal};
use crate::state::State;

/// What may be issued.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The trust domain of every certificate.
    pub trust_domain: TrustDomain,
    /// Lifetime of a container's certificate in milliseconds.
    pub lifetime_ms: u64,
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

pub(super) fn decide(
    applicant: &Applicant,
    claimed: &Claimed,
    state: &State,
    policy: &Policy,
    permits: impl Fn(IpAddr) -> bool,
    now: UnixMs,
) -> Result<Grant, Refusal> {
    let (source, container) = (applicant.source(), claimed.container);
    let Some(node) = state.node(&container) else {
        return Err(Refusal::lease_closed(source, container));
    };
    let holds = node.addresses.iter().any(|held| held.address.ip == source);
    let is_shared = node.shares_its_address();
    if state.is_suspended(&container) || !(holds || is_shared) {
        return Err(Refusal::lease_closed(source, container));
    }
    if let Some(other) = applicant.renewing.filter(|other| *other != container) {
        return Err(Refusal {
            code: ProblemCode::CertificateRevoked,
            detail: format!(
                "{source} belongs to container {}, and the certificate shown is that of container {}",
                container.short(),
                other.short()
            ),
            hint: "a container must enroll for a certificate of its own".into(),
            container: Some(container),
        });
    }
    let basis = basis(applicant, claimed, is_shared)?;
    if !is_shared && !permits(source) {
        return Err(Refusal {
            code: ProblemCode::AddressNotPermitted,
            detail: format!("{source} of container {} lies outside the ranges that this master's authority may certify", container.short()),
            hint: "the ranges are chosen by --permit at \"dockmaster init\"; \"openssl x509 -text -in DIR/ca/intermediate.pem\" shows them".into(),
            container: Some(container),
        });
    }
    // An address outside the permitted ranges would make the whole certificate invalid.
    let addresses: Vec<HeldAddress> = node
        .addresses
        .iter()
        .filter(|held| permits(held.address.ip))
        .cloned()
        .collect();
    let superseded = node
        .certificates
        .iter()
        .filter(|certificate| certificate.addresses != addresses)
        .map(|certificate| certificate.serial)
        .collect();
    Ok(Grant {
        container,
        host: node.host.clone(),
        addresses,
        started_at_ms: node.facts.started_at_ms,
        image_digest: node.facts.image_digest.clone(),
        validity: Validity::of_container(now, node.facts.started_at_ms, policy.lifetime_ms),
        evidence: evidence(&node.host, applicant, claimed),
        rule: basis,
        prev: node.last_certificate,
        held: node.addresses.clone(),
        superseded,
    })
}

/// When the holder should ask for the next certificate: at half its life, a tenth earlier or later
/// by the serial's own random bits, so that containers started together do not renew together.
pub(super) fn renew_at(issued_at: UnixMs, not_after: UnixMs, serial: &Serial) -> UnixMs {
    // From the issuance and not from the beginning of the validity, which lies minutes before it.
    let life = not_after.since(issued_at);
    let jitter = life / 5 * u64::from(serial.as_bytes()[15]) / 255;
    UnixMs(issued_at.0 + life * 2 / 5 + jitter)
}

/// On what an issuance rests, in words; or why what is known of the connection's socket forbids it.
fn basis(applicant: &Applicant, claimed: &Claimed, is_shared: bool) -> Result<String, Refusal> {
    let (source, container) = (applicant.source(), claimed.container);
    match &claimed.socket {
        SocketVerdict::Owned { .. } if is_shared => Ok(
            "default: host and socket evidence; shares a network namespace, so no address".into(),
        ),
        SocketVerdict::Owned { .. } => Ok("default: host and socket evidence".into()),
        SocketVerdict::NotThere => Err(Refusal::elsewhere(source, container)),
        SocketVerdict::Foreign => Err(Refusal::foreign(source, container)),
        SocketVerdict::Unavailable { why, .. } if is_shared => {
            Err(Refusal::shared_without_socket(source, container, why))
        }
        // A renewal shows the key of the container's own certificate, which the others do not have.
        SocketVerdict::Unavailable { why, sharing }
            if !sharing.is_empty() && applicant.renewing != Some(container) =>
        {
            Err(Refusal::shared_address(source, container, sharing, why))
        }
        SocketVerdict::Unavailable { why, .. } => {
            Ok(format!("default: host evidence; no socket evidence: {why}"))
        }
    }
}

/// The host's word, what its kernel says of the connection, and whatever else supports the claim.
fn evidence(host: &Name, applicant: &Applicant, claimed: &Claimed) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::Host {
        host: host.clone(),
        facts_sha256: facts_digest(claimed),
    }];
    if let SocketVerdict::Owned { pid } = claimed.socket {
        let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
        evidence.push(Evidence::Socket {
            host: host.clone(),
            source: canonical(applicant.connection.source),
            local: canonical(applicant.connection.local),
            pid,
        });
    }
    evidence.extend(claimed.further.iter().cloned());
    evidence
}

#[expect(
    clippy::expect_used,
    reason = "facts are strings, numbers, lists and a map with string keys"
)]
fn facts_digest(claimed: &Claimed) -> Digest {
    Digest::of(&serde_json::to_vec(&claimed.facts).expect("facts serialise"))
}

#[cfg(test)]
mod tests;
