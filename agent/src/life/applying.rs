//! A life's applies: each leaves a report, also one that is cut short.

use std::time::{Duration, Instant};

use dockmaster_proto::{
    report::{ApplyStatus, Report},
    time::UnixMs,
};

use super::Life;
use crate::{
    apply::{self, Applied, Context, Foreseen, Mode, Record, blob::NoBlobs},
    env, facts,
    link::{MasterBlobs, Received},
    root::Root,
    rundir, say,
};

/// How often a container is compared with its catalog when nothing happens.
const DRIFT_CHECK: Duration = Duration::from_secs(30 * 60);

/// Where contents come from that do not stand in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    /// From the master.
    Master,
    /// From nowhere: it is away.
    Inline,
}

/// An apply that is not over.
#[derive(Debug)]
pub(super) struct Underway {
    received: Received,
    record: Record,
    start: Start,
}

/// When an apply began.
#[derive(Debug, Clone, Copy)]
struct Start {
    at_ms: UnixMs,
    steady: Instant,
}

impl Life<'_> {
    /// Keeps a new catalog and applies it.
    pub(super) async fn take(&mut self, received: Received) -> ApplyStatus {
        if let Err(error) = self.run.write(rundir::CATALOG, &received.bytes) {
            say!("{error}");
        }
        self.apply(received, Contents::Master).await
    }

    /// Applies a catalog, and leaves a report of it.
    pub(super) async fn apply(&mut self, received: Received, contents: Contents) -> ApplyStatus {
        let scratch = self.run.folder("scratch").ok();
        let underway = self.underway.insert(Underway {
            received,
            record: Record::owing(self.owed.clone()),
            start: Start {
                at_ms: env::now(),
                steady: Instant::now(),
            },
        });
        let mut master = MasterBlobs {
            link: &mut self.link,
            cache: self
                .run
                .folder("blobs")
                .unwrap_or_else(|_| self.run.path().join("blobs")),
        };
        let mut none = NoBlobs("the master is away".to_owned());
        let mut context = Context {
            root: &self.settings.local.root,
            reaper: self.reaper,
            blobs: match contents {
                Contents::Master => &mut master,
                Contents::Inline => &mut none,
            },
            processes: self.processes,
            mode: Mode::Apply,
            scratch: scratch.as_deref(),
            previous: self.previous.as_ref(),
            foreseen: Foreseen::default(),
        };
        let catalog = &underway.received.catalog;
        let applied = apply::apply(catalog, &mut context, &mut underway.record).await;
        drop(master);
        if applied.is_ok()
            && let Some(underway) = &self.underway
        {
            self.settle_processes(&underway.received.catalog).await;
        }
        let Some(Underway {
            received,
            record,
            start,
        }) = self.underway.take()
        else {
            // It is where it was put above: nobody else takes it while this runs.
            return ApplyStatus::Failed;
        };
        self.keep_owed(&record);
        let (status, applied) = match applied {
            Ok(()) => {
                let applied = record.complete();
                (applied.status(), applied)
            }
            Err(error) => {
                say!("the catalog was not applied: {error}");
                let applied = record.cut_short(&received.catalog, &error.to_string());
                (ApplyStatus::Failed, applied)
            }
        };
        self.conclude(&received, start, status, applied);
        let pause = match status {
            ApplyStatus::Failed => self.retry.wait(),
            ApplyStatus::Changed | ApplyStatus::Unchanged => {
                self.retry.reset();
                DRIFT_CHECK
            }
        };
        self.next_apply = Some(Instant::now() + pause);
        self.previous = Some(received.catalog.clone());
        self.current = Some(received);
        status
    }

    /// Leaves a report of the apply that was interrupted, where one was.
    pub(super) fn interrupted(&mut self, why: &str) {
        if let Some(Underway {
            received,
            record,
            start,
        }) = self.underway.take()
        {
            self.keep_owed(&record);
            let applied = record.cut_short(&received.catalog, why);
            self.conclude(&received, start, applied.status(), applied);
        }
    }

    /// Remembers who has still to be refreshed, beyond the end of this container too: the files that
    /// changed are right by then, and notify nobody again.
    fn keep_owed(&mut self, record: &Record) {
        if *record.owed() == self.owed {
            return;
        }
        self.owed.clone_from(record.owed());
        let bytes = serde_json::to_vec(&self.owed).unwrap_or_default();
        if let Err(error) = self.run.write(rundir::OWED, &bytes) {
            say!("{error}");
        }
    }

    /// Says and reports how an apply went.
    fn conclude(
        &mut self,
        received: &Received,
        start: Start,
        status: ApplyStatus,
        applied: Applied,
    ) {
        let duration = start.steady.elapsed();
        say!("{} in {} ms", applied.summary(), duration.as_millis());
        self.keep(Report {
            catalog: received.digest(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms: start.at_ms,
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            status,
            resources: applied.resources,
            processes: self.process_report(),
            facts: facts::observe(&Root::default()),
            alarm: self.link.alarm().unwrap_or_default().to_owned(),
        });
    }
}
