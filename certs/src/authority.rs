//! Certificate authorities: one root, one intermediate for containers, one for infrastructure.
//!
//! The root signs only intermediates. The container intermediate carries name constraints: even
//! somebody who stole its key can certify no IP outside the permitted ranges and no DNS name. The
//! infrastructure intermediate signs masters, hosts and operators; which of the two signed a leaf is
//! checked wherever a leaf is verified (see [`crate::chain`]), so neither can stand in for the other.

use std::{fmt, net::IpAddr};

use dockmaster_proto::{
    id::{Digest, Serial, TrustDomain},
    time::UnixMs,
};
use ipnet::IpNet;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    form::{IssueError, admit_serial, admit_validity, bare_params, push_serial_number},
    key::{KeyError, KeyId, KeyPair},
    pem,
    validity::Validity,
};

mod constraints;
mod facts;

pub use crate::kind::AuthorityKind;
pub use facts::AuthorityFault;
pub(crate) use facts::{AuthorityFacts, MAX_CERTIFICATE_LENGTH};

/// Lifetime of a root in milliseconds: ten years.
pub const ROOT_LIFETIME_MS: u64 = 3650 * 24 * 3_600_000;
/// Lifetime of an intermediate in milliseconds: 90 days.
pub const INTERMEDIATE_LIFETIME_MS: u64 = 90 * 24 * 3_600_000;

/// What the holders of leaves do with them.
const BOTH_USAGES: [ExtendedKeyUsagePurpose; 2] = [
    ExtendedKeyUsagePurpose::ServerAuth,
    ExtendedKeyUsagePurpose::ClientAuth,
];

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// An intermediate was asked of something that is no root.
    #[error("the {0} authority cannot sign an intermediate; only a root can")]
    NotARoot(AuthorityKind),
    /// Only masters and operators need a path to two roots.
    #[error("an authority of the kind {0} is not signed by a second root")]
    NotCrossSigned(AuthorityKind),
    /// The certificate file holds no certificate.
    #[error(
        "no CERTIFICATE block (PEM) found; expected the authority's certificate as Dockmaster wrote it"
    )]
    NotPem,
    /// The certificate is none of our authorities'.
    #[error("the certificate is no authority of Dockmaster")]
    NotOurs(#[from] AuthorityFault),
    /// The key file is unusable.
    #[error("the authority's key cannot be used")]
    Key(#[from] KeyError),
    /// Key and certificate are of different authorities.
    #[error("the key does not belong to the certificate; are the two files of the same authority?")]
    KeyMismatch,
    /// It could not be signed.
    #[error("the authority's certificate cannot be made")]
    Issue(#[from] IssueError),
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Issue(error.into())
    }
}

/// What a new authority is made of.
#[derive(Debug)]
pub struct AuthoritySeed {
    /// Its key.
    pub key: KeyPair,
    /// The serial of its certificate, which also makes its name unique.
    pub serial: Serial,
    /// The time at which it is made.
    pub now: UnixMs,
}

/// An authority that can sign: its certificate and its key. `Debug` shows no secret.
pub struct Authority {
    certificate: CertificateDer<'static>,
    facts: AuthorityFacts,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new self-signed root, valid for [`ROOT_LIFETIME_MS`].
    ///
    /// # Errors
    /// When the seed's serial or time cannot stand in a certificate, or signing fails.
    pub fn create_root(
        trust_domain: &TrustDomain,
        seed: AuthoritySeed,
    ) -> Result<Self, AuthorityError> {
        let validity = Validity::backdated(seed.now, ROOT_LIFETIME_MS);
        admit_validity(validity, validity.not_after)?;
        let params = ca_params(AuthorityKind::Root, trust_domain, seed.serial, validity)?;
        let certificate = params.self_signed(&seed.key)?;
        Self::assemble(certificate.der().clone(), seed.key)
    }

    /// A new intermediate for containers whose certificates may carry IPs of the `permitted` ranges
    /// only. Valid for [`INTERMEDIATE_LIFETIME_MS`], though never longer than the root.
    ///
    /// # Errors
    /// When `root` is no root, the seed cannot stand in a certificate, or signing fails.
    pub fn create_container_intermediate(
        root: &Self,
        permitted: &[IpNet],
        seed: AuthoritySeed,
    ) -> Result<Self, AuthorityError> {
        let constraints = constraints::permitting(permitted);
        Self::create_intermediate(root, AuthorityKind::Containers, seed, |params| {
            params.name_constraints = Some(constraints);
        })
    }

    /// A new intermediate for masters, hosts and operators. Valid for [`INTERMEDIATE_LIFETIME_MS`],
    /// though never longer than the root.
    ///
    /// # Errors
    /// When `root` is no root, the seed cannot stand in a certificate, or signing fails.
    pub fn create_infra_intermediate(
        root: &Self,
        seed: AuthoritySeed,
    ) -> Result<Self, AuthorityError> {
        Self::create_intermediate(root, AuthorityKind::Infrastructure, seed, |_| {})
    }

    fn create_intermediate(
        root: &Self,
        kind: AuthorityKind,
        seed: AuthoritySeed,
        refine: impl FnOnce(&mut CertificateParams),
    ) -> Result<Self, AuthorityError> {
        if root.kind() != AuthorityKind::Root {
            return Err(AuthorityError::NotARoot(root.kind()));
        }
        let validity =
            Validity::backdated(seed.now, INTERMEDIATE_LIFETIME_MS).within(root.not_after());
        admit_validity(validity, root.not_after())?;
        let mut params = ca_params(kind, root.trust_domain(), seed.serial, validity)?;
        params.extended_key_usages = BOTH_USAGES.to_vec();
        refine(&mut params);
        let certificate = params.signed_by(&seed.key, root.issuer())?;
        Self::assemble(certificate.der().clone(), seed.key)
    }

    /// Another certificate for an intermediate of another root: the same name and key, signed by this
    /// root, so that whoever trusts either root finds a path. Valid as long as the intermediate,
    /// though never longer than this root.
    ///
    /// # Errors
    /// When this is no root, `intermediate` is one or has name constraints, or signing fails.
    pub fn cross_sign(
        &self,
        intermediate: &Self,
        now: UnixMs,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        if self.kind() != AuthorityKind::Root {
            return Err(AuthorityError::NotARoot(self.kind()));
        }
        if intermediate.kind() != AuthorityKind::Infrastructure {
            return Err(AuthorityError::NotCrossSigned(intermediate.kind()));
        }
        let validity = Validity::backdated(now, INTERMEDIATE_LIFETIME_MS)
            .within(intermediate.not_after())
            .within(self.not_after());
        admit_validity(validity, self.not_after())?;
        // The serial is a part of the name. That two issuers gave the same one is no harm.
        let serial = intermediate.facts.serial;
        let mut params = ca_params(intermediate.kind(), self.trust_domain(), serial, validity)?;
        params.extended_key_usages = BOTH_USAGES.to_vec();
        let key = intermediate.issuer().key().public_key();
        let certificate = params.signed_by(key, self.issuer())?;
        let facts = AuthorityFacts::parse(certificate.der())?;
        if facts.subject_der != intermediate.facts.subject_der {
            return Err(AuthorityError::NotOurs(AuthorityFault::Name));
        }
        Ok(certificate.der().clone())
    }

    /// Reads an authority from its certificate and its key, both in PEM.
    ///
    /// # Errors
    /// When a block is missing, the certificate is none of Dockmaster's authorities', or the two do
    /// not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| AuthorityError::NotPem)?;
        Self::assemble(certificate, KeyPair::from_pem(key)?)
    }

    /// New or loaded, an authority is what its certificate says.
    fn assemble(
        certificate: CertificateDer<'static>,
        key: KeyPair,
    ) -> Result<Self, AuthorityError> {
        let facts = AuthorityFacts::parse(&certificate)?;
        if facts.spki != key.public_key().spki() {
            return Err(AuthorityError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self {
            certificate,
            facts,
            issuer,
        })
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.certificate)
    }

    /// The private key in PEM. It is a secret: write it with mode 0600.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().to_pem()
    }

    /// SHA-256 of the DER certificate.
    #[must_use]
    pub fn der_sha256(&self) -> Digest {
        Digest::of(&self.certificate)
    }

    /// What it may sign.
    #[must_use]
    pub fn kind(&self) -> AuthorityKind {
        self.facts.kind
    }

    /// Its trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.facts.trust_domain
    }

    /// Its key identifier, which every certificate that it signs carries.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.facts.key_id
    }

    /// The last second in which it counts.
    #[must_use]
    pub fn not_after(&self) -> UnixMs {
        self.facts.not_after
    }

    /// The ranges whose IPs it may certify; `None` when it has no name constraints.
    #[must_use]
    pub fn permitted(&self) -> Option<&[IpNet]> {
        self.facts.permitted.as_deref()
    }

    /// Whether relying parties accept a certificate of this authority with this IP in it.
    #[must_use]
    pub fn permits(&self, ip: IpAddr) -> bool {
        match &self.facts.permitted {
            None => true,
            Some(ranges) => ranges.iter().any(|range| range.contains(&ip)),
        }
    }

    pub(crate) fn subject_der(&self) -> &[u8] {
        &self.facts.subject_der
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("kind", &self.kind())
            .field("trust_domain", self.trust_domain())
            .field("key_id", &self.key_id().to_string())
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}

/// An authority without its key, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// What it may sign.
    pub kind: AuthorityKind,
    /// Its key identifier.
    pub key_id: KeyId,
    /// The last second in which it counts.
    pub not_after: UnixMs,
}

/// Reads the certificate of an authority. It is **not** verified.
///
/// # Errors
/// When it is none of ours.
pub fn describe(certificate: &CertificateDer<'_>) -> Result<Description, AuthorityFault> {
    let facts = AuthorityFacts::parse(certificate)?;
    Ok(Description {
        kind: facts.kind,
        key_id: facts.key_id,
        not_after: facts.not_after,
    })
}

fn ca_params(
    kind: AuthorityKind,
    trust_domain: &TrustDomain,
    serial: Serial,
    validity: Validity,
) -> Result<CertificateParams, IssueError> {
    admit_serial(serial)?;
    let mut params = bare_params(serial, validity)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, kind.common_name());
    // Two authorities with one name but different keys confuse path building: hence the serial.
    push_serial_number(&mut name, &serial.to_string())?;
    params.distinguished_name = name;
    // A signing certificate's SPIFFE ID is that of its trust domain, without a path.
    let uri = format!("spiffe://{trust_domain}");
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(kind.path_length()));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

#[cfg(test)]
mod tests;
