//! What OpenSSL, which shares no code with us, makes of our certificates.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::{
    fs,
    net::IpAddr,
    path::Path,
    process::{Command, Output},
};

use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    bundle::TrustBundle,
    csr::{VerifiedCsr, create_request},
    infra::Terms,
    issue::Validity,
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};
use dockmaster_proto::{id::ContainerId, time::UnixMs};
use rcgen::SanType;
use ring::rand::SystemRandom;

const NOW: UnixMs = UnixMs(1_795_528_980_000);
const HOUR: u64 = 3_600_000;

#[test]
fn openssl_verifies_the_chain_of_every_kind_of_leaf() {
    let Some(world) = World::new() else { return };
    let container = world.container();
    world.write("leaf.pem", &container);
    for purpose in ["sslserver", "sslclient"] {
        world
            .verify(
                "containers.pem",
                &["-purpose", purpose, "-verify_ip", "172.17.0.5"],
            )
            .assert_accepted();
    }
    world
        .verify("containers.pem", &["-verify_ip", "172.17.0.6"])
        .assert_refused("IP address mismatch");
    world
        .verify("infra.pem", &[])
        .assert_refused("unable to get local issuer certificate");

    let key = key();
    let (name, role) = ("m1".parse().unwrap(), "admin".parse().unwrap());
    let ips: [IpAddr; 2] = ["192.168.1.10".parse().unwrap(), "fd00::10".parse().unwrap()];
    let (infra, public) = (&world.infra, key.public_key());
    for (purpose, leaf) in [
        (
            "sslserver",
            infra.issue_master(public, &name, &ips, terms()),
        ),
        (
            "sslclient",
            infra.issue_operator(public, &name, &role, terms()),
        ),
        ("sslclient", infra.issue_host(public, &name, terms())),
    ] {
        world.write("leaf.pem", &leaf.unwrap().pem);
        world
            .verify("infra.pem", &["-purpose", purpose])
            .assert_accepted();
    }
    world
        .verify("infra.pem", &["-purpose", "sslserver"])
        .assert_refused("purpose");
}

#[test]
fn openssl_refuses_what_a_stolen_container_authority_would_sign() {
    let Some(world) = World::new() else { return };
    let ip = |text: &str| SanType::IpAddress(text.parse().unwrap());
    for (name, accepted) in [
        (ip("172.17.0.9"), true),
        (ip("172.18.0.9"), false),
        (ip("fd00::9"), false),
        (
            SanType::DnsName("www.example.com".try_into().unwrap()),
            false,
        ),
    ] {
        let shown = format!("{name:?}");
        world.write("leaf.pem", &world.forge(name));
        let verdict = world.verify("containers.pem", &[]);
        if accepted {
            verdict.assert_accepted();
        } else {
            eprintln!("{shown}");
            verdict.assert_refused("permitted subtree violation");
        }
    }
}

#[test]
fn openssl_reads_a_containers_names_and_extension() {
    let Some(world) = World::new() else { return };
    world.write("leaf.pem", &world.container());
    let shown = world.run(&[
        "x509", "-in", "leaf.pem", "-noout", "-text", "-nameopt", "RFC2253",
    ]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let id = "c5".repeat(32);
    for part in [
        format!("Subject: serialNumber={id}"),
        format!("URI:spiffe://td.example/host/h1/container/{id}, IP Address:172.17.0.5"),
        "CA:FALSE".into(),
        "TLS Web Server Authentication, TLS Web Client Authentication".into(),
        "1.3.6.1.4.1.32473.8140.1".into(),
    ] {
        assert!(text.contains(&part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("DNS:"), "{text}");
}

#[test]
fn openssl_finds_our_request_well_formed_and_signed() {
    let Some(world) = World::new() else { return };
    let request = create_request(&key(), &[0xfb; 32]).unwrap();
    fs::write(world.folder().join("request.der"), request).unwrap();
    let arguments = ["req", "-inform", "DER", "-in", "request.der", "-noout"];
    let output = world.run(&[&arguments[..], &["-verify", "-text"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("verify OK"), "{said}");
    assert!(text.contains("challengePassword"), "{text}");
    assert!(text.contains("+/v7+/v7"), "{text}");
}

#[test]
fn a_request_made_by_openssl_is_read() {
    let Some(world) = World::new() else { return };
    world.write("key.pem", &key().to_pem());
    // Only the binding is missing, which no stranger can know.
    let made = world.run(&[
        "req",
        "-new",
        "-key",
        "key.pem",
        "-outform",
        "DER",
        "-out",
        "request.der",
        "-sha256",
        "-subj",
        "/CN=whatever",
    ]);
    assert!(made.status.success(), "{made:?}");
    let der = fs::read(world.folder().join("request.der")).unwrap();
    assert_eq!(
        VerifiedCsr::parse(&der, &[0; 32]),
        Err(dockmaster_certs::csr::CsrError::NoBinding)
    );
}

/// An installation on disk.
struct World {
    root_folder: tempfile::TempDir,
    containers: Authority,
    infra: Authority,
}

impl World {
    /// `None`, with a line that says so, where there is no OpenSSL and none is demanded.
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            let required = std::env::var("DOCKMASTER_TEST_REQUIRE").unwrap_or_default();
            let required = required.split(',').any(|name| name.trim() == "openssl");
            assert!(!required, "openssl is required, but cannot be run");
            eprintln!("skipped: needs openssl");
            return None;
        }
        let root = Authority::create_root(&"td.example".parse().unwrap(), seed()).unwrap();
        let permitted = ["172.17.0.0/16".parse().unwrap()];
        let world = Self {
            root_folder: tempfile::tempdir().unwrap(),
            containers: Authority::create_container_intermediate(&root, &permitted, seed())
                .unwrap(),
            infra: Authority::create_infra_intermediate(&root, seed()).unwrap(),
        };
        let bundle = TrustBundle::new(
            vec![root.certificate().clone()],
            "td.example/log+7e03f1aa+AeXtTrust",
        );
        // The whole bundle, log key line included, serves as a CA file.
        world.write("bundle.pem", &bundle.unwrap().to_pem());
        world.write("containers.pem", &world.containers.certificate_pem());
        world.write("infra.pem", &world.infra.certificate_pem());
        Some(world)
    }

    fn folder(&self) -> &Path {
        self.root_folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder())
            .output()
            .unwrap()
    }

    fn verify(&self, intermediate: &str, more: &[&str]) -> Verdict {
        let time = NOW.seconds().to_string();
        let arguments = [
            "verify",
            "-x509_strict",
            "-CAfile",
            "bundle.pem",
            "-untrusted",
            intermediate,
            "-attime",
            &time,
        ];
        Verdict(self.run(&[&arguments[..], more, &["leaf.pem"]].concat()))
    }

    fn container(&self) -> String {
        let binding = [7; 32];
        let request = create_request(&key(), &binding).unwrap();
        let csr = VerifiedCsr::parse(&request, &binding).unwrap();
        let started_at_ms = UnixMs(NOW.0 - 60_000);
        let leaf = ContainerLeaf {
            trust_domain: "td.example".parse().unwrap(),
            host: "h1".parse().unwrap(),
            container: ContainerId::from_bytes([0xc5; 32]),
            addresses: vec![dockmaster_proto::event::HeldAddress {
                address: "h1/bridge/172.17.0.5".parse().unwrap(),
                epoch: 3,
            }],
            ips: vec!["172.17.0.5".parse().unwrap()],
            started_at_ms,
            image_digest: format!("sha256:{}", "ab".repeat(32)),
            validity: Validity::of_container(NOW, started_at_ms, HOUR),
            serial: random_serial(&SystemRandom::new()).unwrap(),
        };
        self.containers.issue_container(&csr, &leaf).unwrap().pem
    }

    /// What somebody with the container authority's key could sign without our code.
    fn forge(&self, name: SanType) -> String {
        let stolen = rcgen::KeyPair::from_pem(&self.containers.key_pem()).unwrap();
        let issuer =
            rcgen::Issuer::from_ca_cert_pem(&self.containers.certificate_pem(), stolen).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "thief");
        params.subject_alt_names = vec![name];
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&key(), &issuer).unwrap().pem()
    }
}

struct Verdict(Output);

impl Verdict {
    fn assert_accepted(&self) {
        assert!(self.0.status.success(), "{:?}", self.0);
    }

    fn assert_refused(&self, why: &str) {
        let said = String::from_utf8_lossy(&self.0.stderr);
        assert!(!self.0.status.success(), "accepted: {:?}", self.0);
        assert!(said.contains(why), "refused, but not for {why:?}: {said}");
    }
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
