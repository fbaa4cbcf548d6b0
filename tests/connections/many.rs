//! Ten thousand connections at once.

use dockmaster_client::Call;
use dockmaster_proto::route::Route;
use dockmaster_tests::{Peer, measure::resident, require};
use futures_util::{StreamExt as _, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::Stage;

const WANTED: u16 = 10_000;
/// Files that a process needs beside its connections.
const OTHERS: u64 = 500;
/// Of one address: fewer than are allowed.
const EACH: u16 = 250;
/// What one may take of the master's memory, in bytes.
const MOST: u64 = 64 << 10;

/// As many as there may be open files, up to what is wanted.
///
/// # Panics
/// Where everything that tests need is required, and that is less.
fn possible() -> u16 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let possible = current.saturating_sub(OTHERS).min(WANTED.into());
    let is_required = std::env::var("DOCKMASTER_TEST_REQUIRE").is_ok_and(|it| !it.is_empty());
    assert!(
        possible == u64::from(WANTED) || !is_required,
        "{WANTED} connections are required here (DOCKMASTER_TEST_REQUIRE), and a process may have {current} files open: \
         raise the hard limit to {} (ulimit -Hn, or LimitNOFILE= of the service)",
        u64::from(WANTED) + OTHERS
    );
    u16::try_from(possible).unwrap()
}

#[test]
fn ten_thousand_connections_take_64_kib_each_at_most_and_keep_nobody_out() {
    let stage = Stage::new(4000..=4000 + WANTED / EACH);
    let count = possible();
    let pid = stage.master.pid().into();
    let before = resident(pid);
    stage.runtime.block_on(async {
        let peer = |number: u16| {
            let peer = stage.peer(usize::from(1 + number / EACH));
            async move { peer.connect(None).await }
        };
        let dialling = stream::iter((0..count).map(peer)).buffer_unordered(32);
        let mut open: Vec<_> = dialling.map(Result::unwrap).collect().await;
        let grown = resident(pid).saturating_sub(before);
        println!(
            "{} of {WANTED} connections, {} bytes each",
            open.len(),
            grown / u64::from(count)
        );
        assert!(grown < u64::from(count) * MOST, "{grown} bytes");

        let enrolled = stage.peer(0).enroll().await.unwrap();
        let catalog = stage.peer(0).catalog(&enrolled, None).await.unwrap();
        assert_eq!(catalog.status.as_u16(), 200);
        // None was given up for another.
        for connection in open.iter_mut().step_by(97) {
            connection.send(&Call::new(Route::Healthz)).await.unwrap();
        }
    });
    let _ = stage.master.json(["node", "list"]);
}

#[test]
fn addresses_that_are_nobodys_have_a_part_of_all_places_and_keep_nobody_out() {
    if !require("prlimit") {
        return;
    }
    // With 400 connections, of which a hundred are for those whose address nobody is known to have.
    let stage = Stage::with(220..=220, |setup| setup.files(400 + 128));
    let strangers = Peer::strangers(&stage.master, 31_000, 4 * EACH);
    let open = stage.runtime.block_on(strangers);
    assert_eq!(open.len(), 100);
    stage.runtime.block_on(stage.peer(0).enroll()).unwrap();
    let _ = stage.master.json(["node", "list"]);
    drop(open);
}
