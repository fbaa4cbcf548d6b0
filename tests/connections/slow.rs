//! Peers that send next to nothing, on as many connections as an address may have.

use std::{io::Write as _, time::Duration};

use dockmaster_client::Call;
use dockmaster_proto::route::Route;
use dockmaster_tests::{clock, eventually, measure::resident, require_all};

use crate::{
    raw::{Raw, Read, all_is_read, has_ended, tcp},
    stage::Stage,
};

/// Connections of each kind; the four together are what one address may have.
const EACH: usize = 60;
/// What one may take of the master's memory, in bytes.
const MOST: u64 = 64 << 10;

#[test]
fn slow_peers_take_little_keep_nobody_out_and_are_ended() {
    if !require_all(&["vdso"]) {
        return;
    }
    let stage = Stage::new(150..=151);
    let (master, from) = (&stage.master, stage.stand_ins[0].ips[0]);
    let before = resident(master.pid().into());

    let silent: Vec<_> = (0..EACH).map(|_| tcp(master, from)).collect();
    let half_open: Vec<_> = (0..EACH)
        .map(|_| {
            let mut half = tcp(master, from);
            // The head of a record that never comes.
            half.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
            half
        })
        .collect();
    let slow = |beginning: &str| -> Vec<_> {
        (0..EACH)
            .map(|_| {
                let mut raw = Raw::open(master, from, "http/1.1");
                assert!(raw.write(beginning.as_bytes()));
                raw
            })
            .collect()
    };
    let mut heads = slow("GET /v1/trust HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let mut bodies = slow("POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{");

    // Byte by byte they go on; everybody else is served meanwhile.
    for raw in heads.iter_mut().chain(&mut bodies) {
        assert!(raw.write(b"a"));
    }
    stage.runtime.block_on(stage.peer(1).enroll()).unwrap();
    let _ = master.json(["node", "list"]);
    let grown = resident(master.pid().into()).saturating_sub(before);
    assert!(grown < 4 * EACH as u64 * MOST, "{grown} bytes");

    // Or a deadline begins when time has passed already.
    all_is_read(master, from);
    // All deadlines but that of the heads are over, and time goes on. One after the other: of two that
    // are over at once either may be seen first.
    clock::pass(master.pid(), Duration::from_secs(45));
    // By one connection while it lasts: whoever connects all the time is made to wait.
    let mut connection = None;
    let mut stir = || {
        let alive = Call::new(Route::Healthz);
        stage.runtime.block_on(async {
            if let Some(open) = &mut connection
                && dockmaster_client::Connection::send(open, &alive)
                    .await
                    .is_ok()
            {
                return;
            }
            let mut anew = stage.peer(1).connect(None).await.unwrap();
            anew.send(&alive).await.unwrap();
            connection = Some(anew);
        });
    };
    for raw in &mut bodies {
        let mut answer = Vec::new();
        eventually("a refusal", || {
            stir();
            match raw.read() {
                Read::Bytes(bytes) => answer.extend(bytes),
                Read::Nothing => {}
                Read::End => return Some(()),
            }
            answer.windows(8).any(|it| it == b"within 3").then_some(())
        });
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    }
    for stream in silent.iter().chain(&half_open) {
        eventually("an end", || {
            stir();
            has_ended(stream).then_some(())
        });
    }
    clock::pass(master.pid(), Duration::from_secs(166));
    for raw in &mut heads {
        eventually("an end", || {
            stir();
            (raw.read() == Read::End).then_some(())
        });
    }
}
