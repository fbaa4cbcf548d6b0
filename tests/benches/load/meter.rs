//! What the master and the clients used between two moments.

use std::time::{Duration, Instant};

use dockmaster_tests::{
    Master,
    measure::{Cpu, Samples, mib, resident},
};

use crate::syncs;

/// The readings of one moment.
pub(crate) struct Meter<'a> {
    of: &'a Master,
    at: Instant,
    master: Cpu,
    client: Cpu,
    commits: u64,
}

impl<'a> Meter<'a> {
    /// Reads everything.
    pub(crate) fn read(master: &'a Master) -> Self {
        Self {
            of: master,
            commits: syncs::commits(master),
            master: Cpu::of(master.pid()),
            client: Cpu::of(std::process::id()),
            at: Instant::now(),
        }
    }

    /// Prints what was used since, and gives the master's processor time for one operation.
    pub(crate) fn print(self, what: &str, samples: &Samples) -> Duration {
        let elapsed = self.at.elapsed();
        let count = u32::try_from(samples.count()).unwrap();
        let master = Cpu::of(self.of.pid()).since(&self.master);
        let client = Cpu::of(std::process::id()).since(&self.client);
        let commits = syncs::commits(self.of) - self.commits;
        let each = master.total() / count;
        println!(
            "| {what:<28} | {count:>5} | {:>6.0} | {:>6.2} | {:>6.2} | {:>6.2} | {:>5} | {:>4} + {:>4} | {:>5} | {:>6.3} | {:>9} |",
            f64::from(count) / elapsed.as_secs_f64(),
            samples.per_mille(500),
            samples.per_mille(990),
            samples.per_mille(999),
            each.as_micros(),
            (master.user / count).as_micros(),
            (master.system / count).as_micros(),
            (client.total() / count).as_micros(),
            ratio(commits, count),
            mib(resident(self.of.pid().into())),
        );
        let mut threads: Vec<_> = master.threads.iter().collect();
        threads.sort_unstable_by_key(|(_, used)| std::cmp::Reverse(**used));
        let threads = threads.iter().map(|(name, used)| (name, **used / count));
        let threads = threads.filter(|(_, used)| *used >= Duration::from_micros(1));
        let threads = threads.map(|(name, used)| format!("{name} {}", used.as_micros()));
        println!(
            "  of the master, by thread: {}",
            threads.collect::<Vec<_>>().join(", ")
        );
        each
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a benchmark makes far fewer than 2^52 commits"
)]
fn ratio(part: u64, whole: u32) -> f64 {
    part as f64 / f64::from(whole)
}

/// The head of the table that [`Meter::print`] goes on with.
pub(crate) fn head() {
    println!(
        "\nUnder load: milliseconds of latency; processor time in microseconds of one operation\n\n\
         | {:<28} | {:>5} | {:>6} | {:>6} | {:>6} | {:>6} | {:>5} | {:>11} | {:>5} | {:>6} | {:>9} |",
        "", "n", "per s", "p50", "p99", "p99.9", "CPU", "user + sys", "cl.", "syncs", "RSS"
    );
}
