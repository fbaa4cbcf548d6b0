//! Reads a signed leaf back and compares every field with what was meant.
//!
//! It reads with another library than the one that writes, so that a fault in either shows here and
//! not at a relying party.

use std::net::IpAddr;

use dockmaster_proto::time::UnixMs;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension, X509Extension},
    prelude::{FromDer as _, X509Version},
};

use super::{Extension, LeafTemplate, Usage};
use crate::{
    authority::Authority,
    form::{ProfileViolation, padded},
    oid,
};

/// Compares all of a leaf with its template and its authority. The signature is not verified again.
pub(crate) fn check_leaf(
    der: &[u8],
    template: &LeafTemplate<'_>,
    authority: &Authority,
) -> Result<(), ProfileViolation> {
    let Ok((rest, leaf)) = X509Certificate::from_der(der) else {
        return Err(ProfileViolation("it cannot be read"));
    };
    let ecdsa = &oid::ECDSA_SHA256[4..];
    let seconds = |time: UnixMs| i64::try_from(time.seconds()).unwrap_or(i64::MAX);
    let checks = [
        ("trailing bytes", rest.is_empty()),
        ("version", leaf.version == X509Version::V3),
        (
            "serial",
            padded(leaf.raw_serial()) == Some(*template.serial.as_bytes()),
        ),
        (
            "signature algorithm",
            leaf.signature_algorithm.algorithm.as_bytes() == ecdsa
                && leaf.signature_algorithm == leaf.tbs_certificate.signature,
        ),
        ("issuer", leaf.issuer().as_raw() == authority.subject_der()),
        (
            "not before",
            leaf.validity().not_before.timestamp() == seconds(template.validity.not_before),
        ),
        (
            "not after",
            leaf.validity().not_after.timestamp() == seconds(template.validity.not_after),
        ),
        ("subject", has_subject(&leaf, &template.subject_serial)),
        ("public key", leaf.public_key().raw == template.key.spki()),
        (
            "unique identifiers",
            leaf.tbs_certificate.issuer_uid.is_none() && leaf.tbs_certificate.subject_uid.is_none(),
        ),
    ];
    if let Some((field, _)) = checks.iter().find(|(_, holds)| !holds) {
        return Err(ProfileViolation(field));
    }
    check_extensions(leaf.extensions(), template, authority)
}

/// Every extension of the profile once, and no other.
fn check_extensions(
    extensions: &[X509Extension<'_>],
    template: &LeafTemplate<'_>,
    authority: &Authority,
) -> Result<(), ProfileViolation> {
    use oid::extension as ext;
    let private = match &template.extension {
        Extension::None => None,
        Extension::Container(der) => Some((oid::CONTAINER_EXTENSION_DER, der)),
        Extension::Role(der) => Some((oid::ROLE_EXTENSION_DER, der)),
    };
    let mut missing = vec![
        ext::SUBJECT_KEY_ID,
        ext::KEY_USAGE,
        ext::SUBJECT_ALT_NAME,
        ext::BASIC_CONSTRAINTS,
        ext::AUTHORITY_KEY_ID,
        ext::EXTENDED_KEY_USAGE,
    ];
    missing.extend(private.map(|(oid, _)| oid));

    for extension in extensions {
        let id = extension.oid.as_bytes();
        let Some(at) = missing.iter().position(|oid| *oid == id) else {
            return Err(ProfileViolation("an extension too many"));
        };
        missing.swap_remove(at);
        let critical = [ext::KEY_USAGE, ext::BASIC_CONSTRAINTS].contains(&id);
        if extension.critical != critical {
            return Err(ProfileViolation("criticality of an extension"));
        }
        let holds = match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => id.0 == template.key.key_id().as_bytes(),
            ParsedExtension::AuthorityKeyIdentifier(aki) => {
                aki.key_identifier.as_ref().map(|id| id.0) == Some(authority.key_id().as_bytes())
                    && aki.authority_cert_issuer.is_none()
                    && aki.authority_cert_serial.is_none()
            }
            // digitalSignature alone.
            ParsedExtension::KeyUsage(usage) => usage.flags == 1,
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let others = usage.any
                    || usage.code_signing
                    || usage.email_protection
                    || usage.time_stamping
                    || usage.ocsp_signing
                    || !usage.other.is_empty();
                let server = template.usage == Usage::ServerAndClient;
                !others && usage.client_auth && usage.server_auth == server
            }
            ParsedExtension::BasicConstraints(basic) => {
                !basic.ca && basic.path_len_constraint.is_none()
            }
            ParsedExtension::SubjectAlternativeName(san) => has_names(&san.general_names, template),
            ParsedExtension::UnsupportedExtension { .. } => {
                private.is_some_and(|(_, der)| extension.value == der)
            }
            _ => false,
        };
        if !holds {
            return Err(ProfileViolation("value of an extension"));
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(ProfileViolation("an extension is missing"))
    }
}

/// One attribute, `serialNumber`, with this value.
fn has_subject(leaf: &X509Certificate<'_>, serial_number: &str) -> bool {
    let mut attributes = leaf.subject().iter_attributes();
    let first = attributes.next();
    attributes.next().is_none()
        && first.is_some_and(|attribute| {
            attribute.attr_type().as_bytes() == oid::SERIAL_NUMBER_DER
                && attribute.as_str() == Ok(serial_number)
        })
}

/// The SPIFFE ID, then the IPs, and nothing else.
fn has_names(names: &[GeneralName<'_>], template: &LeafTemplate<'_>) -> bool {
    let [GeneralName::URI(uri), ips @ ..] = names else {
        return false;
    };
    let expected = template.ips.iter().map(|ip| match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    });
    *uri == template.subject.to_string()
        && ips.len() == template.ips.len()
        && ips
            .iter()
            .zip(expected)
            .all(|(name, ip)| matches!(name, GeneralName::IPAddress(bytes) if *bytes == ip))
}
