//! From a certificate request to a certificate.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panic")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    csr::{VerifiedCsr, create_request},
    issue::Validity,
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};
use dockmaster_proto::{event::HeldAddress, id::ContainerId, time::UnixMs};
use ring::rand::SystemRandom;

const NOW: UnixMs = UnixMs(1_795_528_980_000);
const BINDING: [u8; 32] = [7; 32];

fn seed() -> AuthoritySeed {
    let random = SystemRandom::new();
    AuthoritySeed {
        key: KeyPair::generate(&random).unwrap(),
        serial: random_serial(&random).unwrap(),
        now: NOW,
    }
}

fn leaf() -> ContainerLeaf {
    let held = HeldAddress {
        address: "h1/bridge/172.17.0.2".parse().unwrap(),
        epoch: 1,
    };
    ContainerLeaf {
        trust_domain: "td.example".parse().unwrap(),
        host: "h1".parse().unwrap(),
        container: ContainerId::from_bytes([5; 32]),
        ips: vec![held.address.ip],
        addresses: vec![held],
        started_at_ms: NOW,
        image_digest: format!("sha256:{}", "ab".repeat(32)),
        validity: Validity::of_container(NOW, NOW, 3_600_000),
        serial: random_serial(&SystemRandom::new()).unwrap(),
    }
}

fn issue(criterion: &mut Criterion) {
    let root = Authority::create_root(&"td.example".parse().unwrap(), seed()).unwrap();
    let permitted = ["172.17.0.0/16".parse().unwrap()];
    let containers = Authority::create_container_intermediate(&root, &permitted, seed()).unwrap();
    let key = KeyPair::generate(&SystemRandom::new()).unwrap();
    let request = create_request(&key, &BINDING).unwrap();
    let verified = VerifiedCsr::parse(&request, &BINDING).unwrap();
    let leaf = leaf();

    criterion.bench_function("a key and its request made", |bench| {
        bench.iter(|| {
            let key = KeyPair::generate(&SystemRandom::new()).unwrap();
            create_request(&key, &BINDING).unwrap()
        });
    });
    criterion.bench_function("a request read and verified", |bench| {
        bench.iter(|| VerifiedCsr::parse(black_box(&request), &BINDING).unwrap());
    });
    criterion.bench_function("a certificate made, signed, read back, compared", |bench| {
        bench.iter(|| {
            containers
                .issue_container(black_box(&verified), &leaf)
                .unwrap()
        });
    });
}

criterion_group!(benches, issue);
criterion_main!(benches);
