//! SIGKILL at any moment, again and again, while many ask for certificates at once.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use dockmaster_certs::bundle::TrustBundle;
use dockmaster_tests::{Inventory, Master, Peer, Setup, StandIn, eventually};
use dockmaster_tlog::{note::VerifierKey, proof::TlogProof};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::runtime::Runtime;

/// How often it is killed.
const ROUNDS: usize = 12;
/// How many ask at a time, each from an address of its own.
const CROWD: u16 = 12;
/// The kill comes within this time after a first certificate of the round.
const SPAN: Duration = Duration::from_millis(250);

/// A moment within the span.
fn moment() -> Duration {
    let mut bytes = [0; 4];
    SystemRandom::new().fill(&mut bytes).unwrap();
    SPAN.mul_f64(f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX))
}

/// Enrolls until the master is gone, or will give no more. Each certificate has to come with the
/// proof that it is in the log.
async fn enroll(peer: Peer, given: &'static AtomicUsize, log_key: String) -> Vec<String> {
    let key = VerifierKey::parse(&log_key).unwrap();
    let mut serials = Vec::new();
    while let Ok(enrolled) = peer.enroll().await {
        let issued = enrolled.issued;
        let proof = TlogProof::parse(&issued.proof).unwrap();
        proof.verify(issued.entry.as_bytes(), &key).unwrap();
        serials.push(issued.serial.to_string());
        given.fetch_add(1, Ordering::Relaxed);
    }
    serials
}

fn wait_for_first_look(master: &Master, rounds: usize) {
    eventually("the first look at the host", || {
        let watched = master.json(["audit", "list", "--event", "host_watched"]);
        (watched["entries"].as_array()?.len() > rounds).then_some(())
    });
}

/// The serials of all issuances in the log.
fn logged(master: &Master) -> BTreeSet<String> {
    let list = master.json([
        "audit",
        "list",
        "--event",
        "cert_issued",
        "--limit",
        "100000",
    ]);
    let entries = list["entries"].as_array().unwrap().iter();
    let serials = entries.map(|entry| entry["serial"].as_str().unwrap().to_owned());
    serials.collect()
}

#[test]
fn whatever_a_client_received_is_in_the_log_however_the_master_dies() {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let stand_ins: Vec<_> = (200..200 + CROWD).map(StandIn::numbered).collect();
    let inventory = Inventory::new(&stand_ins);
    let mut master = Setup::inventory(&inventory).start();
    let bundle = std::fs::read_to_string(master.data().join("ca/bundle.pem")).unwrap();
    let log_key = TrustBundle::parse(&bundle).unwrap().log_key().to_owned();
    let runtime = Runtime::new().unwrap();
    let mut received = BTreeSet::new();
    for round in 0..ROUNDS {
        wait_for_first_look(&master, round);
        let before = GIVEN.load(Ordering::Relaxed);
        let crowd: Vec<_> = stand_ins
            .iter()
            .map(|stand_in| {
                runtime.spawn(enroll(
                    Peer::new(&master, stand_in),
                    &GIVEN,
                    log_key.clone(),
                ))
            })
            .collect();
        eventually("a first certificate", || {
            (GIVEN.load(Ordering::Relaxed) > before).then_some(())
        });
        let kill_at = Instant::now() + moment();
        while let Some(left) = kill_at.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        master.kill();
        for asking in crowd {
            received.extend(runtime.block_on(asking).unwrap());
        }
        master.serve();

        let _ = master.cli(["audit", "verify"]).ok();
        let logged = logged(&master);
        let lost: Vec<_> = received.difference(&logged).collect();
        assert!(
            lost.is_empty(),
            "round {round}: {lost:?} of {} received",
            received.len()
        );
    }
    println!(
        "{} certificates received in {ROUNDS} rounds",
        received.len()
    );
    assert!(received.len() >= ROUNDS);
}
