//! Many who are nobody's, and the hosts.

use dockmaster_tests::{Host, Peer, require_all};
use tokio::runtime::Runtime;

use crate::stage::{container, setup, watched};

#[test]
fn strangers_that_take_all_places_they_can_do_not_keep_a_host_out_that_was_there_before() {
    if !require_all(&["netns", "prlimit"]) {
        return;
    }
    // With 400 connections, of which a hundred are for strangers.
    let mut master = setup().files(400 + 128).start();
    let mut host = Host::start(&master, "h2", &[container(1, 2)], &[]);
    watched(&master, &host, 1);
    host.kill();
    // What it knows of addresses it has from before.
    master.crash_and_restart();
    let runtime = Runtime::new().unwrap();
    let open = runtime.block_on(Peer::strangers(&master, 31_100, 200));
    assert_eq!(open.len(), 100);
    host.run();
    watched(&master, &host, 1);
    drop(open);
}
