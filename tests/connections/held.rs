//! A held request ends with the lease that allows it.

use dockmaster_proto::problem::ProblemCode;
use dockmaster_tests::StandIn;

use crate::stage::{Stage, refusal};

#[test]
fn a_held_request_ends_with_its_lease_and_its_certificate_gets_nothing_more() {
    let stage = Stage::new(110..=111);
    let (held, other) = (stage.hold(0), stage.hold(1));
    let stays = stage.stand_ins[1].clone();
    stage.inventory.set(std::slice::from_ref(&stays));
    let answer = stage.end(held.request);
    assert_eq!(refusal(answer), ProblemCode::CertificateRevoked);

    // Neither when the address has a new holder, nor when the old one has it back.
    let heir = StandIn {
        id: StandIn::numbered(112).id,
        ..stage.stand_ins[0].clone()
    };
    let peer = stage.peer(0);
    for holder in [heir, stage.stand_ins[0].clone()] {
        stage.inventory.set(&[stays.clone(), holder]);
        // Who holds the address now is known when it has a certificate.
        stage.runtime.block_on(peer.enroll()).unwrap();
        for etag in [None, Some(held.etag.as_str())] {
            let answer = stage.runtime.block_on(peer.catalog(&held.enrolled, etag));
            assert_eq!(refusal(answer), ProblemCode::CertificateRevoked);
        }
    }
    assert!(!other.request.is_finished(), "others go on to wait");
}
