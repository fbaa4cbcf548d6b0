//! Template -> sign -> read back: the one way in which a leaf certificate comes to be.

use std::net::IpAddr;

use dockmaster_proto::{
    id::{Digest, Serial},
    spiffe::SpiffeId,
    time::UnixMs,
};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;

use crate::{
    authority::Authority,
    form::{admit_serial, admit_validity, bare_params, push_serial_number},
    key::{KeyId, PublicKey},
    oid, pem,
    validity::WholeSecond as _,
};

mod check;

pub use crate::{
    form::{IssueError, MAX_IPS, ProfileViolation},
    validity::{BACKDATE_MS, Validity},
};
pub(crate) use check::check_leaf;

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

#[cfg(test)]
mod tests;
