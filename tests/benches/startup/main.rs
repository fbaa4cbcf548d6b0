//! How long it takes from `docker run` to an application that runs configured, and from an
//! operator's change to an application that took it up.
//!
//! `cargo bench -p dockmaster-tests --bench startup [-- SECTION...]`; the sections are `containers`,
//! `loopback` and `sizes`, all of them where none is named. `DOCKMASTER_BENCH_COUNT` changes the 100
//! repetitions, `DOCKMASTER_TEST_BIN` names a folder of programs to take as they are. What is
//! measured, and what it is measured against, stands in `docs/performance.md`.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark is a test with a clock: it fails by panic and speaks to the one who runs it"
)]

mod bounds;
mod changes;
mod containers;
mod log;
mod loopback;
mod memory;
mod samples;
mod site;
mod sizes;

use dockmaster_tests::require;

use self::bounds::Bounds;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this file too, in another profile and without this word.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("skipped: run by \"cargo bench\" only");
        return;
    }
    let sections: Vec<&String> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
    let wanted = |section: &str| sections.is_empty() || sections.iter().any(|it| *it == section);
    let bounds = Bounds::from_environment();
    if wanted("sizes") {
        sizes::measure();
    }
    if wanted("containers") && require("docker") {
        containers::measure(bounds);
    }
    if wanted("loopback") {
        loopback::measure(bounds);
    }
}
