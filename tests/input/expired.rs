//! A certificate of the master's own authority whose time is over.

use std::{fs, process::Command};

use dockmaster_certs::{
    authority::Authority,
    csr::{VerifiedCsr, create_request},
    issue::Validity,
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};
use dockmaster_proto::{address::Address, event::HeldAddress, route::Route, time::UnixMs};
use dockmaster_tests::{Answer, Credentials, Ran, require_all};
use ring::rand::SystemRandom;

use crate::stand::Stand;

const HOUR: u64 = 3_600_000;

/// A certificate for the stand-in, by the key of the master's authority but not by the master.
fn forge(stand: &Stand, validity: Validity) -> Credentials {
    let ca = |name: &str| fs::read_to_string(stand.master.data().join("ca").join(name)).unwrap();
    let authority = Authority::from_pem(&ca("intermediate.pem"), &ca("intermediate.key")).unwrap();
    let random = SystemRandom::new();
    let key = KeyPair::generate(&random).unwrap();
    let binding = [7; 32];
    let csr = create_request(&key, &binding).unwrap();
    let csr = VerifiedCsr::parse(&csr, &binding).unwrap();
    let address: Address = format!("h1/file/{}", stand.ip()).parse().unwrap();
    let leaf = ContainerLeaf {
        trust_domain: authority.trust_domain().clone(),
        host: "h1".parse().unwrap(),
        container: stand.container.id.parse().unwrap(),
        ips: vec![address.ip],
        addresses: vec![HeldAddress { address, epoch: 1 }],
        started_at_ms: UnixMs(0),
        image_digest: String::new(),
        validity,
        serial: random_serial(&random).unwrap(),
    };
    let issued = authority.issue_container(&csr, &leaf).unwrap();
    let chain = issued.pem + &authority.certificate_pem();
    Credentials::new(&chain, &key.to_pem(), &ca("bundle.pem"))
}

/// A handshake of `openssl s_client`, which waits for what the master says to it.
fn shake_hands(stand: &Stand, credentials: &Credentials) -> Ran {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-ign_eof", "-tls1_3", "-connect"]);
    client.arg(stand.master.address().to_string());
    client.arg("-cert").arg(credentials.path("leaf.pem"));
    client.arg("-cert_chain").arg(credentials.path("above.pem"));
    client.arg("-key").arg(credentials.path("key.pem"));
    Ran::run(&mut client)
}

fn catalog(stand: &Stand, credentials: &Credentials) -> Answer {
    credentials.get(stand.curl(), &stand.url(Route::Catalog))
}

#[test]
fn an_expired_certificate_gets_no_connection_and_an_unlogged_one_no_answer() {
    if !require_all(&["curl", "openssl"]) {
        return;
    }
    let stand = Stand::new(9);
    let before = stand.trace();
    let newest = stand.master.json(["audit", "list", "--limit", "1"]);
    let now = newest["entries"][0]["ts_ms"].as_u64().unwrap();
    let validity = |from: u64, until: u64| Validity {
        not_before: UnixMs(from),
        not_after: UnixMs(until),
    };

    let expired = forge(&stand, validity(now - 2 * HOUR, now - HOUR));
    let refused = shake_hands(&stand, &expired);
    assert!(refused.fails(1).contains("certificate expired"));
    assert_eq!(catalog(&stand, &expired).status, 0);

    // The same in its time: the handshake is done, but the ledger does not know it.
    let unlogged = forge(&stand, validity(now - HOUR, now + HOUR));
    let answer = catalog(&stand, &unlogged);
    assert_eq!(answer.problem(403), "certificate-revoked");
    assert!(stand.trace().only_entries_since(&before).is_empty());
}
