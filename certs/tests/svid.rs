//! The rules of the SPIFFE specifications X509-SVID and SPIFFE-ID, one by one, on what is really issued.
//! Where a design decision of ours breaks one, the test says so and `docs/interop.md` says why.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    bundle::TrustBundle,
    chain::{ChainError, verify_client},
    csr::{VerifiedCsr, create_request},
    identity::IdentityError,
    infra::Terms,
    issue::Validity,
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};
use dockmaster_proto::{id::ContainerId, time::UnixMs};
use rcgen::{KeyUsagePurpose, SanType};
use ring::rand::SystemRandom;
use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{BasicConstraints, ExtendedKeyUsage, GeneralName, KeyUsage},
    prelude::FromDer as _,
};

const NOW: UnixMs = UnixMs(1_795_528_980_000);
const HOUR: u64 = 3_600_000;

/// An installation whose names are as long as they may be: what holds for these holds for shorter ones.
struct World {
    root: Authority,
    containers: Authority,
    infra: Authority,
    container: CertificateDer<'static>,
    master: CertificateDer<'static>,
    host: CertificateDer<'static>,
    operator: CertificateDer<'static>,
}

impl World {
    fn new() -> Self {
        let root = Authority::create_root(&"t".repeat(255).parse().unwrap(), seed()).unwrap();
        let permitted = ["172.17.0.0/16".parse().unwrap()];
        let containers =
            Authority::create_container_intermediate(&root, &permitted, seed()).unwrap();
        let infra = Authority::create_infra_intermediate(&root, seed()).unwrap();
        let (name, role) = ("n".repeat(63).parse().unwrap(), "admin".parse().unwrap());
        let (key, ips) = (key(), ["192.168.1.10".parse().unwrap()]);
        let public = key.public_key();
        Self {
            container: container(&containers),
            master: infra
                .issue_master(public, &name, &ips, terms())
                .unwrap()
                .der,
            host: infra.issue_host(public, &name, terms()).unwrap().der,
            operator: infra
                .issue_operator(public, &name, &role, terms())
                .unwrap()
                .der,
            root,
            containers,
            infra,
        }
    }

    /// All leaves.
    fn leaves(&self) -> [X509Certificate<'_>; 4] {
        [&self.container, &self.master, &self.host, &self.operator].map(read)
    }

    /// All signing certificates.
    fn signing(&self) -> [X509Certificate<'_>; 3] {
        [&self.root, &self.containers, &self.infra].map(|it| read(it.certificate()))
    }

    /// What a relying party of ours says of the container's own names under another certificate, which
    /// somebody made who has the authority's key.
    fn verdict(&self, change: fn(&mut rcgen::CertificateParams)) -> Result<(), ChainError> {
        let real = read(&self.container);
        let stolen = rcgen::KeyPair::from_pem(&self.containers.key_pem()).unwrap();
        let issuer =
            rcgen::Issuer::from_ca_cert_pem(&self.containers.certificate_pem(), stolen).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let serial = real.subject().iter_attributes().next().unwrap();
        params.distinguished_name.push(
            rcgen::DnType::CustomDnType(vec![2, 5, 4, 5]),
            rcgen::DnValue::PrintableString(serial.as_str().unwrap().try_into().unwrap()),
        );
        params.subject_alt_names = vec![SanType::URI(id(&real).try_into().unwrap())];
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let ours = real
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.4.1.32473.8140.1");
        params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 32473, 8140, 1],
            ours.unwrap().value.to_vec(),
        )];
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[5; 16]));
        change(&mut params);
        let forged = params.signed_by(&key(), &issuer).unwrap();
        let chain = [forged.der().clone(), self.containers.certificate().clone()];
        let roots = vec![self.root.certificate().clone()];
        let bundle = TrustBundle::new(roots, "td.example/log+7e03f1aa+AeXtTrust").unwrap();
        verify_client(&chain, &bundle, NOW).map(|_| ())
    }
}

#[test]
fn every_certificate_has_exactly_one_uri_name() {
    let world = World::new();
    for certificate in world.leaves().iter().chain(&world.signing()) {
        assert_eq!(uris(certificate).len(), 1);
    }
}

#[test]
fn a_spiffe_id_has_the_scheme_spiffe_and_a_trust_domain_of_the_permitted_characters() {
    let world = World::new();
    for certificate in world.leaves().iter().chain(&world.signing()) {
        let id = id(certificate);
        let (domain, _) = split(id);
        let permitted = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        assert!(!domain.is_empty() && domain.bytes().all(permitted), "{id}");
        assert!(domain.len() <= 255, "{id}");
    }
}

#[test]
fn a_spiffe_id_is_at_most_2048_bytes_long() {
    // With the longest names that there can be.
    for leaf in &World::new().leaves() {
        assert!(id(leaf).len() <= 2048);
    }
}

#[test]
fn a_leaf_has_a_path_of_whole_segments_without_a_trailing_slash() {
    for leaf in &World::new().leaves() {
        let (_, path) = split(id(leaf));
        let segments: Vec<_> = path.split('/').collect();
        assert!(segments.len() > 1 && segments[0].is_empty(), "{path}");
        for segment in &segments[1..] {
            let permitted = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
            assert!(segment.bytes().all(permitted), "{path}");
            assert!(!["", ".", ".."].contains(segment), "{path}");
        }
    }
}

#[test]
fn a_name_that_would_make_a_relative_segment_is_no_name() {
    for name in [".", "..", "", "a/b", "a%2fb", "é"] {
        assert!(
            name.parse::<dockmaster_proto::id::Name>().is_err(),
            "{name}"
        );
    }
}

#[test]
fn the_subject_is_not_empty_so_the_names_need_not_be_critical() {
    for leaf in &World::new().leaves() {
        assert_ne!(leaf.subject().iter_attributes().count(), 0);
    }
}

#[test]
fn a_leaf_is_no_authority_and_says_so() {
    for leaf in &World::new().leaves() {
        assert!(!basic(leaf).ca);
    }
}

#[test]
fn a_signing_certificate_is_an_authority() {
    for signing in &World::new().signing() {
        assert!(basic(signing).ca);
    }
}

#[test]
fn the_key_usage_is_set_and_critical_on_every_certificate() {
    let world = World::new();
    for certificate in world.leaves().iter().chain(&world.signing()) {
        assert!(certificate.key_usage().unwrap().unwrap().critical);
    }
}

#[test]
fn a_leaf_makes_digital_signatures_and_signs_neither_certificates_nor_lists() {
    for leaf in &World::new().leaves() {
        let usage = usage(leaf);
        assert!(usage.digital_signature());
        assert!(!usage.key_cert_sign() && !usage.crl_sign());
    }
}

#[test]
fn a_signing_certificate_signs_certificates_and_makes_no_other_signature() {
    for signing in &World::new().signing() {
        let usage = usage(signing);
        assert!(usage.key_cert_sign() && !usage.digital_signature());
    }
}

#[test]
fn a_signing_certificate_has_the_spiffe_id_of_its_leaves_trust_domain_and_no_path() {
    let world = World::new();
    let leaf = read(&world.container);
    let (domain, _) = split(id(&leaf));
    for signing in &world.signing() {
        assert_eq!(split(id(signing)), (domain, ""));
    }
}

#[test]
fn the_leaves_of_containers_and_masters_are_servers_and_clients() {
    let world = World::new();
    for der in [&world.container, &world.master] {
        let leaf = read(der);
        let purposes = purposes(&leaf);
        assert!(purposes.server_auth && purposes.client_auth);
    }
}

/// A rule that is broken on purpose: an operator's or a host's key must not serve for a server.
#[test]
fn against_the_rule_the_leaves_of_hosts_and_operators_are_clients_only() {
    let world = World::new();
    for der in [&world.host, &world.operator] {
        let leaf = read(der);
        let purposes = purposes(&leaf);
        assert!(!purposes.server_auth && purposes.client_auth);
    }
}

#[test]
fn a_root_is_signed_by_itself() {
    let root = World::new().root;
    let root = read(root.certificate());
    assert_eq!(root.subject(), root.issuer());
}

#[test]
fn a_validator_rejects_a_leaf_with_two_uri_names() {
    let world = World::new();
    assert_eq!(world.verdict(|_| ()), Ok(()));
    let refused = world.verdict(|params| {
        let second = "spiffe://other/x".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(second));
    });
    assert_eq!(refused, Err(IdentityError::Names.into()));
}

#[test]
fn a_validator_rejects_a_leaf_without_a_path() {
    let refused = World::new().verdict(|params| {
        let bare = format!("spiffe://{}", "t".repeat(255));
        params.subject_alt_names = vec![SanType::URI(bare.try_into().unwrap())];
    });
    assert!(matches!(
        refused,
        Err(ChainError::Identity(IdentityError::NotOurs(_)))
    ));
}

#[test]
fn a_validator_rejects_a_leaf_that_is_an_authority() {
    let refused = World::new().verdict(|params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    });
    assert!(matches!(refused, Err(ChainError::Path(_))), "{refused:?}");
}

#[test]
fn a_validator_rejects_a_leaf_whose_key_may_sign_certificates_or_lists() {
    let world = World::new();
    for change in [
        (|params| params.key_usages.push(KeyUsagePurpose::KeyCertSign))
            as fn(&mut rcgen::CertificateParams),
        |params| params.key_usages.push(KeyUsagePurpose::CrlSign),
        |params| params.key_usages.clear(),
        |params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement],
    ] {
        assert_eq!(world.verdict(change), Err(IdentityError::Usage.into()));
    }
}

fn read<'a>(der: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    X509Certificate::from_der(der).unwrap().1
}

fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect()
}

fn id<'a>(certificate: &'a X509Certificate<'_>) -> &'a str {
    uris(certificate)[0]
}

/// Trust domain and path.
fn split(id: &str) -> (&str, &str) {
    let rest = id.strip_prefix("spiffe://").unwrap();
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

fn basic<'a>(certificate: &'a X509Certificate<'_>) -> &'a BasicConstraints {
    certificate.basic_constraints().unwrap().unwrap().value
}

fn usage<'a>(certificate: &'a X509Certificate<'_>) -> &'a KeyUsage {
    certificate.key_usage().unwrap().unwrap().value
}

fn purposes<'a>(certificate: &'a X509Certificate<'_>) -> &'a ExtendedKeyUsage<'a> {
    certificate.extended_key_usage().unwrap().unwrap().value
}

fn container(authority: &Authority) -> CertificateDer<'static> {
    let binding = [7; 32];
    let request = create_request(&key(), &binding).unwrap();
    let csr = VerifiedCsr::parse(&request, &binding).unwrap();
    let leaf = ContainerLeaf {
        trust_domain: authority.trust_domain().clone(),
        host: "h".repeat(63).parse().unwrap(),
        container: ContainerId::from_bytes([0xc5; 32]),
        addresses: Vec::new(),
        ips: Vec::new(),
        started_at_ms: NOW,
        image_digest: String::new(),
        validity: Validity::of_container(NOW, NOW, HOUR),
        serial: random_serial(&SystemRandom::new()).unwrap(),
    };
    authority.issue_container(&csr, &leaf).unwrap().der
}

fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

fn seed() -> AuthoritySeed {
    AuthoritySeed {
        key: key(),
        serial: random_serial(&SystemRandom::new()).unwrap(),
        now: NOW,
    }
}

fn terms() -> Terms {
    Terms {
        serial: random_serial(&SystemRandom::new()).unwrap(),
        validity: Validity::backdated(NOW, HOUR),
    }
}
