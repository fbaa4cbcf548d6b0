//! An agent's certificate, at half of its life.

use std::{fs, time::Duration};

use dockmaster_certs::key::KeyPair;
use dockmaster_tests::{Agent, clock, eventually, require};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use webpki::EndEntityCert;

use crate::stage::Stage;

/// More than half of the six hours, and less than all of them.
const LATER: Duration = Duration::from_secs(4 * 3_600);

/// The certificate in an agent's run dir, and the public key in it.
fn certified(agent: &Agent) -> Option<(CertificateDer<'static>, Vec<u8>)> {
    let chain = fs::read(agent.path("run/cert.pem")).ok()?;
    let leaf = CertificateDer::from_pem_slice(&chain).unwrap();
    let key = EndEntityCert::try_from(&leaf).unwrap();
    let key = key.subject_public_key_info().to_vec();
    Some((leaf, key))
}

/// The private key in an agent's run dir.
fn key(agent: &Agent) -> KeyPair {
    KeyPair::from_pem(&fs::read_to_string(agent.path("run/key.pem")).unwrap()).unwrap()
}

#[test]
fn an_agent_renews_its_certificate_at_half_of_its_life_with_another_key() {
    if !require("vdso") {
        return;
    }
    let stage = Stage::new([1810]);
    let agent = Agent::start(&stage.master, &stage.stand_ins[0]);
    agent.says("nothing to apply");
    let ((before, key_before), _) = eventually("a certificate", || certified(&agent));
    assert_eq!(key(&agent).public_key().spki(), key_before);

    clock::pass(agent.pid(), LATER);
    let ((_, key_after), _) = eventually("another certificate", || {
        certified(&agent).filter(|(after, _)| *after != before)
    });
    assert_ne!(key_after, key_before);
    // The key in the run dir is the new one's, and so nothing is left of the old.
    assert_eq!(key(&agent).public_key().spki(), key_after);
    agent.says("renewed as");
    // The ledger has it of both keys.
    let list = |event: &str| {
        let found = stage.master.json(["audit", "list", "--event", event]);
        let entry = found["entries"][0].clone();
        entry["spki_sha256"].as_str().unwrap().to_owned()
    };
    assert_eq!(list("cert_issued"), digest(&key_before));
    assert_eq!(list("cert_renewed"), digest(&key_after));
}

fn digest(bytes: &[u8]) -> String {
    dockmaster_proto::id::Digest::of(bytes).to_string()
}
