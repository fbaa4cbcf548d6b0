//! Requests for certificates that are under way while their container is revoked or banned.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use dockmaster_proto::problem::ProblemCode;
use dockmaster_tests::{Enrolled, Peer};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::stage::{Stage, code};

/// Containers, each banned once: the moment at which it hits a request is another each time.
const CONTAINERS: u16 = 12;
/// Requests of one container at a time.
const TOGETHER: usize = 4;
/// Requests that one container may make at once.
const MOST: usize = 16;

/// Asks for certificates until told to stop; gives those that it got.
async fn ask(peer: Peer, stop: Arc<AtomicBool>) -> Vec<Enrolled> {
    let mut got = Vec::new();
    for _ in 0..MOST / TOGETHER {
        if stop.load(Relaxed) {
            break;
        }
        got.extend(peer.enroll().await.ok());
    }
    got
}

/// The log's entries of a kind about a container, newest first.
fn entries(stage: &Stage, event: &str, id: &str) -> Vec<Value> {
    let args = ["audit", "list", "--event", event, "--node", id];
    let listed = stage.master.json(args);
    listed["entries"].as_array().unwrap().clone()
}

#[test]
fn whoever_is_banned_while_its_requests_are_under_way_ends_with_nothing() {
    let stage = Stage::new(140..140 + CONTAINERS);
    let mut issued = 0;
    for index in 0..usize::from(CONTAINERS) {
        let (id, name) = {
            let node = stage
                .master
                .json(["node", "show", &stage.stand_ins[index].name]);
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&node["id"]), text(&node["name"]))
        };
        let first = stage.enroll(index).unwrap();
        let stop = Arc::<AtomicBool>::default();
        let mut asking = JoinSet::new();
        for _ in 0..TOGETHER {
            let peer = Peer::new(&stage.master, &stage.stand_ins[index]);
            asking.spawn_on(ask(peer, stop.clone()), stage.runtime.handle());
        }
        let ban = ["cert", "revoke", "--node", &name, "--ban", "--yes"];
        let banned = stage.master.cli(ban);
        let _ = banned.ok();
        stop.store(true, Relaxed);
        let mut got: Vec<Enrolled> = stage
            .runtime
            .block_on(asking.join_all())
            .into_iter()
            .flatten()
            .collect();
        got.push(first);
        issued += got.len();

        // Whether it came before or after: none counts, and none was issued after it.
        for enrolled in &got {
            let refused = stage.catalog(index, enrolled);
            assert_eq!(code(refused), ProblemCode::CertificateRevoked);
        }
        assert_eq!(code(stage.enroll(index)), ProblemCode::Banned);
        let ban = entries(&stage, "node_banned", &id)[0]["index"].as_u64();
        let revoked = entries(&stage, "cert_revoked", &id);
        let issued_after = entries(&stage, "cert_issued", &id);
        for late in issued_after.iter().filter(|it| it["index"].as_u64() > ban) {
            let is_revoked = revoked.iter().any(|it| it["serial"] == late["serial"]);
            assert!(is_revoked, "issued after the ban: {late}");
        }
        let list = stage.master.json(["cert", "list", "--node", &id]);
        assert_eq!(list["certificates"].as_array().map(Vec::len), Some(0));
    }
    println!("{issued} were issued before");
    let _ = stage.master.cli(["audit", "verify"]).ok();
}
