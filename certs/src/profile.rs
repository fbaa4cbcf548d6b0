//! The certificate of a container.
//!
//! Its subject is only `serialNumber=` and the container ID (never a common name, which some
//! verifiers take for a DNS name); it names the container by one SPIFFE ID and by IPs, and nothing in
//! it was chosen by the requester but the public key.

use std::net::IpAddr;

use dockmaster_proto::{
    event::HeldAddress,
    id::{ContainerId, Name, Serial, TrustDomain},
    spiffe::{Principal, SpiffeId},
    time::UnixMs,
};

use crate::{
    authority::Authority,
    csr::VerifiedCsr,
    issue::{
        Extension, IssueError, Issued, LeafTemplate, ProfileViolation, Usage, Validity, check_leaf,
    },
    key::PublicKey,
};

pub(crate) mod extension;

pub use extension::{ContainerExtension, MAX_IMAGE_DIGEST_LENGTH};

/// Default lifetime of a container's certificate in milliseconds: 6 hours.
pub const DEFAULT_LIFETIME_MS: u64 = 6 * 3_600_000;
/// The shortest lifetime that a policy should give, in milliseconds: 5 minutes.
pub const MIN_LIFETIME_MS: u64 = 5 * 60_000;
/// The longest lifetime that a policy should give, in milliseconds: 30 days.
pub const MAX_LIFETIME_MS: u64 = 30 * 24 * 3_600_000;

/// What a container's certificate says, all of it attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLeaf {
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// The host that vouches for the container.
    pub host: Name,
    /// The container.
    pub container: ContainerId,
    /// The addresses that it holds, with the epochs of their leases.
    pub addresses: Vec<HeldAddress>,
    /// The IPs by which relying parties may know it. The caller leaves out those of networks whose
    /// IPs are not unique, and loopback unless the network itself is a loopback network.
    pub ips: Vec<IpAddr>,
    /// When its process was started.
    pub started_at_ms: UnixMs,
    /// The digest of its image; empty if unknown.
    pub image_digest: String,
    /// From when until when: see [`Validity::of_container`].
    pub validity: Validity,
    /// The serial number: see [`crate::key::random_serial`].
    pub serial: Serial,
}

impl ContainerLeaf {
    /// Who the certificate speaks for.
    #[must_use]
    pub fn subject(&self) -> SpiffeId {
        SpiffeId {
            trust_domain: self.trust_domain.clone(),
            principal: Principal::Container {
                host: self.host.clone(),
                id: self.container,
            },
        }
    }

    fn template<'a>(&'a self, key: &'a PublicKey) -> LeafTemplate<'a> {
        LeafTemplate {
            key,
            subject: self.subject(),
            subject_serial: self.container.to_string(),
            ips: &self.ips,
            usage: Usage::ServerAndClient,
            extension: Extension::Container(ContainerExtension::of(self).to_der()),
            serial: self.serial,
            validity: self.validity,
        }
    }
}

impl Authority {
    /// Signs a container's certificate for the key of a verified request, reads it back and compares
    /// it with the profile.
    ///
    /// # Errors
    /// When this is not a container authority of the leaf's trust domain, an IP is outside its ranges
    /// or not among the leaf's addresses, a value cannot stand in a certificate, or the signed
    /// certificate is not what it should be.
    pub fn issue_container(
        &self,
        csr: &VerifiedCsr,
        leaf: &ContainerLeaf,
    ) -> Result<Issued, IssueError> {
        let held = |ip: &IpAddr| leaf.addresses.iter().any(|held| held.address.ip == *ip);
        if let Some(ip) = leaf.ips.iter().find(|ip| !held(ip)) {
            return Err(IssueError::BadIp {
                ip: *ip,
                why: "the container holds no such address",
            });
        }
        ContainerExtension::of(leaf).admit()?;
        self.issue(&leaf.template(csr.public_key()))
    }
}

/// Compares a container's certificate with the profile, field by field. The signature is not
/// verified.
///
/// # Errors
/// The first difference.
pub fn check_container_leaf(
    der: &[u8],
    key: &PublicKey,
    leaf: &ContainerLeaf,
    authority: &Authority,
) -> Result<(), ProfileViolation> {
    check_leaf(der, &leaf.template(key), authority)
}

#[cfg(test)]
mod tests;
