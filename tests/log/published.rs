//! The log of a real master, where it lies and where it is served.

use std::{path::Path, thread};

use dockmaster_tests::{Ran, require_all};

use crate::{stage::Stage, web::FileServer};

/// That the verifier read so many entries, and all older checkpoints were of the same log.
#[track_caller]
fn verified(ran: &Ran, entries: u64, olds: usize) {
    let said = ran.ok();
    let begin = format!("verified: {entries} entries, ");
    let end = format!(", {olds} older checkpoints\n");
    assert!(said.starts_with(&begin) && said.ends_with(&end), "{said}");
}

#[test]
fn a_log_is_verified_from_its_folder_and_from_wherever_it_is_served() {
    if !require_all(&["go", "python3"]) {
        return;
    }
    let stage = Stage::new(1_000);
    let mut olds = vec![stage.keep()];
    for change in [Stage::arrive, Stage::leave, Stage::arrive, Stage::leave] {
        change(&stage);
        olds.push(stage.keep());
    }
    // Nothing stirs from here on: the crowd is gone and was the only one to come.
    let size = stage.head().size;
    assert!(size > 512, "{size} entries are too few for tiles in a row");
    let verifier = stage.verifier();
    let run = |log: &str, more: &[&Path]| {
        let mut command = verifier.command();
        for old in &olds {
            command.arg("-old").arg(old);
        }
        for argument in more {
            command.arg(argument);
        }
        Ran::run(command.arg(log))
    };
    let all = olds.len();
    verified(&run(stage.public().to_str().unwrap(), &[]), size, all);

    let server = FileServer::of(&stage.public());
    verified(&run(&server.url, &[]), size, all);

    // The master's own certificate stands the test of another TLS library, too.
    let own = format!("https://{}/log/", stage.master.address());
    let bundle = stage.master.data().join("ca/bundle.pem");
    verified(&run(&own, &[Path::new("-ca"), &bundle]), size, all);
    let stranger = Ran::run(verifier.command().arg(&own));
    assert!(stranger.fails(1).contains("certificate"), "{stranger:?}");
}

#[test]
fn a_log_is_verified_while_it_grows() {
    if !require_all(&["go"]) {
        return;
    }
    let stage = Stage::grown(2_000);
    let verifier = stage.verifier();
    let kept = stage.keep();
    let sizes: Vec<u64> = thread::scope(|scope| {
        let growing = scope.spawn(|| {
            for _ in 0..3 {
                stage.arrive();
                stage.leave();
            }
        });
        let mut sizes = Vec::new();
        while !growing.is_finished() {
            let said = verifier.extension(&stage.public(), &kept).ok();
            sizes.push(said.split(' ').nth(1).unwrap().parse().unwrap());
        }
        sizes
    });
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert!(sizes.len() > 1, "verified only once");
}

#[test]
fn another_logs_key_verifies_nothing() {
    if !require_all(&["go"]) {
        return;
    }
    let (one, other) = (Stage::new(3_000), Stage::new(3_000));
    let _ = one.verifier().folder(&one.public()).ok();
    let refused = one.verifier().folder(&other.public());
    // Both are named alike, so the note holds a signature that it is not by this key.
    assert!(refused.fails(1).contains("signature"), "{refused:?}");
    let refused = one.verifier().extension(&one.public(), &other.keep());
    assert!(refused.fails(1).contains("signature"), "{refused:?}");
}
