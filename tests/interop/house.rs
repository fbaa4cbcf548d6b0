//! An installation, and what it issues.

use std::{
    fs,
    net::IpAddr,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use dockmaster_certs::{
    authority::Authority,
    csr::{VerifiedCsr, create_request},
    issue::Validity,
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};
use dockmaster_proto::{event::HeldAddress, id::ContainerId, time::UnixMs};
use dockmaster_tests::{Ran, binary};
use ring::rand::SystemRandom;

/// The trust domain of every house.
pub(crate) const TRUST_DOMAIN: &str = "td.example";
/// A container's addresses.
pub(crate) const V4: &str = "172.17.0.5";
pub(crate) const V6: &str = "fd00:17::5";

const MINUTE: u64 = 60_000;

/// What `dockmaster init` made, with its container authority loaded as a master loads it.
pub(crate) struct House {
    pub(crate) containers: Authority,
    pub(crate) bundle: String,
}

/// A certificate, what is above it, and its key, all in PEM.
pub(crate) struct Chain {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl House {
    /// One whose containers may have addresses of these ranges.
    pub(crate) fn permitting(ranges: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut init = Command::new(binary("dockmaster"));
        init.arg("init").arg("--data").arg(&data);
        init.args(["--listen", "127.0.0.1:8140", "--trust-domain", TRUST_DOMAIN]);
        for range in ranges {
            init.args(["--permit", range]);
        }
        let _ = Ran::run(&mut init).ok();
        let text = |name: &str| fs::read_to_string(data.join("ca").join(name)).unwrap();
        let authority = |name: &str| {
            Authority::from_pem(&text(&format!("{name}.pem")), &text(&format!("{name}.key")))
        };
        Self {
            containers: authority("intermediate").unwrap(),
            bundle: text("bundle.pem"),
        }
    }

    /// A container's certificate as a master issues it.
    pub(crate) fn container(&self, ips: &[&str]) -> Chain {
        self.container_valid(ips, Validity::backdated(now(), 60 * MINUTE))
    }

    /// One that ended a minute ago.
    pub(crate) fn expired(&self) -> Chain {
        let validity = Validity {
            not_before: UnixMs(now().0 - 4 * MINUTE),
            not_after: UnixMs(now().0 - MINUTE),
        };
        self.container_valid(&[V4], validity)
    }

    /// One that begins in an hour.
    pub(crate) fn early(&self) -> Chain {
        let validity = Validity {
            not_before: now().plus_ms(60 * MINUTE),
            not_after: now().plus_ms(120 * MINUTE),
        };
        self.container_valid(&[V4], validity)
    }

    fn container_valid(&self, ips: &[&str], validity: Validity) -> Chain {
        let (key, binding) = (key(), [7; 32]);
        let request = create_request(&key, &binding).unwrap();
        let csr = VerifiedCsr::parse(&request, &binding).unwrap();
        let held = |ip: &&str| HeldAddress {
            address: format!("h1/bridge/{ip}").parse().unwrap(),
            epoch: 3,
        };
        let leaf = ContainerLeaf {
            trust_domain: TRUST_DOMAIN.parse().unwrap(),
            host: "h1".parse().unwrap(),
            container: ContainerId::from_bytes([0xc5; 32]),
            addresses: ips.iter().map(held).collect(),
            ips: ips.iter().map(|ip| ip.parse::<IpAddr>().unwrap()).collect(),
            started_at_ms: UnixMs(validity.not_before.0 - MINUTE),
            image_digest: format!("sha256:{}", "ab".repeat(32)),
            validity,
            serial: random_serial(&SystemRandom::new()).unwrap(),
        };
        let issued = self.containers.issue_container(&csr, &leaf).unwrap();
        Chain {
            chain: issued.pem + &self.containers.certificate_pem(),
            key: key.to_pem(),
        }
    }
}

/// A new key.
pub(crate) fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

/// Verifiers have a clock of their own, so the certificates have to be of today.
#[expect(
    clippy::disallowed_methods,
    reason = "the programs that are asked look at the clock"
)]
fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMs(since.as_millis().try_into().unwrap())
}
