//! The life of an agent: certificate, catalog, apply, watch, until the container dies.

mod applying;
mod processes;
mod reporting;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use dockmaster_proto::{
    catalog::{Catalog, ResourceRef},
    report::{ApplyStatus, Report},
};

use self::applying::{Contents, Underway};

use crate::{
    apply::Processes,
    backoff::{Backoff, Complaint},
    env,
    link::{Cause, Link, LinkError, Received},
    rundir::{self, RunDir},
    say,
    settings::Settings,
    supervise::reaper::Reaper,
};

/// How long the master holds the question for a new catalog.
const WATCH: Duration = Duration::from_secs(60);

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

/// An agent at work.
pub struct Life<'a> {
    settings: &'a Settings,
    run: &'a RunDir,
    reaper: &'a Reaper,
    processes: Processes<'a>,
    link: Link<'a>,
    /// What was notified of a change and not refreshed since, in this life or the one before.
    owed: BTreeSet<ResourceRef>,
    /// The catalog that was applied last, in this life or the one before.
    previous: Option<Catalog>,
    current: Option<Received>,
    /// The apply that is not over; it stays here when it is interrupted.
    underway: Option<Underway>,
    unsent: Option<Report>,
    next_apply: Option<Instant>,
    retry: Backoff,
    /// That an operator's word is waited for.
    waiting: Complaint,
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
            owed: BTreeSet::new(),
            previous: None,
            current: None,
            underway: None,
            unsent: None,
            next_apply: None,
            retry: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            waiting: Complaint::default(),
        }
    }

    /// Enrolls, applies the catalog once, and reports.
    ///
    /// # Errors
    /// [`LinkError`] when the master cannot be used.
    pub async fn once(&mut self) -> Result<ApplyStatus, LinkError> {
        self.remember();
        let mut is_first = true;
        while let Err(error) = self.link.ready().await {
            // A certificate of an earlier start may not be honoured any more; there may be a new token.
            if std::mem::take(&mut is_first) && error.wants_certificate() {
                self.link.failed(&error);
                continue;
            }
            // It is over when an operator has decided, and whoever started the container may end it.
            let pause = error.pause().filter(|_| error.cause() == Cause::Held);
            let Some(pause) = pause else {
                return Err(error);
            };
            if self.waiting.is_news(&error.to_string()) {
                say!("{error}");
            }
            tokio::time::sleep(pause).await;
        }
        let received = self.link.catalog(None, Duration::ZERO).await?;
        let received = received
            .ok_or_else(|| LinkError::Catalog("the master says that it is unchanged".to_owned()))?;
        let status = self.take(received).await;
        self.send().await?;
        self.link.refresh_lists().await?;
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
                    // To wait for an operator is not to be without a master.
                    let fatal = match error.cause() {
                        Cause::Settings => true,
                        Cause::Held => false,
                        _ => insist == Insist::OnMaster,
                    };
                    if beginning && fatal {
                        return Err(error);
                    }
                    let complaint = if error.cause() == Cause::Held {
                        &mut self.waiting
                    } else {
                        &mut complaint
                    };
                    if complaint.is_news(&error.to_string()) {
                        say!("{error}");
                        if beginning {
                            self.begin_alone(insist).await;
                        }
                    }
                    // What failed may work now, and what drifted is put right, without the master too.
                    self.again(Contents::Inline, insist).await;
                    let wait = error.pause().unwrap_or_else(|| backoff.wait());
                    let wait = env::jitter(wait, env::chance(self.link.random()));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        // What could not be reached from the old addresses may be from the new ones.
                        () = self.link.addresses_changed() => {}
                    }
                }
            }
        }
    }

    /// One round with the master: a current certificate, a new catalog or none, a report.
    async fn turn(&mut self, insist: Insist) -> Result<(), LinkError> {
        self.link.ready().await?;
        self.pass_alarm_on();
        self.send().await?;
        let due = self.next_apply.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        });
        let wait = WATCH
            .min(due)
            .min(self.link.renew_in())
            .min(self.link.lists_in())
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
        } else {
            self.again(Contents::Master, insist).await;
        }
        self.send().await?;
        // Last, since no application waits for it.
        self.link.follow_bundle().await?;
        self.link.refresh_lists().await
    }

    /// Applies the catalog again when it is time to.
    async fn again(&mut self, contents: Contents, insist: Insist) {
        if self.next_apply.is_some_and(|at| at <= Instant::now())
            && let Some(current) = self.current.take()
        {
            self.apply(current, contents).await;
            self.start_application(insist).await;
        }
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
        let owed = self.run.read(rundir::OWED).ok().flatten();
        self.owed = owed
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
    }
}
