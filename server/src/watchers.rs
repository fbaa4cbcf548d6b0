//! The hosts that this master hears of: its own machine, and those that were enrolled. Each has an
//! inventory, a task that watches it, and a keeper of its leases.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use dockmaster_host::Inventory;
use dockmaster_proto::id::{ContainerId, Name};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    index::Index,
    journal::{Cause, Journal},
    keeper::{Evict, Inbox, LeaseKeeper},
};

/// Observations, and looks, of a host that may wait to be dealt with.
const OBSERVATIONS: usize = 1024;

/// One host that the master hears of.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// Where the truth about its containers comes from.
    pub inventory: Arc<Inventory>,
    /// Containers that its keeper should look at again.
    pub look: mpsc::Sender<ContainerId>,
    /// Becomes true when the host is evicted: whatever it carries ends.
    pub gone: watch::Receiver<bool>,
    evictions: mpsc::Sender<Evict>,
    go: watch::Sender<bool>,
}

/// All of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watchers {
    all: Arc<RwLock<HashMap<Name, Watcher>>>,
    /// Says where containers ran before.
    index: Index,
}

impl Watchers {
    /// None yet.
    #[must_use]
    pub fn new(index: Index) -> Self {
        Self {
            all: Arc::default(),
            index,
        }
    }

    /// Begins to watch a host. When it is lost for longer than `patience`, its leases end.
    pub fn start(
        &self,
        journal: &Journal,
        host: &Name,
        inventory: Inventory,
        patience: Option<Duration>,
    ) {
        let inventory = Arc::new(inventory);
        let (observe, observations) = mpsc::channel(OBSERVATIONS);
        let (look, looks) = mpsc::channel(OBSERVATIONS);
        let (evictions, to_evict) = mpsc::channel(1);
        let (go, gone) = watch::channel(false);
        let keeper = LeaseKeeper::new(
            journal.clone(),
            self.index.clone(),
            inventory.clone(),
            host.clone(),
            patience,
        );
        tokio::spawn(keeper.run(Inbox {
            observations,
            looks,
            evictions: to_evict,
        }));
        let watched = inventory.clone();
        tokio::spawn(async move { watched.watch(observe).await });
        let watcher = Watcher {
            inventory,
            look,
            gone,
            evictions,
            go,
        };
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(host.clone(), watcher);
    }

    /// A host.
    #[must_use]
    pub fn get(&self, host: &Name) -> Option<Watcher> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(host).cloned()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.is_empty()
    }

    /// Ends a host: its connections at once, then all that it vouched for. Gives how many containers
    /// that were; none where there is no such host, or its end is under way.
    pub async fn evict(&self, host: &Name, cause: &Cause) -> Option<u64> {
        let watcher = self.get(host)?;
        watcher.go.send_replace(true);
        let (done, evicted) = oneshot::channel();
        let evict = Evict {
            cause: cause.clone(),
            done,
        };
        watcher.evictions.send(evict).await.ok()?;
        let containers = evicted.await.ok()?;
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(host);
        Some(containers)
    }
}
