//! Who a peer is: what its certificate says, after the chain was verified.

use std::net::IpAddr;

use dockmaster_proto::{
    event::HeldAddress,
    id::{IdError, Name, Serial},
    spiffe::{Principal, SpiffeId},
    time::UnixMs,
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
};

use crate::{
    authority::MAX_CERTIFICATE_LENGTH,
    der::DerError,
    form::padded,
    infra::role_from_der,
    key::KeyId,
    oid,
    profile::{ContainerExtension, extension::ip_from_octets},
};

/// Why a certificate names nobody that we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a certificate, or far too large.
    #[error("the peer's certificate is not an X.509 certificate of reasonable size")]
    Unreadable,
    /// Zero, negative or above 128 bits.
    #[error("the peer's certificate has a serial number that Dockmaster does not give")]
    Serial,
    /// Not exactly one URI and any number of IPs.
    #[error(
        "the peer's certificate does not carry exactly one SPIFFE ID and IPs; it is not of Dockmaster"
    )]
    Names,
    /// The URI is none of ours.
    #[error("the peer's certificate carries a URI that is none of Dockmaster's")]
    NotOurs(#[from] IdError),
    /// A key that may sign certificates or revocation lists, or may not sign at all.
    #[error(
        "the key usage of the peer's certificate is not that of a holder: digital signatures, and neither certificates nor revocation lists"
    )]
    Usage,
    /// The private extension cannot be read.
    #[error("the private extension of the peer's certificate cannot be read")]
    Extension(#[from] DerError),
    /// SPIFFE ID, subject and private extension do not speak of the same holder.
    #[error(
        "the peer's certificate contradicts itself: SPIFFE ID, subject and private extension differ"
    )]
    Contradiction,
}

/// The holder of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Who it is.
    pub id: SpiffeId,
    /// The certificate's serial number, by which the master knows whether it is revoked.
    pub serial: Serial,
    /// The last second in which the certificate counts.
    pub not_after: UnixMs,
    /// The IPs in the certificate.
    pub ips: Vec<IpAddr>,
    /// The addresses and lease epochs that the host attested; empty unless it is a container's.
    pub addresses: Vec<HeldAddress>,
    /// What an operator may do; `None` unless it is an operator's.
    pub role: Option<Name>,
}

/// Reads who a leaf speaks for. It is **not** verified here: call this only with the leaf of a chain
/// that was (see [`crate::chain`]).
///
/// # Errors
/// When the certificate is none that Dockmaster issues to a holder.
pub fn peer_identity(der: &[u8]) -> Result<PeerIdentity, IdentityError> {
    if der.len() > MAX_CERTIFICATE_LENGTH {
        return Err(IdentityError::Unreadable);
    }
    let (rest, leaf) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
    if !rest.is_empty() || leaf.extensions_map().is_err() {
        return Err(IdentityError::Unreadable);
    }
    let serial = padded(leaf.raw_serial()).filter(|bytes| bytes != &[0; 16]);
    let serial = Serial::from_bytes(serial.ok_or(IdentityError::Serial)?);
    let not_after = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);

    let mut names = None;
    let mut usage = None;
    let mut container = None;
    let mut role = None;
    for extension in leaf.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => {
                names = Some(read_names(&san.general_names)?);
            }
            ParsedExtension::KeyUsage(found) => usage = Some(found),
            _ if extension.oid.as_bytes() == oid::CONTAINER_EXTENSION_DER => {
                container = Some(ContainerExtension::from_der(extension.value)?);
            }
            _ if extension.oid.as_bytes() == oid::ROLE_EXTENSION_DER => {
                role = Some(role_from_der(extension.value)?);
            }
            _ => {}
        }
    }
    let (id, ips) = names.ok_or(IdentityError::Names)?;
    // The verification of paths does not look at it (X509-SVID section 5.2 does).
    if !usage.is_some_and(|it| it.digital_signature() && !it.key_cert_sign() && !it.crl_sign()) {
        return Err(IdentityError::Usage);
    }
    let agrees = match (&id.principal, &container, &role) {
        (Principal::Container { host, id }, Some(attested), None) => {
            attested.container == *id
                && attested.host == *host
                && subject_serial(&leaf) == Some(&id.to_string())
        }
        (Principal::Operator(_), None, Some(_)) => true,
        (Principal::Master(_) | Principal::Host(_), None, None) => true,
        _ => false,
    };
    if !agrees {
        return Err(IdentityError::Contradiction);
    }
    Ok(PeerIdentity {
        id,
        serial,
        not_after: UnixMs(not_after.saturating_mul(1000)),
        ips,
        addresses: container.map_or_else(Vec::new, |attested| attested.addresses),
        role,
    })
}

/// From when until when a leaf is valid, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafTerms {
    /// Its first second.
    pub not_before: UnixMs,
    /// Its last second.
    pub not_after: UnixMs,
    /// The key identifier in hex of the authority that signed it.
    pub issuer_key_id: String,
}

/// Reads the terms of one's own certificate. It is **not** verified.
///
/// # Errors
/// When it cannot be read.
pub fn leaf_terms(der: &[u8]) -> Result<LeafTerms, IdentityError> {
    let (_, leaf) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
    let at = |seconds: i64| UnixMs(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
    let issuer = leaf
        .extensions()
        .iter()
        .find_map(|it| match it.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref(),
            _ => None,
        });
    let issuer = issuer.and_then(|id| id.0.try_into().ok()).map(KeyId);
    Ok(LeafTerms {
        not_before: at(leaf.validity().not_before.timestamp()),
        not_after: at(leaf.validity().not_after.timestamp()),
        issuer_key_id: issuer.map(|id| id.to_string()).unwrap_or_default(),
    })
}

fn read_names(names: &[GeneralName<'_>]) -> Result<(SpiffeId, Vec<IpAddr>), IdentityError> {
    let mut id: Option<SpiffeId> = None;
    let mut ips = Vec::new();
    for name in names {
        match name {
            GeneralName::URI(uri) if id.is_none() => id = Some(uri.parse()?),
            GeneralName::IPAddress(octets) => {
                ips.push(ip_from_octets(octets).ok_or(IdentityError::Names)?);
            }
            _ => return Err(IdentityError::Names),
        }
    }
    Ok((id.ok_or(IdentityError::Names)?, ips))
}

fn subject_serial<'a>(leaf: &'a X509Certificate<'_>) -> Option<&'a str> {
    let mut attributes = leaf.subject().iter_attributes();
    let first = attributes.next()?;
    (attributes.next().is_none() && first.attr_type().as_bytes() == oid::SERIAL_NUMBER_DER)
        .then(|| first.as_str().ok())?
}

#[cfg(test)]
mod tests;
