//! How often the master waits for the disk.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use dockmaster_tests::{Master, Ran, require};

use crate::{MANY, drive::drive, fleet::Fleet};

/// Operations under `strace`, which slows every call of the master down.
const TRACED: usize = 500;
/// Calls that wait for the disk.
const CALLS: &str = "trace=fdatasync,fsync,syncfs,sync_file_range";
/// A frame of the write-ahead log: magic, length of the body, body, checksum (docs/ledger.md).
const MAGIC: &[u8] = b"DMF1";
const CHECKSUM: usize = 4;

/// How many commits the write-ahead log holds: each is one `fdatasync`. Nothing is asked of the
/// master, so nothing is distorted.
pub(crate) fn commits(master: &Master) -> u64 {
    let folder = master.data().join("ledger/wal");
    let segments = fs::read_dir(folder).unwrap();
    let paths = segments.map(|segment| segment.unwrap().path());
    paths.map(|path| frames(&path)).sum()
}

fn frames(segment: &PathBuf) -> u64 {
    let bytes = fs::read(segment).unwrap();
    let (mut rest, mut count) = (&bytes[..], 0);
    while let Some(body) = rest.strip_prefix(MAGIC) {
        let Some((length, body)) = body.split_first_chunk() else {
            break;
        };
        let length = u32::from_be_bytes(*length) as usize;
        let Some(next) = body.get(length + CHECKSUM..) else {
            break;
        };
        (rest, count) = (next, count + 1);
    }
    count
}

/// Counts the master's calls with `strace`, in runs of their own.
pub(crate) async fn measure(fleet: &Fleet) {
    if !require("strace") {
        return;
    }
    println!("\nCalls that wait for the disk, counted by strace");
    for clients in [1, MANY] {
        let trace = Trace::attach(&fleet.master);
        let before = commits(&fleet.master);
        drive(
            vec![(); clients],
            fleet.in_turn(TRACED),
            async |(), node| {
                node.enroll().await;
            },
        )
        .await;
        let commits = commits(&fleet.master) - before;
        println!(
            "\n{TRACED} enrollments, {clients} at a time, {commits} commits:\n{}",
            trace.end()
        );
    }
}

/// A running `strace`.
struct Trace {
    child: std::process::Child,
    summary: PathBuf,
    _dir: tempfile::TempDir,
}

impl Trace {
    fn attach(master: &Master) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let summary = dir.path().join("summary");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-e", CALLS, "-o"]).arg(&summary);
        strace.args(["-p", &master.pid().to_string()]);
        let mut child = strace.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let attached = said.find(|line| line.as_ref().is_ok_and(|line| line.contains("attached")));
        assert!(attached.is_some(), "strace did not attach");
        // It says more; nobody reads it, and it must not wait for a reader.
        std::thread::spawn(move || said.for_each(drop));
        Self {
            child,
            summary,
            _dir: dir,
        }
    }

    fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        let _ = Ran::run(Command::new("kill").args(["-s", "INT", &pid])).ok();
        self.child.wait().unwrap();
        fs::read_to_string(&self.summary).unwrap()
    }
}
