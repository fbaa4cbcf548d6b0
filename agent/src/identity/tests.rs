use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    csr::VerifiedCsr,
    issue::Validity,
    key::random_serial,
    profile::ContainerLeaf,
};
use dockmaster_proto::{event::HeldAddress, id::TrustDomain};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    hash::leaf_hash,
    note::{KeyName, SigningKey},
};
use ring::rand::SystemRandom;

use super::*;

const NOW: UnixMs = UnixMs(1_795_528_980_000);

fn log_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(KeyName::new("td.example/log").unwrap(), &[seed; 32])
}

/// What an honest master answers to the owner of `key`, from a log that holds this one entry.
fn issue(key: &KeyPair) -> IssuedCertificate {
    let random = SystemRandom::new();
    let seed = || AuthoritySeed {
        key: KeyPair::generate(&random).unwrap(),
        serial: random_serial(&random).unwrap(),
        now: NOW,
    };
    let domain: TrustDomain = "td.example".parse().unwrap();
    let root = Authority::create_root(&domain, seed()).unwrap();
    let permitted = ["127.0.0.0/8".parse().unwrap()];
    let containers = Authority::create_container_intermediate(&root, &permitted, seed()).unwrap();
    let held = HeldAddress {
        address: "h1/lo/127.0.0.2".parse().unwrap(),
        epoch: 1,
    };
    let csr = VerifiedCsr::parse(&create_request(key, &[1; 32]).unwrap(), &[1; 32]).unwrap();
    let leaf = ContainerLeaf {
        trust_domain: domain,
        host: "h1".parse().unwrap(),
        container: ContainerId::from_bytes([5; 32]),
        addresses: vec![held.clone()],
        ips: vec![held.address.ip],
        started_at_ms: NOW,
        image_digest: String::new(),
        validity: Validity::of_container(NOW, NOW, 3_600_000),
        serial: random_serial(&random).unwrap(),
    };
    let issued = containers.issue_container(&csr, &leaf).unwrap();
    let entry = serde_json::json!({
        "v": 1, "ts_ms": NOW, "event": "cert_issued", "container": leaf.container,
        "serial": issued.serial, "spki_sha256": issued.spki_sha256, "der_sha256": issued.der_sha256,
    })
    .to_string();
    IssuedCertificate {
        chain: issued.pem.clone() + &containers.certificate_pem(),
        bundle: String::new(),
        container_id: leaf.container,
        addresses: vec![held.address],
        serial: issued.serial,
        not_after_ms: NOW.plus_ms(3_600_000),
        renew_at_ms: NOW.plus_ms(1_800_000),
        proof: proof_of(&entry, &log_key(1)),
        consistency: vec![],
        entry,
        master_time_ms: NOW,
    }
}

fn proof_of(entry: &str, key: &SigningKey) -> String {
    let checkpoint = Checkpoint {
        origin: key.name().clone(),
        size: 1,
        root: leaf_hash(entry.as_bytes()),
    };
    let proof = TlogProof {
        index: 0,
        hashes: vec![],
        checkpoint: checkpoint.sign(key),
    };
    proof.encode()
}

fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

#[track_caller]
fn refused(issued: &IssuedCertificate, key: &KeyPair, word: &str) {
    let log_key = log_key(1).verifier().to_string();
    let why = verify(issued, &key.public_key().spki_sha256(), &log_key).unwrap_err();
    assert!(why.contains(word), "{why}");
}

#[test]
fn what_an_honest_master_issues_is_accepted() {
    let key = key();
    let log_key = log_key(1).verifier().to_string();
    verify(&issue(&key), &key.public_key().spki_sha256(), &log_key).unwrap();
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    refused(&issue(&key()), &key(), "another key");
}

#[test]
fn a_certificate_that_is_not_in_the_log_is_refused() {
    let key = key();
    let mut issued = issue(&key);
    // A log of the same name, signed by a key that nobody pinned.
    issued.proof = proof_of(&issued.entry, &log_key(2));
    refused(&issued, &key, "not shown to be in the log");
    // The right log, but the proof is of another entry.
    issued.proof = proof_of("else", &log_key(1));
    refused(&issued, &key, "not shown to be in the log");
    issued.proof = String::new();
    refused(&issued, &key, "not a proof file");
}

#[test]
fn an_entry_about_something_else_proves_nothing() {
    let key = key();
    let honest = issue(&key);
    let serial = honest.serial.to_string();
    for (from, to) in [
        ("cert_issued", "cert_denied"),
        (serial.as_str(), &"0".repeat(32)),
        (&"05".repeat(32), &"06".repeat(32)),
        (&Digest::of(&leaf(&honest)).to_string(), &"ab".repeat(32)),
    ] {
        let mut issued = honest.clone();
        issued.entry = issued.entry.replace(from, to);
        assert_ne!(issued.entry, honest.entry);
        issued.proof = proof_of(&issued.entry, &log_key(1));
        refused(&issued, &key, "about another certificate");
    }
    let mut issued = honest;
    issued.entry = "{}".to_owned();
    refused(&issued, &key, "of no issuance");
}

fn leaf(issued: &IssuedCertificate) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.chain.as_bytes()).unwrap()
}

#[test]
fn garbage_in_place_of_a_chain_is_refused() {
    let key = key();
    let mut issued = issue(&key);
    issued.chain = "x".to_owned();
    refused(&issued, &key, "PEM");
}
