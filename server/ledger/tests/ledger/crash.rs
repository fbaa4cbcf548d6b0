//! A child process commits and says what was acknowledged; it is killed, or aborts before a step of
//! its own, over and over. Whatever it said must be there afterwards.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dockmaster_ledger::{Digest, Ledger, Limits, Proposal, Step};
use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::tree::verify_consistency;
use tempfile::TempDir;

use crate::fixture::{Recorder, config, published_entries, verifier, verify_receipt};

const DIR: &str = "LEDGER_CRASH_DIR";
const LIFE: &str = "LEDGER_CRASH_LIFE";
const STEP: &str = "LEDGER_CRASH_STEP";
const STEPS: [Step; 7] = [
    Step::Append,
    Step::Sync,
    Step::Answer,
    Step::Tiles,
    Step::Checkpoint,
    Step::Persist,
    Step::Drop,
];

fn crash_config(dir: &Path) -> dockmaster_ledger::Config {
    let mut config = config(dir);
    config.limits = Limits {
        segment_bytes: 30_000,
        ..Limits::default()
    };
    config
}

/// Only does something in the child.
#[tokio::test(flavor = "multi_thread")]
async fn child_commits_until_it_dies() {
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let life = std::env::var(LIFE).unwrap();
    let mut config = crash_config(Path::new(&dir));
    if let Ok(step) = std::env::var(STEP) {
        let (step, countdown) = step.split_once(':').unwrap();
        let step = STEPS[step.parse::<usize>().unwrap()];
        let countdown = AtomicU32::new(countdown.parse().unwrap());
        config.probe = Some(Arc::new(move |at| {
            if at == step && countdown.fetch_sub(1, Ordering::SeqCst) == 1 {
                std::process::abort();
            }
            Ok(())
        }));
    }
    let ledger = Ledger::open(config)
        .unwrap()
        .start(Recorder::default())
        .unwrap();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (ledger, life) = (ledger.clone(), life.clone());
            tokio::spawn(async move {
                for n in 0.. {
                    let text = format!("{life}-{worker}-{n}");
                    let document = format!("document of {text}").into_bytes();
                    let entry = text.clone();
                    let mut proposal = Proposal::of(move |_| entry.into_bytes());
                    proposal.blobs.push(document);
                    let receipt = ledger.commit(proposal).await.unwrap();
                    verify_receipt(&receipt);
                    println!("acknowledged {} {text}", receipt.entries()[0].index);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

fn child(dir: &Path, life: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "crash::child_commits_until_it_dies",
            "--nocapture",
        ])
        .env(DIR, dir)
        .env(LIFE, life.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Collects what the child says until it is dead.
fn collect(mut child: Child) -> Vec<(u64, String)> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged = lines.map_while(Result::ok).filter_map(|line| {
        let (_, said) = line.split_once("acknowledged ")?;
        let (index, text) = said.split_once(' ')?;
        Some((index.parse().ok()?, text.to_owned()))
    });
    let acknowledged = acknowledged.collect();
    child.wait().unwrap();
    acknowledged
}

/// What the collector knows of the log over all lives of the child.
struct Collector {
    dir: TempDir,
    acknowledged: Vec<(u64, String)>,
    head: Checkpoint,
}

impl Collector {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        Ledger::create(&crash_config(dir.path())).unwrap();
        let (head, _) = published_entries(&dir.path().join("ledger/public"));
        Self {
            dir,
            acknowledged: Vec::new(),
            head,
        }
    }

    fn check(&mut self, said: Vec<(u64, String)>) {
        self.acknowledged.extend(said);
        // What the crash left is a whole log as it is: no checkpoint without its tiles.
        published_entries(&self.dir.path().join("ledger/public"));
        let opened = Ledger::open(crash_config(self.dir.path())).unwrap();
        let (head, entries) = published_entries(&self.dir.path().join("ledger/public"));
        assert_eq!(opened.size(), head.size);
        for (index, text) in &self.acknowledged {
            let entry = entries
                .get(*index as usize)
                .map(|entry| String::from_utf8_lossy(entry));
            assert_eq!(entry.as_deref(), Some(text.as_str()), "entry {index}");
        }
        for entry in &entries {
            let document = [b"document of ", &entry[..]].concat();
            let kept = opened.blobs().get(&Digest::of(&document)).unwrap();
            assert_eq!(kept, Some(document));
        }
        let ledger = opened.start(Recorder::default()).unwrap();
        let (old, new) = (&self.head, &head);
        let proof = ledger.consistency_proof(old.size).unwrap();
        verify_consistency(old.size, &old.root, new.size, &new.root, &proof.hashes).unwrap();
        assert_eq!(
            Checkpoint::open(&proof.head.checkpoint, &verifier()).unwrap(),
            head
        );
        let stopping = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        stopping.block_on(ledger.shutdown());
        self.head = head;
    }
}

#[test]
fn whatever_was_acknowledged_survives_kill_9() {
    let mut collector = Collector::new();
    for life in 0..8 {
        let mut killed = child(collector.dir.path(), life).spawn().unwrap();
        let stdout = killed.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut lines = Vec::new();
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| lines.push(line));
            lines
        });
        // A different moment each time, from "just opened" to "in full swing".
        let until = Instant::now() + Duration::from_millis(60 + 37 * life as u64);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        let said = reader.join().unwrap();
        let said = said.iter().filter_map(|line| {
            let (index, text) = line.split_once("acknowledged ")?.1.split_once(' ')?;
            Some((index.parse().ok()?, text.to_owned()))
        });
        collector.check(said.collect());
    }
    assert!(
        collector.acknowledged.len() > 100,
        "too few commits to mean anything"
    );
}

#[test]
fn whatever_was_acknowledged_survives_a_crash_before_each_step() {
    let mut collector = Collector::new();
    let mut life = 100;
    for step in 0..STEPS.len() {
        for countdown in [1, 3] {
            let mut crashing = child(collector.dir.path(), life);
            crashing.env(STEP, format!("{step}:{countdown}"));
            let said = collect(crashing.spawn().unwrap());
            collector.check(said);
            life += 1;
        }
    }
    assert!(
        collector.acknowledged.len() > 100,
        "too few commits to mean anything"
    );
}
