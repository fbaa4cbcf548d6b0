//! What a container wrote, with the time at which the engine received each line.

use std::{
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use dockmaster_tests::{Container, Ran, eventually};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How long nothing is asked, so that asking does not take the processor from what is measured.
const QUIET: Duration = Duration::from_millis(250);

/// The time now, by the clock that the engine stamps lines with.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark compares the engine's wall clock with its own"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The lines of a container, in order of time.
#[derive(Debug)]
pub(crate) struct Log(Vec<(SystemTime, String)>);

impl Log {
    /// What a container wrote so far.
    pub(crate) fn of(container: &Container) -> Self {
        let mut command = Command::new("docker");
        command.args(["logs", "--timestamps", &container.id().to_string()]);
        let ran = Ran::run(&mut command);
        let text = ran.ok() + &ran.stderr;
        let mut lines: Vec<_> = text.lines().filter_map(stamped).collect();
        lines.sort();
        Self(lines)
    }

    /// What a container wrote, once `count` of its lines contain `word`.
    pub(crate) fn once(container: &Container, word: &str, count: usize) -> Self {
        thread::park_timeout(QUIET);
        let what = format!("{word:?} {count} times in the log of {}", container.name());
        let (log, _) = eventually(&what, || {
            let log = Self::of(container);
            (log.with(word).count() >= count).then_some(log)
        });
        log
    }

    /// When the last line came that contains this.
    pub(crate) fn time(&self, word: &str) -> SystemTime {
        let found = self.with(word).last();
        found.unwrap_or_else(|| panic!("no {word:?} in {self:?}")).0
    }

    /// The agent's own mark in its line with this word: the time since its start, in whole
    /// milliseconds.
    pub(crate) fn mark(&self, word: &str) -> Duration {
        let marked = self.with(word).find_map(|(_, line)| mark(line));
        marked.unwrap_or_else(|| panic!("no mark with {word:?} in {self:?}"))
    }

    fn with(&self, word: &str) -> impl Iterator<Item = &(SystemTime, String)> {
        self.0.iter().filter(move |(_, line)| line.contains(word))
    }
}

/// `2026-11-24T14:03:00.123456789Z text`
fn stamped(line: &str) -> Option<(SystemTime, String)> {
    let (time, text) = line.split_once(' ')?;
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    Some((time.into(), text.to_owned()))
}

/// `dockmaster-agent +12ms text`
pub(crate) fn mark(line: &str) -> Option<Duration> {
    let (mark, _) = line.strip_prefix("dockmaster-agent +")?.split_once("ms ")?;
    Some(Duration::from_millis(mark.parse().ok()?))
}
