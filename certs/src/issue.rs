//! Template -> sign -> read back: the one way in which a leaf certificate comes to be.

use std::net::IpAddr;

use dockmaster_proto::{
    id::{Digest, Serial, TrustDomain},
    spiffe::SpiffeId,
    time::UnixMs,
};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::{
    authority::{Authority, AuthorityKind},
    key::{KeyId, PublicKey},
    oid, pem,
};

mod check;
mod validity;

pub use check::ProfileViolation;
pub(crate) use check::{check_leaf, padded};
use validity::WholeSecond as _;
pub use validity::{BACKDATE_MS, Validity};

/// The most IPs that one certificate may carry.
pub const MAX_IPS: usize = 64;

/// Why a certificate was not issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// This authority issues other certificates.
    #[error("the {authority} authority does not issue certificates for {subject}")]
    WrongAuthority {
        /// The authority.
        authority: AuthorityKind,
        /// Who the certificate would speak for.
        subject: SpiffeId,
    },
    /// The authority belongs to another trust domain.
    #[error(
        "the authority of trust domain {authority} does not issue certificates of trust domain {leaf}"
    )]
    WrongTrustDomain {
        /// The authority's.
        authority: TrustDomain,
        /// The leaf's.
        leaf: TrustDomain,
    },
    /// An IP outside the authority's name constraints.
    #[error(
        "{0} is in no range that this authority may certify; name its range with --permit when the authority is made"
    )]
    NotPermitted(IpAddr),
    /// An IP that cannot stand in a certificate.
    #[error("{ip} cannot be put into a certificate: {why}")]
    BadIp {
        /// The IP.
        ip: IpAddr,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Too many IPs.
    #[error("{0} IPs are more than the {MAX_IPS} that one certificate may carry")]
    TooManyIps(usize),
    /// The validity is empty or impossible to write.
    #[error("a validity from {} to {} is empty or cannot be written", .0.not_before, .0.not_after)]
    BadValidity(Validity),
    /// The authority ends first.
    #[error(
        "the certificate would be valid until {leaf}, but its authority ends at {authority}; rotate the authority"
    )]
    OutlivesAuthority {
        /// When the leaf would end.
        leaf: UnixMs,
        /// When the authority ends.
        authority: UnixMs,
    },
    /// A serial that is zero or has its highest bit set.
    #[error("{0} is no certificate serial: it must be positive with a clear highest bit")]
    BadSerial(Serial),
    /// A text is too long for a certificate.
    #[error("the {what} has {length} bytes; at most {limit} fit a certificate")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The signing library refused.
    #[error("signing the certificate failed ({0})")]
    Signing(String),
    /// What was signed is not what was meant; it must not leave.
    #[error("the signed certificate was discarded")]
    Profile(#[from] ProfileViolation),
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> Self {
        Self::Signing(error.to_string())
    }
}

/// A certificate that was signed and read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// The same in PEM.
    pub pem: String,
    /// Who it speaks for.
    pub subject: SpiffeId,
    /// Its serial number.
    pub serial: Serial,
    /// SHA-256 of the DER SubjectPublicKeyInfo.
    pub spki_sha256: Digest,
    /// SHA-256 of the DER certificate.
    pub der_sha256: Digest,
    /// The key identifier of the authority that signed it; 40 hex digits as text.
    pub issuer_key_id: KeyId,
    /// Valid from, in whole seconds as the certificate says it.
    pub not_before: UnixMs,
    /// Valid until, in whole seconds as the certificate says it.
    pub not_after: UnixMs,
}

/// What a leaf may be used for in TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    ServerAndClient,
    Client,
}

/// Our private extension of a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Extension {
    None,
    Container(Vec<u8>),
    Role(Vec<u8>),
}

/// All that varies between leaves.
#[derive(Debug, Clone)]
pub(crate) struct LeafTemplate<'a> {
    pub(crate) key: &'a PublicKey,
    pub(crate) subject: SpiffeId,
    /// `serialNumber` in the subject, its only attribute.
    pub(crate) subject_serial: String,
    pub(crate) ips: &'a [IpAddr],
    pub(crate) usage: Usage,
    pub(crate) extension: Extension,
    pub(crate) serial: Serial,
    pub(crate) validity: Validity,
}

impl Authority {
    /// Signs a leaf, reads it back and compares it with the template.
    pub(crate) fn issue(&self, template: &LeafTemplate<'_>) -> Result<Issued, IssueError> {
        self.admit(template)?;
        let certificate = params(template)?.signed_by(template.key, self.issuer())?;
        let der = certificate.der().clone();
        check_leaf(&der, template, self)?;
        Ok(Issued {
            pem: pem::encode("CERTIFICATE", &der),
            subject: template.subject.clone(),
            serial: template.serial,
            spki_sha256: template.key.spki_sha256(),
            der_sha256: Digest::of(&der),
            issuer_key_id: self.key_id(),
            not_before: template.validity.not_before.whole_second(),
            not_after: template.validity.not_after.whole_second(),
            der,
        })
    }

    /// Whether this authority may issue such a leaf at all.
    fn admit(&self, template: &LeafTemplate<'_>) -> Result<(), IssueError> {
        let subject = &template.subject;
        if !self.kind().issues_to(&subject.principal) {
            return Err(IssueError::WrongAuthority {
                authority: self.kind(),
                subject: subject.clone(),
            });
        }
        if subject.trust_domain != *self.trust_domain() {
            return Err(IssueError::WrongTrustDomain {
                authority: self.trust_domain().clone(),
                leaf: subject.trust_domain.clone(),
            });
        }
        admit_serial(template.serial)?;
        admit_validity(template.validity, self.not_after())?;
        admit_ips(template.ips)?;
        match template.ips.iter().find(|ip| !self.permits(**ip)) {
            Some(ip) => Err(IssueError::NotPermitted(*ip)),
            None => Ok(()),
        }
    }
}

pub(crate) fn admit_serial(serial: Serial) -> Result<(), IssueError> {
    let bytes = serial.as_bytes();
    if bytes[0] >= 0x80 || bytes.iter().all(|byte| *byte == 0) {
        return Err(IssueError::BadSerial(serial));
    }
    Ok(())
}

pub(crate) fn admit_validity(validity: Validity, end: UnixMs) -> Result<(), IssueError> {
    if validity.not_before.seconds() >= validity.not_after.seconds() {
        return Err(IssueError::BadValidity(validity));
    }
    if validity.not_after.seconds() > end.seconds() {
        return Err(IssueError::OutlivesAuthority {
            leaf: validity.not_after,
            authority: end,
        });
    }
    Ok(())
}

fn admit_ips(ips: &[IpAddr]) -> Result<(), IssueError> {
    if ips.len() > MAX_IPS {
        return Err(IssueError::TooManyIps(ips.len()));
    }
    for (index, ip) in ips.iter().enumerate() {
        let why = if ip.to_canonical() != *ip {
            "an IPv4-mapped IPv6 address"
        } else if ip.is_unspecified() || ip.is_multicast() {
            "nobody's own address"
        } else if ips[..index].contains(ip) {
            "given twice"
        } else {
            continue;
        };
        return Err(IssueError::BadIp { ip: *ip, why });
    }
    Ok(())
}

/// The parameters of a leaf, from nothing but the template.
fn params(template: &LeafTemplate<'_>) -> Result<CertificateParams, IssueError> {
    let mut params = bare_params(template.serial, template.validity)?;
    params.distinguished_name = DistinguishedName::new();
    push_serial_number(&mut params.distinguished_name, &template.subject_serial)?;
    let uri = template.subject.to_string();
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    let ips = template.ips.iter().map(|ip| SanType::IpAddress(*ip));
    params.subject_alt_names.extend(ips);
    // `NoCa` would leave out BasicConstraints and the subject key identifier.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match template.usage {
        Usage::ServerAndClient => vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ],
        Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.custom_extensions = match &template.extension {
        Extension::None => Vec::new(),
        Extension::Container(der) => vec![private(oid::CONTAINER_EXTENSION, der)],
        Extension::Role(der) => vec![private(oid::ROLE_EXTENSION, der)],
    };
    Ok(params)
}

fn private(oid: &[u64], der: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(oid, der.to_vec())
}

/// Parameters that every certificate of ours shares.
pub(crate) fn bare_params(
    serial: Serial,
    validity: Validity,
) -> Result<CertificateParams, IssueError> {
    let at = |time: UnixMs| {
        let seconds = i64::try_from(time.seconds()).ok()?;
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        // X.509 writes years in four digits.
        (time.year() <= 9999).then_some(time)
    };
    let bad = || IssueError::BadValidity(validity);
    let mut params = CertificateParams::default();
    params.not_before = at(validity.not_before).ok_or_else(bad)?;
    params.not_after = at(validity.not_after).ok_or_else(bad)?;
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Adds a `serialNumber` attribute, which X.520 wants as a PrintableString.
pub(crate) fn push_serial_number(
    name: &mut DistinguishedName,
    text: &str,
) -> Result<(), IssueError> {
    let value = rcgen::string::PrintableString::try_from(text)?;
    name.push(
        DnType::CustomDnType(oid::SERIAL_NUMBER.to_vec()),
        rcgen::DnValue::PrintableString(value),
    );
    Ok(())
}

#[cfg(test)]
mod tests;
