use rcgen::{BasicConstraints, DnType, PublicKeyData as _};

use super::*;
use crate::testing::{HOUR, NOW, Pki, ip, key, serial, uri};

/// A master's leaf whose parameters were changed between template and signature: a fault of ours or
/// of the library.
fn checked(change: impl FnOnce(&mut CertificateParams)) -> Result<(), ProfileViolation> {
    let pki = Pki::new();
    let (key, ips) = (key(), [ip("192.168.1.10")]);
    let template = LeafTemplate {
        key: key.public_key(),
        subject: "spiffe://td.example/master/m1".parse().unwrap(),
        subject_serial: "0a".into(),
        ips: &ips,
        usage: Usage::ServerAndClient,
        extension: Extension::None,
        serial: serial(),
        validity: Validity::backdated(NOW, HOUR),
    };
    let mut params = params(&template).unwrap();
    change(&mut params);
    let signed = params.signed_by(template.key, pki.infra.issuer()).unwrap();
    check_leaf(signed.der(), &template, &pki.infra)
}

#[test]
fn a_leaf_as_the_template_says_passes_the_check() {
    assert_eq!(checked(|_| {}), Ok(()));
}

#[test]
fn a_leaf_with_more_or_less_than_the_template_is_discarded() {
    type Change = fn(&mut CertificateParams);
    let changes: [(&str, Change); 14] = [
        ("a CA", |p| {
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }),
        ("no basic constraints", |p| p.is_ca = IsCa::NoCa),
        ("another key usage", |p| {
            p.key_usages.push(KeyUsagePurpose::KeyCertSign);
        }),
        ("no key usage", |p| p.key_usages.clear()),
        ("any purpose", |p| {
            p.extended_key_usages.push(ExtendedKeyUsagePurpose::Any);
        }),
        ("one purpose less", |p| p.extended_key_usages.truncate(1)),
        ("a DNS name", |p| {
            let name = "m1.example".try_into().unwrap();
            p.subject_alt_names.push(SanType::DnsName(name));
        }),
        ("a second URI", |p| {
            p.subject_alt_names
                .push(uri("spiffe://td.example/master/m2"));
        }),
        ("another IP", |p| {
            p.subject_alt_names[1] = SanType::IpAddress(ip("192.168.1.11"));
        }),
        ("an IP less", |p| p.subject_alt_names.truncate(1)),
        ("a common name", |p| {
            p.distinguished_name.push(DnType::CommonName, "m1");
        }),
        ("an extension", |p| {
            p.custom_extensions = vec![private(oid::ROLE_EXTENSION, &[5, 0])];
        }),
        ("no authority key identifier", |p| {
            p.use_authority_key_identifier_extension = false;
        }),
        ("a day more", |p| p.not_after += time::Duration::DAY),
    ];
    for (what, change) in changes {
        assert!(checked(change).is_err(), "{what}");
    }
}

#[test]
fn a_leaf_of_another_key_is_discarded() {
    let other = key();
    assert!(
        checked(|params| {
            // The subject key identifier of another key.
            let id = other.subject_public_key_info()[..20].to_vec();
            params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(id);
        })
        .is_err()
    );
}

#[test]
fn our_object_identifiers_are_written_as_they_are_read() {
    for (components, der) in [
        (oid::CONTAINER_EXTENSION, oid::CONTAINER_EXTENSION_DER),
        (oid::ROLE_EXTENSION, oid::ROLE_EXTENSION_DER),
        (oid::SERIAL_NUMBER, oid::SERIAL_NUMBER_DER),
    ] {
        let read = x509_parser::der_parser::oid::Oid::new(der.into());
        assert!(read.iter().unwrap().eq(components.iter().copied()));
    }
}
