//! Keys, authorities and a certificate request.

use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    csr::{VerifiedCsr, create_request},
    infra::Terms,
    issue::{Issued, Validity},
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};
use dockmaster_client::now;
use dockmaster_proto::{event::HeldAddress, id::ContainerId};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    hash::leaf_hash,
    note::{KeyName, SigningKey},
};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};

const BINDING: [u8; 32] = [7; 32];
const MESSAGE: &[u8] = &[42; 256];
const LIFETIME_MS: u64 = 24 * 3_600_000;

/// All that the limits are measured with.
pub(crate) struct Material {
    random: SystemRandom,
    key: EcdsaKeyPair,
    signature: Vec<u8>,
    request: Vec<u8>,
    leaf: ContainerLeaf,
    log_key: SigningKey,
    pub(crate) root: Authority,
    pub(crate) containers: Authority,
    pub(crate) infra: Authority,
}

impl Material {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let generate = || EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            generate().unwrap().as_ref(),
            &random,
        );
        let key = key.unwrap();
        let seed = || AuthoritySeed {
            key: KeyPair::generate(&random).unwrap(),
            serial: random_serial(&random).unwrap(),
            now: now(),
        };
        let root = Authority::create_root(&"load.example".parse().unwrap(), seed()).unwrap();
        let permitted = ["127.0.0.0/8".parse().unwrap()];
        let requester = KeyPair::generate(&random).unwrap();
        Self {
            signature: key.sign(&random, MESSAGE).unwrap().as_ref().to_vec(),
            key,
            request: create_request(&requester, &BINDING).unwrap(),
            leaf: leaf(&random),
            log_key: SigningKey::from_seed(KeyName::new("load.example/log").unwrap(), &[1; 32]),
            containers: Authority::create_container_intermediate(&root, &permitted, seed())
                .unwrap(),
            infra: Authority::create_infra_intermediate(&root, seed()).unwrap(),
            root,
            random,
        }
    }

    pub(crate) fn sign(&self) {
        self.key.sign(&self.random, MESSAGE).unwrap();
    }

    pub(crate) fn verify(&self) {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.key.public_key());
        key.verify(MESSAGE, &self.signature).unwrap();
    }

    pub(crate) fn verified_request(&self) -> VerifiedCsr {
        VerifiedCsr::parse(&self.request, &BINDING).unwrap()
    }

    pub(crate) fn verify_request(&self) {
        let _ = self.verified_request();
    }

    pub(crate) fn issue(&self, request: &VerifiedCsr) {
        self.containers
            .issue_container(request, &self.leaf)
            .unwrap();
    }

    pub(crate) fn sign_checkpoint(&self) {
        let checkpoint = Checkpoint {
            origin: self.log_key.name().clone(),
            size: 1,
            root: leaf_hash(MESSAGE),
        };
        let _ = checkpoint.sign(&self.log_key);
    }

    /// A master's certificate for loopback.
    pub(crate) fn master(&self) -> (KeyPair, Issued) {
        let key = KeyPair::generate(&self.random).unwrap();
        let terms = Terms {
            serial: random_serial(&self.random).unwrap(),
            validity: Validity::backdated(now(), LIFETIME_MS),
        };
        let ips = [[127, 0, 0, 1].into()];
        let name = "m1".parse().unwrap();
        let issued = self
            .infra
            .issue_master(key.public_key(), &name, &ips, terms);
        (key, issued.unwrap())
    }

    /// A container's certificate.
    pub(crate) fn container(&self) -> (KeyPair, Issued) {
        let key = KeyPair::generate(&self.random).unwrap();
        let request = create_request(&key, &BINDING).unwrap();
        let request = VerifiedCsr::parse(&request, &BINDING).unwrap();
        let issued = self.containers.issue_container(&request, &self.leaf);
        (key, issued.unwrap())
    }
}

/// What the master certifies of a stand-in.
fn leaf(random: &SystemRandom) -> ContainerLeaf {
    let held = HeldAddress {
        address: "h1/file/127.77.0.1".parse().unwrap(),
        epoch: 1,
    };
    ContainerLeaf {
        trust_domain: "load.example".parse().unwrap(),
        host: "h1".parse().unwrap(),
        container: ContainerId::from_bytes([5; 32]),
        ips: vec![held.address.ip],
        addresses: vec![held],
        started_at_ms: now(),
        image_digest: String::new(),
        validity: Validity::of_container(now(), now(), LIFETIME_MS),
        serial: random_serial(random).unwrap(),
    }
}
