//! The life of an agent: certificate, catalog, apply, watch, until the container dies.

mod processes;

use std::time::{Duration, Instant};

use dockmaster_proto::{
    catalog::Catalog,
    report::{ApplyStatus, MAX_REPORT_BYTES, Outcome, Report},
};

use crate::{
    apply::{self, Context, Mode, Processes, blob::NoBlobs},
    backoff::{Backoff, Complaint},
    env, facts,
    link::{Cause, Link, LinkError, MasterBlobs, Received},
    rundir::{self, RunDir},
    say,
    settings::Settings,
    supervise::reaper::Reaper,
};

/// How long the master holds the question for a new catalog.
const WATCH: Duration = Duration::from_secs(60);
/// How often a container is compared with its catalog when nothing happens.
const DRIFT_CHECK: Duration = Duration::from_secs(30 * 60);
/// How long the end of a container is put off for a report that was not sent yet.
const FAREWELL: Duration = Duration::from_secs(1);

/// What to do when the master is away or the catalog does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insist {
    /// Wait for it; the application does not start before.
    Wait,
    /// End, so that whoever started the container knows.
    OnMaster,
    /// Start the application anyway.
    OnApplication,
}

/// Where contents come from that do not stand in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// From the master.
    Master,
    /// From nowhere: it is away.
    Inline,
}

/// An agent at work.
pub struct Life<'a> {
    settings: &'a Settings,
    run: &'a RunDir,
    reaper: &'a Reaper,
    processes: Processes<'a>,
    link: Link<'a>,
    /// The catalog that was applied last, in this life or the one before.
    previous: Option<Catalog>,
    current: Option<Received>,
    unsent: Option<Report>,
    next_apply: Option<Instant>,
    retry: Backoff,
}

impl<'a> Life<'a> {
    /// The beginning.
    #[must_use]
    pub fn new(
        settings: &'a Settings,
        run: &'a RunDir,
        reaper: &'a Reaper,
        processes: Processes<'a>,
    ) -> Self {
        Self {
            settings,
            run,
            reaper,
            processes,
            link: Link::new(settings, run),
            previous: None,
            current: None,
            unsent: None,
            next_apply: None,
            retry: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        }
    }

    /// Enrolls, applies the catalog once, and reports.
    ///
    /// # Errors
    /// [`LinkError`] when the master cannot be used.
    pub async fn once(&mut self) -> Result<ApplyStatus, LinkError> {
        self.remember();
        self.link.ready().await?;
        let received = self.link.catalog(None, Duration::ZERO).await?;
        let received = received
            .ok_or_else(|| LinkError::Catalog("the master says that it is unchanged".to_owned()))?;
        let status = self.take(received).await;
        self.send().await?;
        Ok(status)
    }

    /// Lives until the container dies.
    ///
    /// # Errors
    /// [`LinkError`] when there is no sense in waiting.
    pub async fn lead(&mut self, insist: Insist) -> Result<std::convert::Infallible, LinkError> {
        self.remember();
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut complaint = Complaint::default();
        loop {
            match self.turn(insist).await {
                Ok(()) => {
                    backoff.reset();
                    if complaint.settle() {
                        say!("the master at {} is back", self.settings.master);
                    }
                }
                Err(error) => {
                    self.link.failed(&error);
                    let beginning = self.current.is_none();
                    if beginning && (error.cause() == Cause::Settings || insist == Insist::OnMaster)
                    {
                        return Err(error);
                    }
                    if complaint.is_news(&error.to_string()) {
                        say!("{error}");
                        if beginning {
                            self.begin_alone(insist).await;
                        }
                    }
                    let wait = env::jitter(backoff.wait(), env::chance(self.link.random()));
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// One round with the master: a current certificate, a new catalog or none, a report.
    async fn turn(&mut self, insist: Insist) -> Result<(), LinkError> {
        self.link.ready().await?;
        self.send().await?;
        let due = self.next_apply.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        });
        let wait = WATCH
            .min(due)
            .min(self.link.renew_in())
            .max(Duration::from_secs(1));
        let etag = self
            .current
            .as_ref()
            .and_then(|current| current.etag.clone());
        if let Some(received) = self.link.catalog(etag.as_deref(), wait).await? {
            say!("catalog {}", &received.digest().to_string()[..12]);
            self.retry.reset();
            self.take(received).await;
            self.start_application(insist).await;
        } else if self.next_apply.is_some_and(|at| at <= Instant::now())
            && let Some(current) = self.current.take()
        {
            self.take(current).await;
            self.start_application(insist).await;
        }
        self.send().await
    }

    /// The master is away at the very beginning: the last catalog, where there is one.
    async fn begin_alone(&mut self, insist: Insist) {
        let Some(catalog) = self.previous.clone() else {
            if insist == Insist::OnApplication {
                self.start_application(insist).await;
            } else {
                say!("there is no catalog from an earlier run; waiting for the master");
            }
            return;
        };
        say!("applying the last catalog, from the run dir");
        let bytes = catalog.to_bytes();
        let received = Received {
            catalog,
            bytes,
            // So that the master sends its own as soon as it is back.
            etag: None,
        };
        self.apply(received, Contents::Inline).await;
        self.start_application(insist).await;
    }

    fn remember(&mut self) {
        let last = self.run.read(rundir::CATALOG).ok().flatten();
        self.previous = last
            .and_then(|bytes| Received::parse(&bytes, None).ok())
            .map(|last| last.catalog);
    }

    /// Keeps a catalog and applies it.
    async fn take(&mut self, received: Received) -> ApplyStatus {
        if let Err(error) = self.run.write(rundir::CATALOG, &received.bytes) {
            say!("{error}");
        }
        self.apply(received, Contents::Master).await
    }

    async fn apply(&mut self, received: Received, contents: Contents) -> ApplyStatus {
        let (started_at_ms, began) = (env::now(), Instant::now());
        let scratch = self.run.folder("scratch").ok();
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
        };
        let applied = apply::apply(&received.catalog, &mut context).await;
        drop(master);
        let status = match applied {
            Ok(applied) => {
                self.settle_processes(&received.catalog).await;
                let duration = began.elapsed();
                let status = applied.status();
                say!("{} in {} ms", applied.summary(), duration.as_millis());
                let report = Report {
                    catalog: received.digest(),
                    agent_version: env!("CARGO_PKG_VERSION").to_owned(),
                    started_at_ms,
                    duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
                    status,
                    resources: applied.resources,
                    processes: self.process_report(),
                    facts: facts::observe(&crate::root::Root::default()),
                };
                self.keep(report);
                status
            }
            Err(error) => {
                say!("the catalog was not applied: {error}");
                ApplyStatus::Failed
            }
        };
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

    fn keep(&mut self, mut report: Report) {
        let fits = |report: &Report| {
            serde_json::to_vec(report).is_ok_and(|bytes| bytes.len() <= MAX_REPORT_BYTES)
        };
        if !fits(&report) {
            for resource in &mut report.resources {
                if let Outcome::Changed { diff, .. } = &mut resource.outcome {
                    diff.clear();
                }
            }
        }
        let bytes = serde_json::to_vec_pretty(&report).unwrap_or_default();
        if let Err(error) = self.run.write(rundir::REPORT, &bytes) {
            say!("{error}");
        }
        self.unsent = Some(report);
    }

    /// Sends the report that is still here, when the application ended before it could be sent: the
    /// master should show what became of a container that died at once. Waits a moment only.
    pub async fn farewell(&mut self) {
        let processes = self.process_report();
        let Some(report) = &mut self.unsent else {
            return;
        };
        report.processes = processes;
        let sent = tokio::time::timeout(FAREWELL, async {
            // What was interrupted may have left the connection in the middle of an answer.
            if let Err(error) = self.send().await {
                self.link.failed(&error);
                self.send().await?;
            }
            Ok::<(), LinkError>(())
        });
        if !matches!(sent.await, Ok(Ok(()))) {
            say!("the last report did not reach the master; it lies in the run dir");
        }
    }

    /// Sends the report that is still here. It stays until the master has it, also when this is
    /// interrupted.
    async fn send(&mut self) -> Result<(), LinkError> {
        let Some(report) = &self.unsent else {
            return Ok(());
        };
        match self.link.report(report).await {
            // The master took it or does not want it; sending it again would change nothing.
            Err(error) if error.cause() == Cause::Refused => {
                say!("the master does not take the report: {error}");
            }
            sent => sent?,
        }
        self.unsent = None;
        Ok(())
    }
}
