//! What the master costs under load: processor time, latency, syncs and memory, beside what the
//! machine itself takes for the same cryptography and the same sync.
//!
//! `cargo bench -p dockmaster-tests --bench load [-- SECTION...]`; the sections are `limits`, `idle`,
//! `enroll`, `renew`, `catalog`, `syncs` and `flood`, all of them where none is named.
//! `DOCKMASTER_BENCH_COUNT` changes the 2000 operations, `DOCKMASTER_TEST_BIN` names a folder of
//! programs to take as they are. What the figures mean stands in `docs/performance.md`.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark is a test with a clock: it fails by panic and speaks to the one who runs it"
)]

mod catalog;
mod drive;
mod enroll;
mod fleet;
mod flood;
mod idle;
mod limits;
mod meter;
mod renew;
mod syncs;

use dockmaster_tests::measure::{Bounds, sections};

use self::{fleet::Fleet, limits::Limits};

/// What is measured of a master.
const SECTIONS: [&str; 6] = ["idle", "enroll", "renew", "catalog", "syncs", "flood"];
/// The most operations of one measurement: all of them together stay below the certificates that the
/// master gives one container at once.
const MOST: usize = 4000;
/// Clients at a time, where there are many.
const MANY: usize = 64;

fn main() {
    let Some(wanted) = sections() else {
        return;
    };
    let bounds = Bounds::from_environment(2000, MOST);
    let limits = Limits::measure();
    limits.print();
    if !SECTIONS.iter().any(|section| wanted.has(section)) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let fleet = Fleet::start().await;
        // First: later there is memory that was freed and is used again.
        if wanted.has("idle") {
            idle::measure(&fleet).await;
        }
        meter::head();
        if wanted.has("enroll") {
            enroll::measure(bounds, &fleet, &limits).await;
        }
        if wanted.has("renew") {
            renew::measure(bounds, &fleet, &limits).await;
        }
        if wanted.has("catalog") {
            catalog::measure(bounds, &fleet).await;
        }
        if wanted.has("syncs") {
            syncs::measure(&fleet).await;
        }
        if wanted.has("flood") {
            flood::measure(bounds, &fleet).await;
        }
    });
}
