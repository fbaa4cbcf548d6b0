//! What the certificate of an authority says, read from its DER alone.

use dockmaster_proto::{
    id::{Serial, TrustDomain},
    time::UnixMs,
};
use ipnet::IpNet;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, NameConstraints, ParsedExtension},
    prelude::{FromDer as _, X509Version},
};

use super::{AuthorityKind, constraints};
use crate::{
    form::padded,
    key::{KeyId, PublicKey},
};

/// Certificates beyond this many bytes are not read.
pub(crate) const MAX_CERTIFICATE_LENGTH: usize = 16 * 1024;

/// Why a certificate is none of our authorities'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityFault {
    /// Not a certificate, or far too large.
    #[error("it is not an X.509 v3 certificate of reasonable size")]
    Unreadable,
    /// Another kind of key.
    #[error("its key is not an ECDSA P-256 key")]
    Key,
    /// Its name is not one of ours.
    #[error("its name is not that of a root, container or infrastructure authority")]
    Name,
    /// No trust domain.
    #[error("it names no trust domain (one URI \"spiffe://NAME\")")]
    TrustDomain,
    /// BasicConstraints, KeyUsage or key identifier are not those of such an authority.
    #[error("its basic constraints, key usage or key identifier are not those of its kind")]
    Profile,
    /// Name constraints are absent where they must be, present where they must not, or others.
    #[error("its name constraints are not those of its kind")]
    Constraints,
}

/// An authority without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthorityFacts {
    pub(crate) kind: AuthorityKind,
    pub(crate) trust_domain: TrustDomain,
    pub(crate) key_id: KeyId,
    pub(crate) spki: Vec<u8>,
    pub(crate) subject_der: Vec<u8>,
    pub(crate) not_after: UnixMs,
    /// The serial number of the certificate; it is in the subject too.
    pub(crate) serial: Serial,
    pub(crate) permitted: Option<Vec<IpNet>>,
}

impl AuthorityFacts {
    /// Reads the certificate of an authority. It is not verified: for a root there is nothing to
    /// verify it by, for an intermediate that is the business of [`crate::chain`].
    pub(crate) fn parse(der: &[u8]) -> Result<Self, AuthorityFault> {
        if der.len() > MAX_CERTIFICATE_LENGTH {
            return Err(AuthorityFault::Unreadable);
        }
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| AuthorityFault::Unreadable)?;
        if !rest.is_empty() || certificate.version != X509Version::V3 {
            return Err(AuthorityFault::Unreadable);
        }
        let kind = kind(&certificate)?;
        let spki = certificate.public_key().raw;
        let key = PublicKey::from_spki(spki).ok_or(AuthorityFault::Key)?;
        let not_after = certificate.validity().not_after.timestamp();
        let extensions = Extensions::read(&certificate)?;
        if extensions.path_length != Some(u32::from(kind.path_length()))
            || extensions.key_usage != Some(CERTIFICATE_AND_CRL_SIGN)
            || extensions.key_id != Some(key.key_id())
        {
            return Err(AuthorityFault::Profile);
        }
        if extensions.permitted.is_some() != (kind == AuthorityKind::Containers) {
            return Err(AuthorityFault::Constraints);
        }
        Ok(Self {
            kind,
            trust_domain: extensions.trust_domain.ok_or(AuthorityFault::TrustDomain)?,
            key_id: key.key_id(),
            spki: spki.to_vec(),
            subject_der: certificate.subject().as_raw().to_vec(),
            serial: Serial::from_bytes(
                padded(certificate.raw_serial()).ok_or(AuthorityFault::Profile)?,
            ),
            not_after: UnixMs(u64::try_from(not_after).unwrap_or(0).saturating_mul(1000)),
            permitted: extensions.permitted,
        })
    }
}

/// keyCertSign and cRLSign as the parser numbers them.
const CERTIFICATE_AND_CRL_SIGN: u16 = 1 << 5 | 1 << 6;

fn kind(certificate: &X509Certificate<'_>) -> Result<AuthorityKind, AuthorityFault> {
    let mut names = certificate.subject().iter_common_name();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err(AuthorityFault::Name);
    };
    [
        AuthorityKind::Root,
        AuthorityKind::Containers,
        AuthorityKind::Infrastructure,
    ]
    .into_iter()
    .find(|kind| name.as_str() == Ok(kind.common_name()))
    .ok_or(AuthorityFault::Name)
}

/// The extensions that tell what an authority may do.
#[derive(Debug, Default)]
struct Extensions {
    path_length: Option<u32>,
    key_usage: Option<u16>,
    key_id: Option<KeyId>,
    trust_domain: Option<TrustDomain>,
    permitted: Option<Vec<IpNet>>,
}

impl Extensions {
    fn read(certificate: &X509Certificate<'_>) -> Result<Self, AuthorityFault> {
        let mut seen = Self::default();
        // With two extensions of one kind, two readers may each take another one.
        certificate
            .extensions_map()
            .map_err(|_| AuthorityFault::Profile)?;
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(basic) if basic.ca && extension.critical => {
                    seen.path_length = basic.path_len_constraint;
                }
                ParsedExtension::KeyUsage(usage) => seen.key_usage = Some(usage.flags),
                ParsedExtension::SubjectKeyIdentifier(id) => {
                    seen.key_id = id.0.try_into().ok().map(KeyId);
                }
                ParsedExtension::SubjectAlternativeName(san) => {
                    seen.trust_domain = Some(trust_domain(&san.general_names)?);
                }
                ParsedExtension::NameConstraints(constraints) if extension.critical => {
                    seen.permitted = Some(permitted(constraints)?);
                }
                _ => {}
            }
        }
        Ok(seen)
    }
}

fn trust_domain(names: &[GeneralName<'_>]) -> Result<TrustDomain, AuthorityFault> {
    let [GeneralName::URI(uri)] = names else {
        return Err(AuthorityFault::TrustDomain);
    };
    uri.strip_prefix("spiffe://")
        .and_then(|domain| domain.parse().ok())
        .ok_or(AuthorityFault::TrustDomain)
}

/// The permitted IP ranges, provided that DNS names are shut out and both families are limited.
fn permitted(constraints: &NameConstraints<'_>) -> Result<Vec<IpNet>, AuthorityFault> {
    let fault = AuthorityFault::Constraints;
    if constraints.excluded_subtrees.is_some() {
        return Err(fault);
    }
    let mut ranges = Vec::new();
    let mut dns_names = 0;
    for subtree in constraints.permitted_subtrees.iter().flatten() {
        match subtree.base {
            GeneralName::DNSName(constraints::NO_DNS_NAME) => dns_names += 1,
            GeneralName::IPAddress(bytes) => ranges.push(constraints::range(bytes).ok_or(fault)?),
            _ => return Err(fault),
        }
    }
    let both = ranges.iter().any(|range| range.addr().is_ipv4())
        && ranges.iter().any(|range| range.addr().is_ipv6());
    if dns_names == 1 && both {
        Ok(ranges)
    } else {
        Err(fault)
    }
}
