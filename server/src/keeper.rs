//! The lease keeper: the one task that turns what hosts report into leases.

use std::sync::Arc;

use dockmaster_host::{Inventory, Observation};
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
            Ok(Some(facts)) => self.observe(Observation::Up(facts)).await,
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
        let mut events = leases::decide(&observation, &self.host, &self.journal.state());
        match &observation {
            Observation::Snapshot(containers) => {
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

    async fn commit(&self, events: Vec<Event>) {
        let cause = Cause {
            actor: format!("/host/{}", self.host),
            request_id: env::request_id(),
        };
        let mut events = events.into_iter();
        loop {
            let chunk: Vec<Event> = events.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return;
            }
            // A lease change that cannot be committed (a full disk) must not be lost: try until it can.
            while let Err(error) = self.journal.commit(&cause, chunk.clone(), vec![]).await {
                tracing::error!(error = %chain(&error), "a lease change waits for the ledger");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}
