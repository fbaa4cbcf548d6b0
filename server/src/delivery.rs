//! Catalogs: compiled when something they read has changed, and handed to whoever waits for them.
//!
//! One task compiles. What it makes of each node lies in a watch channel, and a held request waits
//! at its node's channel: a node whose catalog did not change is not woken.

mod in_force;
pub mod plan;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use dockmaster_compiler::compile::Compiled;
use dockmaster_proto::{
    address::Address,
    api::nodes::Explanation,
    catalog::Revisions,
    error::chain,
    id::{ContainerId, Digest},
    node::NodeView,
};
use tokio::sync::watch;

use self::in_force::InForce;
use crate::{
    blobs::Blobs,
    journal::Journal,
    state::{Documents, State},
    stored::StoredError,
};

/// How long a question waits for catalogs that are being compiled.
const SETTLE: Duration = Duration::from_secs(10);
/// How long until documents that could not be read are tried again: someone may put them back.
const RETRY: Duration = Duration::from_secs(5);

/// What a node is to apply.
#[derive(Debug, Clone)]
pub enum Assignment {
    /// It is not known yet.
    Pending,
    /// This catalog.
    Compiled(Arc<Compiled>),
    /// None: it does not compile. The last good one stays with the agent.
    Failed(Arc<str>),
}

impl Assignment {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pending, Self::Pending) => true,
            (Self::Compiled(a), Self::Compiled(b)) => a.digest == b.digest,
            (Self::Failed(a), Self::Failed(b)) => a == b,
            _ => false,
        }
    }
}

/// What the classification says of a node.
#[derive(Debug, Clone, Default)]
pub struct Explained {
    /// The groups that it matches, strongest first.
    pub groups: Vec<String>,
    /// Its classes.
    pub classes: Vec<String>,
}

/// Compiles and hands out catalogs.
#[derive(Debug)]
pub struct Delivery {
    journal: Journal,
    blobs: Blobs,
    in_force: RwLock<Arc<InForce>>,
    /// Why the documents in force could not be read at the last attempt.
    unreadable: Mutex<Option<String>>,
    assignments: Mutex<HashMap<ContainerId, watch::Sender<Assignment>>>,
    /// The addresses of each node as of the last compilation.
    addresses: Mutex<HashMap<ContainerId, Vec<Address>>>,
    /// The generation of the view as of the last compilation; none before the first.
    compiled: watch::Sender<Option<u64>>,
}

impl Delivery {
    /// A delivery that has compiled nothing yet.
    #[must_use]
    pub fn new(journal: Journal, blobs: Blobs) -> Self {
        Self {
            journal,
            blobs,
            in_force: RwLock::new(Arc::new(InForce::nothing())),
            unreadable: Mutex::default(),
            assignments: Mutex::default(),
            addresses: Mutex::default(),
            compiled: watch::Sender::new(None),
        }
    }

    /// Compiles now and after every change of the view that a catalog may depend on: most entries are
    /// issuances, which none does. Ends when the ledger does.
    pub async fn run(self: Arc<Self>) {
        let mut generations = self.journal.generations();
        loop {
            generations.mark_unchanged();
            let delivery = self.clone();
            if tokio::task::spawn_blocking(move || delivery.refresh())
                .await
                .is_err()
            {
                tracing::error!("a compilation panicked; agents keep the catalogs that they have");
            }
            let changed = match self.trouble() {
                None => generations.changed().await,
                Some(_) => tokio::time::timeout(RETRY, generations.changed())
                    .await
                    .unwrap_or(Ok(())),
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Why no catalog is made of the documents in force: they cannot be read.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.unreadable().clone()
    }

    fn unreadable(&self) -> MutexGuard<'_, Option<String>> {
        self.unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything committed before the call is compiled.
    pub async fn settle(&self) {
        let generation = self.journal.state().generation();
        let mut compiled = self.compiled.subscribe();
        let caught_up = compiled.wait_for(|compiled| *compiled >= Some(generation));
        // A listing with an older catalog is better than none.
        let _ = tokio::time::timeout(SETTLE, caught_up).await;
    }

    /// A node's assignment, now and whenever it changes.
    #[must_use]
    pub fn subscribe(&self, node: &ContainerId) -> watch::Receiver<Assignment> {
        let mut assignments = self
            .assignments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        assignments
            .entry(*node)
            .or_insert_with(|| watch::Sender::new(Assignment::Pending))
            .subscribe()
    }

    /// Has whoever holds a request for this node's catalog look again whether it may.
    pub fn nudge(&self, node: &ContainerId) {
        let assignments = self
            .assignments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = assignments.get(node) {
            sender.send_modify(|_| {});
        }
    }

    /// The same for all nodes.
    pub fn nudge_all(&self) {
        let assignments = self
            .assignments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for sender in assignments.values() {
            sender.send_modify(|_| {});
        }
    }

    /// A node's assignment; none where nobody ever asked and nothing was compiled.
    #[must_use]
    pub fn assignment(&self, node: &ContainerId) -> Option<Assignment> {
        let assignments = self
            .assignments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        assignments.get(node).map(|sender| sender.borrow().clone())
    }

    /// A blob that the node's catalog names.
    #[must_use]
    pub fn blob(&self, node: &ContainerId, digest: &Digest) -> Option<Arc<[u8]>> {
        match self.assignment(node)? {
            Assignment::Compiled(compiled) => compiled
                .blobs
                .iter()
                .find(|(named, _)| named == digest)
                .map(|(_, bytes)| bytes.clone()),
            Assignment::Pending | Assignment::Failed(_) => None,
        }
    }

    /// The documents in force.
    #[must_use]
    pub fn revisions(&self) -> Revisions {
        self.current().revisions
    }

    /// What the classification in force says of a node.
    #[must_use]
    pub fn explain(&self, node: &NodeView) -> Explained {
        match self.current().classification.resolve(node) {
            Ok(resolved) => Explained {
                groups: resolved.groups,
                classes: resolved
                    .classes
                    .into_iter()
                    .map(|granted| granted.class)
                    .collect(),
            },
            Err(_) => Explained::default(),
        }
    }

    /// Why a node is classified as it is.
    #[must_use]
    pub fn why(&self, node: &NodeView) -> Explanation {
        self.current().classification.explain(node)
    }

    fn current(&self) -> Arc<InForce> {
        self.in_force
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// These documents, as far as they are not the current ones read anew.
    fn up_to(&self, documents: &Documents) -> Result<Arc<InForce>, StoredError> {
        let current = self.current();
        if current.is_of(documents) {
            return Ok(current);
        }
        current.follow(documents, &self.blobs).map(Arc::new)
    }

    /// Compiles every live node's catalog as far as something it read has changed, and tells those
    /// whose catalog is another one now.
    fn refresh(&self) {
        let (generation, documents, fleet) = {
            let state = self.journal.state();
            let fleet = views(&state);
            (state.generation(), state.documents().clone(), fleet)
        };
        let current = match self.up_to(&documents) {
            Ok(current) => current,
            Err(error) => {
                // They were parsed before they were committed, so the blobs are damaged.
                let why = chain(&error);
                tracing::error!(error = %why, "the documents in force cannot be read; agents keep the catalogs that they have");
                *self.unreadable() = Some(why);
                return;
            }
        };
        *self.unreadable() = None;
        *self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner) = current.clone();
        let results = current.compile_all(&fleet);
        // What no node has any more: each document that was ever in force would stay in memory.
        current.cache.sweep();
        let mut assignments = self
            .assignments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (node, result) in fleet.iter().zip(results) {
            let assignment = match result {
                Ok(compiled) => Assignment::Compiled(compiled),
                Err(error) => Assignment::Failed(error.into()),
            };
            let sender = assignments
                .entry(node.id)
                .or_insert_with(|| watch::Sender::new(Assignment::Pending));
            // Whoever holds a request has to look at its lease again when its addresses changed.
            let moved = addresses.get(&node.id) != Some(&node.addresses);
            if moved {
                addresses.insert(node.id, node.addresses.clone());
            }
            sender.send_if_modified(|current| {
                let changed = !current.is_same(&assignment);
                if changed {
                    *current = assignment;
                }
                changed || moved
            });
        }
        // A dropped sender ends the requests that ended nodes hold.
        assignments.retain(|id, _| fleet.binary_search_by(|node| node.id.cmp(id)).is_ok());
        drop((assignments, addresses));
        self.compiled.send_replace(Some(generation));
    }
}

/// The live nodes, sorted by ID.
fn views(state: &State) -> Vec<Arc<NodeView>> {
    state.nodes().map(|node| Arc::new(node.view())).collect()
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        event::{DocumentChanged, Event},
        id::Revision,
    };

    use crate::testing::Running;

    #[tokio::test]
    async fn documents_that_are_lost_are_a_trouble_until_they_are_back() {
        let running = Running::new();
        let (blobs, delivery) = (&running.blobs, &running.delivery);
        delivery.refresh();
        assert_eq!(delivery.trouble(), None);

        let text = b"groups: []";
        let sha256 = blobs.put(text).unwrap();
        std::fs::rename(running.path("blobs"), running.path("lost")).unwrap();
        let changed = DocumentChanged {
            revision: Revision(1),
            sha256,
            message: String::new(),
        };
        running
            .commit(vec![Event::ClassificationChanged(changed)])
            .await;
        delivery.refresh();
        let why = delivery.trouble().unwrap();
        assert!(why.contains(&sha256.to_string()), "{why}");

        std::fs::rename(running.path("lost"), running.path("blobs")).unwrap();
        delivery.refresh();
        assert_eq!(delivery.trouble(), None);
        assert_eq!(delivery.revisions().classification, Revision(1));
        running.shutdown().await;
    }
}
