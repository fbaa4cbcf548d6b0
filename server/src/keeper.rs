//! The lease keeper: the one task that turns what hosts report into leases.

use std::{sync::Arc, time::Duration};

use dockmaster_host::{Inventory, Observation};
use dockmaster_ledger::CommitError;
use dockmaster_proto::{
    error::chain,
    event::{Event, HostLost, HostWatched, LeaseCause},
    id::{ContainerId, Name},
};
use tokio::sync::mpsc;

use crate::{
    env,
    journal::{Cause, Journal},
    leases,
};

/// How long until a commit that a full disk refused is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How many events go into one commit: well below what the ledger takes at once.
const CHUNK: usize = 128;

/// Keeps the leases of one host.
#[derive(Debug)]
pub struct LeaseKeeper {
    journal: Journal,
    inventory: Arc<Inventory>,
    host: Name,
    watched: bool,
}

impl LeaseKeeper {
    /// A keeper of the leases of `host`.
    #[must_use]
    pub const fn new(journal: Journal, inventory: Arc<Inventory>, host: Name) -> Self {
        Self {
            journal,
            inventory,
            host,
            watched: false,
        }
    }

    /// Runs until both channels close. What arrives is dealt with strictly in order: a look at a
    /// container happens here and not where it was asked for, or its result could be older than an
    /// end that was reported meanwhile and open a lease for the dead.
    pub async fn run(
        mut self,
        mut observations: mpsc::Receiver<Observation>,
        mut looks: mpsc::Receiver<ContainerId>,
    ) {
        loop {
            tokio::select! {
                biased;
                Some(observation) = observations.recv() => self.observe(observation).await,
                Some(container) = looks.recv() => self.look(container).await,
                else => return,
            }
        }
    }

    async fn look(&mut self, container: ContainerId) {
        match self.inventory.inspect(&container).await {
            Ok(Some(inspected)) => self.observe(Observation::Up(inspected.facts)).await,
            Ok(None) => {
                self.observe(Observation::Down {
                    id: container,
                    cause: LeaseCause::Died,
                })
                .await;
            }
            Err(error) => {
                tracing::warn!(container = %container.short(), error = %chain(&error), "the host could not be asked about a container");
            }
        }
    }

    async fn observe(&mut self, observation: Observation) {
        let observation = leases::bounded(observation);
        let _turn = self.journal.share_leases().await;
        let mut events = leases::decide(&observation, &self.host, &self.journal.state());
        match &observation {
            Observation::Snapshot { containers, .. } => {
                tracing::info!(host = %self.host, containers = containers.len(), "watching the host");
                let containers = containers.len() as u64;
                // Last, so that the watch begins when all that was found is in the log.
                events.push(Event::HostWatched(HostWatched {
                    host: self.host.clone(),
                    containers,
                }));
                self.watched = true;
            }
            Observation::Lost(reason) => {
                tracing::warn!(host = %self.host, %reason, "the host cannot be watched; leases stay as they are until it can");
                if std::mem::take(&mut self.watched) {
                    events.push(Event::HostLost(HostLost {
                        host: self.host.clone(),
                        reason: reason.clone(),
                    }));
                }
            }
            Observation::Up(_) | Observation::Down { .. } => {}
        }
        self.commit(events).await;
    }

    /// Commits lease changes. Whoever loses a lease is cut off before: on a full disk the commit may
    /// have to wait, and the dead must not speak meanwhile.
    async fn commit(&self, events: Vec<Event>) {
        let losers: Vec<ContainerId> = events.iter().filter_map(loser).collect();
        self.journal
            .change_suspension(|state| state.suspend(losers.iter().copied()));
        let cause = Cause {
            actor: format!("/host/{}", self.host),
            request_id: env::request_id(),
        };
        for chunk in events.chunks(CHUNK) {
            self.commit_chunk(&cause, chunk).await;
        }
        self.journal
            .change_suspension(|state| state.resume(&losers));
    }

    async fn commit_chunk(&self, cause: &Cause, chunk: &[Event]) {
        loop {
            let Err(error) = self.journal.commit(cause, chunk.to_vec(), vec![]).await else {
                return;
            };
            tracing::error!(error = %chain(&error), "a lease change is not in the ledger");
            match error {
                // It can be when the disk has room again, so it must not be lost.
                CommitError::NoSpace(_) | CommitError::File(_) | CommitError::Stalled { .. } => {
                    tokio::time::sleep(RETRY).await;
                }
                // No waiting mends these. Going on without the entry is better than to stand still
                // with every later change of the host behind it.
                CommitError::Empty
                | CommitError::TooManyEntries { .. }
                | CommitError::TooManyBlobs { .. }
                | CommitError::EntryTooLong { .. }
                | CommitError::Closed => return,
            }
        }
    }
}

/// The container that an event takes a lease from.
const fn loser(event: &Event) -> Option<ContainerId> {
    match event {
        Event::LeaseClosed(event) => Some(event.container),
        Event::NodeGone(event) => Some(event.container),
        _ => None,
    }
}
