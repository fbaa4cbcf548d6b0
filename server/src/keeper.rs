//! The lease keeper: the one task that turns what a host reports into leases.

use std::{collections::HashSet, sync::Arc, time::Duration};

use dockmaster_host::{Inventory, Observation};
use dockmaster_ledger::CommitError;
use dockmaster_proto::{
    error::chain,
    event::{CertRevoked, Event, HostEvicted, HostLost, HostRefused, HostWatched, LeaseCause},
    id::{ContainerId, Name},
    revocation::RevocationReason,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    env,
    index::Index,
    journal::{Cause, Journal},
    leases::{self, LastHosts},
};

/// How long until a commit that a full disk refused is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How many events go into one commit: well below what the ledger takes at once.
const CHUNK: usize = 128;

/// How many containers' refusals are remembered, so that each is recorded once.
const MAX_REFUSED: usize = 1024;

/// An operator's word that a host vouches for nobody any more.
#[derive(Debug)]
pub struct Evict {
    /// Who says so.
    pub cause: Cause,
    /// Told when it is durable: how many containers the host vouched for.
    pub done: oneshot::Sender<u64>,
}

/// What a keeper is told.
#[derive(Debug)]
pub struct Inbox {
    /// What the host reports.
    pub observations: mpsc::Receiver<Observation>,
    /// Containers that it should be asked about.
    pub looks: mpsc::Receiver<ContainerId>,
    /// The last word on it.
    pub evictions: mpsc::Receiver<Evict>,
}

/// Keeps the leases of one host.
#[derive(Debug)]
pub struct LeaseKeeper {
    journal: Journal,
    index: Index,
    inventory: Arc<Inventory>,
    host: Name,
    watched: bool,
    /// How long the host may be lost before its leases end; for good, where there is no limit.
    patience: Option<Duration>,
    /// When its leases end if it does not report until then.
    deadline: Option<Instant>,
    /// Containers whose refusal is in the ledger.
    refused: HashSet<ContainerId>,
}

impl LeaseKeeper {
    /// A keeper of the leases of `host`. It has not reported yet, so its time runs.
    #[must_use]
    pub fn new(
        journal: Journal,
        index: Index,
        inventory: Arc<Inventory>,
        host: Name,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            journal,
            index,
            inventory,
            host,
            watched: false,
            patience,
            deadline: patience.map(|patience| Instant::now() + patience),
            refused: HashSet::new(),
        }
    }

    /// Runs until the host is evicted or its observations end. What arrives is dealt with strictly in order: a look at a
    /// container happens here and not where it was asked for, or its result could be older than an
    /// end that was reported meanwhile and open a lease for the dead.
    pub async fn run(mut self, inbox: Inbox) {
        let Inbox {
            mut observations,
            mut looks,
            mut evictions,
        } = inbox;
        loop {
            let deadline = self.deadline;
            let lost_for_good = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(evict) = evictions.recv() => return self.evict(evict).await,
                observation = observations.recv() => match observation {
                    Some(observation) => self.observe(observation).await,
                    None => return,
                },
                Some(container) = looks.recv() => self.look(container).await,
                () = lost_for_good => self.give_up().await,
            }
        }
    }

    /// The host has been lost for too long: whoever holds its addresses by now is not known.
    async fn give_up(&mut self) {
        self.deadline = None;
        let events = leases::end_of_host(&self.host, LeaseCause::HostLost, &self.journal.state());
        if !events.is_empty() {
            tracing::warn!(host = %self.host, "the host has been lost for too long; its leases are closed");
            let cause = self.cause();
            self.commit(&cause, events).await;
        }
    }

    /// The last that is ever decided of the host.
    async fn evict(self, Evict { cause, done }: Evict) {
        let (containers, events) = {
            let state = self.journal.state();
            let containers = state.nodes().filter(|node| node.host == self.host).count();
            let mut events = leases::end_of_host(&self.host, LeaseCause::HostEvicted, &state);
            let keys = state.host(&self.host).map(|host| &host.certificates);
            events.extend(keys.into_iter().flatten().map(|key| {
                Event::CertRevoked(CertRevoked {
                    serial: key.serial,
                    container: None,
                    reason: "host evicted".to_owned(),
                    code: Some(RevocationReason::CessationOfOperation),
                })
            }));
            events.push(Event::HostEvicted(HostEvicted {
                host: self.host.clone(),
            }));
            (containers as u64, events)
        };
        tracing::warn!(host = %self.host, containers, "the host is evicted");
        self.commit(&cause, events).await;
        // Whoever asked may have gone away meanwhile.
        let _ = done.send(containers);
    }

    fn cause(&self) -> Cause {
        Cause {
            actor: format!("/host/{}", self.host),
            request_id: env::request_id(),
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

    /// Where the containers ran that the view does not know. An index that cannot say keeps nobody from
    /// starting.
    fn last_hosts(&self, observation: &Observation) -> LastHosts {
        let unknown: Vec<ContainerId> = {
            let state = self.journal.state();
            leases::unknown(observation, &state).copied().collect()
        };
        let last_host = |id: ContainerId| match self.index.last_run(&id) {
            Ok(node) => Some((id, node?.host)),
            Err(error) => {
                tracing::warn!(container = %id.short(), error = %chain(&error), "where a container ran before is not known");
                None
            }
        };
        unknown.into_iter().filter_map(last_host).collect()
    }

    async fn observe(&mut self, observation: Observation) {
        let observation = leases::bounded(observation);
        let _turn = self.journal.share_leases().await;
        let last_hosts = self.last_hosts(&observation);
        let mut events =
            leases::decide(&observation, &self.host, &self.journal.state(), &last_hosts);
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
                self.deadline = None;
            }
            Observation::Lost(reason) => {
                tracing::warn!(host = %self.host, %reason, "the host cannot be watched; leases stay as they are until it can");
                if std::mem::take(&mut self.watched) {
                    self.deadline = self.patience.map(|patience| Instant::now() + patience);
                    events.push(Event::HostLost(HostLost {
                        host: self.host.clone(),
                        reason: reason.clone(),
                    }));
                }
            }
            Observation::Refused {
                id,
                name,
                addresses,
                reason,
            } => events.push(Event::HostRefused(HostRefused {
                host: self.host.clone(),
                container: *id,
                reason: reason.clone(),
                name: name.clone(),
                addresses: addresses.clone(),
            })),
            Observation::Up(_) | Observation::Down { .. } => {}
        }
        // A host says the same again at every look and after every reconnect.
        events.retain(|event| match event {
            Event::HostRefused(refused) => self.is_new(refused),
            _ => true,
        });
        let cause = self.cause();
        self.commit(&cause, events).await;
    }

    /// Whether a container's refusal is to be recorded.
    fn is_new(
        &mut self,
        HostRefused {
            container, reason, ..
        }: &HostRefused,
    ) -> bool {
        let is_new = self.refused.len() < MAX_REFUSED && self.refused.insert(*container);
        if is_new {
            tracing::warn!(host = %self.host, container = %container.short(), %reason, "the host vouches for what is not its own; refused");
        }
        is_new
    }

    /// Commits lease changes. Whoever loses a lease is cut off before: on a full disk the commit may
    /// have to wait, and the dead must not speak meanwhile.
    async fn commit(&self, cause: &Cause, events: Vec<Event>) {
        let losers: Vec<ContainerId> = events.iter().filter_map(loser).collect();
        self.journal
            .change_suspension(|state| state.suspend(losers.iter().copied()));
        for chunk in events.chunks(CHUNK) {
            self.commit_chunk(cause, chunk).await;
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
