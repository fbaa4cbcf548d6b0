//! The decision: a pure function of the claim, the view and the policy.

use std::net::IpAddr;

use dockmaster_certs::{csr::CsrError, issue::Validity, profile::ContainerLeaf};
use dockmaster_proto::{
    event::{Evidence, HeldAddress},
    facts::NetworkMode,
    id::{ContainerId, Digest, Name, Serial, TrustDomain},
    problem::{Problem, ProblemCode},
    time::UnixMs,
};

use super::{Applicant, BindingError, Claimed};
use crate::state::{Ban, State};

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

/// A certificate that may not be issued, and what the applicant is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason.
    pub code: ProblemCode,
    /// The failing fact.
    pub detail: String,
    /// What to do next.
    pub hint: String,
    /// The container that it is about.
    pub container: Option<ContainerId>,
}

pub(super) fn decide(
    applicant: &Applicant,
    claimed: &Claimed,
    state: &State,
    policy: &Policy,
    permits: impl Fn(IpAddr) -> bool,
    now: UnixMs,
) -> Result<Grant, Refusal> {
    let (source, container) = (applicant.source, claimed.container);
    let Some(node) = state.node(&container) else {
        return Err(Refusal::lease_closed(source, container));
    };
    if state.is_suspended(&container)
        || !node.addresses.iter().any(|held| held.address.ip == source)
    {
        return Err(Refusal::lease_closed(source, container));
    }
    if let Some(ban) = state.ban(&container) {
        return Err(Refusal::banned(ban));
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
    if !permits(source) {
        return Err(Refusal {
            code: ProblemCode::AddressNotPermitted,
            detail: format!("{source} of container {} lies outside the ranges that this master's authority may certify", container.short()),
            hint: "the ranges are chosen by --permit at \"dockmaster init\"; \"openssl x509 -text -in DIR/ca/intermediate.pem\" shows them".into(),
            container: Some(container),
        });
    }
    // An address outside the permitted ranges would make the whole certificate invalid.
    let addresses = node
        .addresses
        .iter()
        .filter(|held| permits(held.address.ip))
        .cloned()
        .collect();
    Ok(Grant {
        container,
        host: node.host.clone(),
        addresses,
        started_at_ms: node.facts.started_at_ms,
        image_digest: node.facts.image_digest.clone(),
        validity: Validity::of_container(now, node.facts.started_at_ms, policy.lifetime_ms),
        evidence: evidence(node.host.clone(), claimed),
        rule: "default: host evidence".into(),
        prev: node.last_certificate,
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

/// The host's word, and whatever else supports the claim.
fn evidence(host: Name, claimed: &Claimed) -> Vec<Evidence> {
    let host = Evidence::Host {
        host,
        facts_sha256: facts_digest(claimed),
    };
    std::iter::once(host)
        .chain(claimed.further.iter().cloned())
        .collect()
}

#[expect(
    clippy::expect_used,
    reason = "facts are strings, numbers, lists and a map with string keys"
)]
fn facts_digest(claimed: &Claimed) -> Digest {
    Digest::of(&serde_json::to_vec(&claimed.facts).expect("facts serialise"))
}

impl Refusal {
    pub(super) fn bad_csr(error: &CsrError) -> Self {
        Self {
            code: ProblemCode::BadCsr,
            detail: format!("the certificate request is not acceptable: {error}"),
            hint: "let dockmaster-agent make the request; its format is in docs/enrollment.md"
                .into(),
            container: None,
        }
    }

    pub(super) fn repeated(container: ContainerId, error: BindingError) -> Self {
        Self {
            code: ProblemCode::BadCsr,
            detail: format!("the certificate request is not acceptable: {error}"),
            hint: "make a new key and open a new connection; dockmaster-agent does".into(),
            container: Some(container),
        }
    }

    pub(super) fn no_inventory(source: IpAddr) -> Self {
        Self {
            code: ProblemCode::NoLease,
            detail: format!(
                "this master watches no container host, so nothing vouches for {source}"
            ),
            hint: "start it as \"dockmaster serve --docker\"".into(),
            container: None,
        }
    }

    pub(super) fn no_lease(source: IpAddr, state: &State) -> Self {
        let on_host_network = state
            .nodes()
            .any(|node| node.facts.network_mode == NetworkMode::Host);
        let hint = if on_host_network {
            "a container started with --network host has no address of its own; start it on a bridge network"
        } else {
            "the request must come from a container of the engine that \"dockmaster serve --docker\" watches, and not through a proxy or NAT; \"dockmaster node list\" shows the addresses"
        };
        Self {
            code: ProblemCode::NoLease,
            detail: format!("no running container is known to hold {source}"),
            hint: hint.into(),
            container: None,
        }
    }

    pub(super) fn ambiguous(source: IpAddr, holders: &[ContainerId]) -> Self {
        let holders: Vec<String> = holders.iter().map(ContainerId::short).collect();
        Self {
            code: ProblemCode::AmbiguousAddress,
            detail: format!(
                "{source} is held by several containers in different networks: {}",
                holders.join(", ")
            ),
            hint: "give the networks distinct ranges".into(),
            container: None,
        }
    }

    pub(super) fn too_many(container: ContainerId, wait_ms: u64) -> Self {
        Self {
            code: ProblemCode::TooManyRequests,
            detail: format!(
                "container {} asks for too many certificates",
                container.short()
            ),
            hint: format!("the next one is given in {} s", wait_ms.div_ceil(1000)),
            container: Some(container),
        }
    }

    pub(super) fn displaced(container: ContainerId) -> Self {
        Self {
            code: ProblemCode::TooManyRequests,
            detail: format!(
                "newer certificates of container {} were issued at the same time, and only the newest count",
                container.short()
            ),
            hint: "one agent in a container is enough".into(),
            container: Some(container),
        }
    }

    fn banned(ban: &Ban) -> Self {
        Self {
            code: ProblemCode::Banned,
            detail: format!(
                "container {} gets no certificate: {} banned it at {}",
                ban.container.short(),
                ban.by,
                ban.at_ms
            ),
            hint: "an operator lifts it by \"dockmaster cert unban\"".into(),
            container: Some(ban.container),
        }
    }

    pub(super) fn lease_closed(source: IpAddr, container: ContainerId) -> Self {
        Self {
            code: ProblemCode::NoLease,
            detail: format!("container {} no longer holds {source}", container.short()),
            hint: "the container that holds the address now must ask again".into(),
            container: Some(container),
        }
    }

    pub(super) fn into_problem(self) -> Problem {
        Problem::new(self.code, self.detail, self.hint)
    }
}

#[cfg(test)]
mod tests;
