//! How long it takes from `docker run` to an application that runs configured, and from an
//! operator's change to an application that took it up.
//!
//! `cargo bench -p dockmaster-tests --bench startup [-- SECTION...]`; the sections are `containers`,
//! `evidence`, `loopback` and `sizes`, all of them where none is named. `DOCKMASTER_BENCH_COUNT` changes the 100
//! repetitions, `DOCKMASTER_TEST_BIN` names a folder of programs to take as they are. What is
//! measured, and what it is measured against, stands in `docs/performance.md`.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark is a test with a clock: it fails by panic and speaks to the one who runs it"
)]

mod changes;
mod containers;
mod evidence;
mod log;
mod loopback;
mod site;
mod sizes;

use dockmaster_tests::{
    measure::{Bounds, sections},
    require,
};

fn main() {
    let Some(wanted) = sections() else {
        return;
    };
    let bounds = Bounds::from_environment(100, 1000);
    if wanted.has("sizes") {
        sizes::measure();
    }
    if wanted.has("containers") && require("docker") {
        containers::measure(bounds);
    }
    if wanted.has("evidence") && require("docker") {
        evidence::measure(bounds);
    }
    if wanted.has("loopback") {
        loopback::measure(bounds);
    }
}
