//! What `audit prove` writes, read by others.

use std::fs;

use dockmaster_tests::{Peer, Ran, StandIn, require_all};
use tokio::runtime::Runtime;

use crate::stage::Stage;

#[test]
fn a_proof_of_an_entry_or_a_certificate_is_verified_without_the_master() {
    if !require_all(&["go"]) {
        return;
    }
    let stage = Stage::new(7_000);
    stage.arrive();
    let peer = Peer::new(&stage.master, &StandIn::numbered(7_000));
    let enrolled = Runtime::new().unwrap().block_on(peer.enroll()).unwrap();
    let serial = enrolled.issued.serial.to_string();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.tlog-proof");
    let prove = |subject: &str| {
        let path = file.to_str().unwrap();
        let _ = stage
            .master
            .cli(["audit", "prove", subject, "-o", path])
            .ok();
        fs::read(&file).unwrap()
    };

    let verifier = stage.verifier();
    for index in ["0", "17", "256"] {
        prove(index);
        let said = verifier.proof(&file).ok();
        assert!(
            said.starts_with(&format!("verified: entry {index} of ")),
            "{said}"
        );
    }
    let proof = prove(&serial);
    let said = verifier.proof(&file).ok();
    let (_, entry) = said.split_once('\n').unwrap();
    assert_eq!(entry.trim_end(), enrolled.issued.entry);

    // The proof that came with the certificate says the same, with the entry beside it.
    let (beside, entry) = (dir.path().join("given"), dir.path().join("entry"));
    fs::write(&beside, &enrolled.issued.proof).unwrap();
    fs::write(&entry, &enrolled.issued.entry).unwrap();
    let mut command = verifier.command();
    command.arg("-entry").arg(&entry).arg("-proof").arg(&beside);
    let _ = Ran::run(&mut command).ok();
    assert!(verifier.proof(&beside).fails(1).contains("holds no entry"));

    // All but the bits at the end of a base64 value that stand for nothing.
    let text = String::from_utf8(proof.clone()).unwrap();
    let idle = |at: usize| matches!(text.as_bytes().get(at + 1), Some(b'='));
    let mut flipped = 0;
    for at in (0..proof.len())
        .step_by(7)
        .filter(|&at| !idle(at) && proof[at] != b'=')
    {
        let mut wrong = proof.clone();
        wrong[at] ^= 1;
        fs::write(&file, &wrong).unwrap();
        let ran = verifier.proof(&file);
        assert_eq!(ran.code, 1, "byte {at}: {ran:?}");
        flipped += 1;
    }
    assert!(flipped > 50);
}
