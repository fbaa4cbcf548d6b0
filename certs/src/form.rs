//! What authorities' and leaves' certificates have in common, and why either is not made.

use std::net::IpAddr;

use dockmaster_proto::{
    id::{Serial, TrustDomain},
    spiffe::SpiffeId,
    time::UnixMs,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, SerialNumber};
use time::OffsetDateTime;

use crate::{kind::AuthorityKind, oid, validity::Validity};

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

/// Where a signed certificate differs from the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signed certificate does not follow the profile: {0}")]
pub struct ProfileViolation(pub(crate) &'static str);

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

/// The content of a positive INTEGER of at most 128 bits as a serial.
pub(crate) fn padded(integer: &[u8]) -> Option<[u8; 16]> {
    let (first, rest) = integer.split_first()?;
    let magnitude = match first {
        0 => rest,
        0x80.. => return None,
        _ => integer,
    };
    let zeros = 16_usize.checked_sub(magnitude.len())?;
    let mut bytes = [0; 16];
    bytes[zeros..].copy_from_slice(magnitude);
    Some(bytes)
}
