//! A master that is told to stop answers what it was asked, and then ends.

use dockmaster_certs::{csr::create_request, key::KeyPair};
use dockmaster_client::Call;
use dockmaster_proto::{api::identity::CertificateRequest, problem::ProblemCode, route::Route};
use dockmaster_tests::{Peer, StandIn};
use ring::rand::SystemRandom;

use crate::stage::{Stage, refusal};

fn stops_in_order(stage: &mut Stage) {
    let ended = stage.master.terminate();
    assert!(ended.success(), "{ended}");
    let log = stage.master.log().join("\n");
    assert!(!log.contains("did not end within"), "{log}");
}

#[test]
fn a_held_request_for_a_catalog_is_answered_when_the_master_stops() {
    let mut stage = Stage::new(120..=121);
    let held = [0, 1].map(|index| stage.hold(index));
    stops_in_order(&mut stage);
    for held in held {
        let answer = stage.end(held.request).unwrap();
        assert_eq!(answer.status.as_u16(), 304);
        assert_eq!(answer.header("etag"), Some(held.etag.as_str()));
    }
}

#[test]
fn a_parked_enrollment_is_answered_when_the_master_stops() {
    let mut stage = Stage::new(130..=130);
    // No container that anybody knows, so its request is parked until one shows up.
    let peer = Peer::new(&stage.master, &StandIn::numbered(131));
    let connection = stage.runtime.block_on(peer.connect(None)).unwrap();
    let key = KeyPair::generate(&SystemRandom::new()).unwrap();
    let request = CertificateRequest {
        csr: create_request(&key, connection.exporter()).unwrap(),
        agent_version: "by hand".to_owned(),
        seen: None,
        token: None,
    };
    let parked = stage.send(connection, Call::new(Route::Enroll).json(&request));
    stops_in_order(&mut stage);
    let code = refusal(stage.end(parked));
    assert_eq!(code, ProblemCode::Unavailable);
}
