//! A small installation for tests: authorities, keys, a container.

use std::net::IpAddr;

use dockmaster_proto::{
    event::HeldAddress,
    id::{ContainerId, Serial},
    time::UnixMs,
};
use ring::rand::SystemRandom;
use rustls_pki_types::CertificateDer;

use crate::{
    authority::{Authority, AuthoritySeed},
    bundle::TrustBundle,
    csr::{VerifiedCsr, create_request},
    infra::Terms,
    issue::{Issued, Validity},
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};

pub(crate) const NOW: UnixMs = UnixMs(1_795_528_980_123);
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const LOG_KEY: &str = "td.example/log+7e03f1aa+AeXtTrust";

pub(crate) fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

/// One key for all cases of a property, since making one for each would only cost time.
pub(crate) fn fixed_key() -> &'static KeyPair {
    static KEY: std::sync::LazyLock<KeyPair> = std::sync::LazyLock::new(key);
    &KEY
}

pub(crate) fn serial() -> Serial {
    random_serial(&SystemRandom::new()).unwrap()
}

pub(crate) fn seed() -> AuthoritySeed {
    AuthoritySeed {
        key: key(),
        serial: serial(),
        now: NOW,
    }
}

pub(crate) fn terms() -> Terms {
    Terms {
        serial: serial(),
        validity: Validity::backdated(NOW, HOUR),
    }
}

pub(crate) fn csr(key: &KeyPair) -> VerifiedCsr {
    let binding = [1; 32];
    VerifiedCsr::parse(&create_request(key, &binding).unwrap(), &binding).unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn held(network: &str, ip: &str, epoch: u64) -> HeldAddress {
    HeldAddress {
        address: format!("{network}/{ip}").parse().unwrap(),
        epoch,
    }
}

/// A container at 172.17.0.5 and, on another network, 10.1.2.3.
pub(crate) fn container_leaf() -> ContainerLeaf {
    let started_at_ms = UnixMs(NOW.0 - 60_000);
    ContainerLeaf {
        trust_domain: "td.example".parse().unwrap(),
        host: "h1".parse().unwrap(),
        container: ContainerId::from_bytes([0xc5; 32]),
        addresses: vec![
            held("h1/bridge", "172.17.0.5", 7),
            held("backend", "10.1.2.3", 1 << 40),
        ],
        ips: vec![ip("172.17.0.5"), ip("10.1.2.3")],
        started_at_ms,
        image_digest: format!("sha256:{}", "ab".repeat(32)),
        validity: Validity::of_container(NOW, started_at_ms, HOUR),
        serial: serial(),
    }
}

pub(crate) fn der_of(authority: &Authority) -> CertificateDer<'static> {
    authority.certificate().clone()
}

/// Root, both intermediates and the bundle.
pub(crate) struct Pki {
    pub(crate) root: Authority,
    pub(crate) containers: Authority,
    pub(crate) infra: Authority,
    pub(crate) bundle: TrustBundle,
}

impl Pki {
    pub(crate) fn new() -> Self {
        Self::of_domain("td.example")
    }

    pub(crate) fn of_domain(domain: &str) -> Self {
        let root = Authority::create_root(&domain.parse().unwrap(), seed()).unwrap();
        let permitted = [
            "172.17.0.0/16".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ];
        Self {
            containers: Authority::create_container_intermediate(&root, &permitted, seed())
                .unwrap(),
            infra: Authority::create_infra_intermediate(&root, seed()).unwrap(),
            bundle: TrustBundle::new(vec![der_of(&root)], LOG_KEY).unwrap(),
            root,
        }
    }

    pub(crate) fn container(&self) -> Issued {
        self.containers
            .issue_container(&csr(&key()), &container_leaf())
            .unwrap()
    }

    pub(crate) fn master(&self) -> Issued {
        let ips = [ip("192.168.1.10"), ip("fd00::10")];
        self.infra
            .issue_master(key().public_key(), &"m1".parse().unwrap(), &ips, terms())
            .unwrap()
    }

    pub(crate) fn operator(&self) -> Issued {
        let (name, role) = ("ada".parse().unwrap(), "admin".parse().unwrap());
        self.infra
            .issue_operator(key().public_key(), &name, &role, terms())
            .unwrap()
    }

    pub(crate) fn host(&self) -> Issued {
        self.infra
            .issue_host(key().public_key(), &"h1".parse().unwrap(), terms())
            .unwrap()
    }
}

/// The chain as a peer sends it.
pub(crate) fn chain(leaf: &Issued, authority: &Authority) -> Vec<CertificateDer<'static>> {
    vec![leaf.der.clone(), der_of(authority)]
}

/// A leaf that this authority's key signs without asking the profile: what a thief could make.
pub(crate) fn forge(authority: &Authority, names: Vec<rcgen::SanType>) -> CertificateDer<'static> {
    forge_with(authority, names, "0a", Vec::new())
}

/// The same with a chosen subject and private extensions.
pub(crate) fn forge_with(
    authority: &Authority,
    names: Vec<rcgen::SanType>,
    subject_serial: &str,
    extensions: Vec<rcgen::CustomExtension>,
) -> CertificateDer<'static> {
    let mut params = crate::form::bare_params(serial(), Validity::backdated(NOW, HOUR)).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    crate::form::push_serial_number(&mut params.distinguished_name, subject_serial).unwrap();
    params.subject_alt_names = names;
    params.custom_extensions = extensions;
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        rcgen::ExtendedKeyUsagePurpose::ServerAuth,
        rcgen::ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.signed_by(&key(), authority.issuer()).unwrap();
    certificate.der().clone()
}

pub(crate) fn uri(text: &str) -> rcgen::SanType {
    rcgen::SanType::URI(text.try_into().unwrap())
}
