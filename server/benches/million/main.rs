//! What a log of a million entries costs: to start a master on it, and to ask it.
//!
//! `cargo bench -p dockmaster --bench million`. `DOCKMASTER_BENCH_ENTRIES` changes the million;
//! `DOCKMASTER_BENCH_DATA` names a folder in which the data directory is kept for the next run, since
//! making it takes most of the time. What the figures mean stands in `docs/performance.md`.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark is a test with a clock: it fails by panic and speaks to the one who runs it"
)]

mod history;
mod master;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use dockmaster::{config::Config, datadir::DataDir, store};

use self::master::{Master, run};

fn main() {
    // `cargo test --benches` runs this file too, in another profile and without this word.
    if !env::args().any(|argument| argument == "--bench") {
        println!("skipped: run by \"cargo bench\" only");
        return;
    }
    let entries = env::var("DOCKMASTER_BENCH_ENTRIES");
    let entries = entries.map_or(1_000_000, |text| text.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let kept = env::var_os("DOCKMASTER_BENCH_DATA").map(PathBuf::from);
    let folder = kept.unwrap_or_else(|| temporary.path().to_owned());
    let data = folder.join(format!("data-{entries}"));
    if !data.exists() {
        timed("the history is made", || history::make(&data, entries));
    }
    sizes(&data);
    starts(&data);
    questions(&data);
}

/// Says how long something took.
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = run();
    println!("{:>10.3} s  {what}", begin.elapsed().as_secs_f64());
    done
}

fn sizes(data: &Path) {
    for part in ["ledger/wal", "ledger/public", "blobs", "index.sled"] {
        let (files, bytes) = size(&data.join(part));
        println!("{:>10.1} MB in {files} files of {part}", bytes as f64 / 1e6);
    }
}

fn size(folder: &Path) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(folder) else {
        return (0, 0);
    };
    entries
        .map(Result::unwrap)
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => size(&entry.path()),
            metadata => (1, metadata.len()),
        })
        .fold((0, 0), |(files, bytes), (more, longer)| {
            (files + more, bytes + longer)
        })
}

/// From nothing in memory to a master that answers.
fn starts(data: &Path) {
    let dir = DataDir::new(data);
    let config = Config::load(&dir.config()).unwrap();
    if !dir.index().exists() {
        let master = timed("ready, with the index made from nothing", || {
            Master::start(data)
        });
        println!("{:>10.1} MB resident then", master.resident_mb());
        master.stop();
    }
    for _ in 0..3 {
        let opened = timed("  the ledger opens", || {
            store::open_ledger(&dir, &config).unwrap()
        });
        let index = timed("  the index opens", || {
            store::open_index(&dir, &opened).unwrap()
        });
        timed("  the view is loaded", || index.load_state().unwrap());
        drop((index, opened));
        let master = timed("ready, all of it", || Master::start(data));
        println!("{:>10.1} MB resident then", master.resident_mb());
        timed("stopped", || master.stop());
    }
}

/// What an operator asks.
fn questions(data: &Path) {
    let master = Master::start(data);
    let newest = run(data, &["audit", "list", "--limit", "1", "-o", "json"]);
    let newest: serde_json::Value = serde_json::from_str(&newest).unwrap();
    let newest = &newest["entries"][0];
    let number = |field: &str| newest[field].as_u64().unwrap();
    let (now, size) = (number("ts_ms"), number("index") + 1);
    let middle = (now - size / 2 * history::PACE_MS).to_string();
    let now = now.to_string();
    let questions: [&[&str]; 10] = [
        &["audit", "list"],
        &["audit", "list", "--event", history::RARE],
        &["audit", "list", "--ip", history::IP],
        &["audit", "who", history::IP, "--at", &now],
        &["audit", "who", history::IP, "--at", &middle],
        &["audit", "prove", "12345", "-o", "/dev/null"],
        &["cert", "list", "--all"],
        &["node", "list"],
        &["audit", "export", "--format", "jsonl", "-o", "/dev/null"],
        &["audit", "verify"],
    ];
    for question in questions {
        timed(&question.join(" "), || run(data, question));
    }
    println!("{:>10.1} MB resident then", master.resident_mb());
    master.stop();
}
