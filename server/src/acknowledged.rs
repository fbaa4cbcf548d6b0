//! Which trust bundle each node has confirmed. In memory alone: agents say it with every question for
//! their catalog, so a master that starts knows it again within a minute.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use dockmaster_proto::id::{ContainerId, TrustPin};

use crate::state::State;

/// The bundles that nodes have confirmed.
#[derive(Debug, Default)]
pub struct Acknowledged(Mutex<HashMap<ContainerId, TrustPin>>);

impl Acknowledged {
    /// A node says that it trusts this bundle.
    pub fn note(&self, node: ContainerId, bundle: TrustPin) {
        self.all().insert(node, bundle);
    }

    /// Whether a node trusts this bundle.
    #[must_use]
    pub fn has(&self, node: &ContainerId, bundle: TrustPin) -> bool {
        self.all().get(node) == Some(&bundle)
    }

    /// Forgets nodes that ended.
    pub fn forget_all_but(&self, state: &State) {
        self.all().retain(|node, _| state.node(node).is_some());
    }

    /// How many nodes have confirmed each bundle.
    #[must_use]
    pub fn counts(&self) -> Vec<(TrustPin, u64)> {
        let mut counts: BTreeMap<String, (TrustPin, u64)> = BTreeMap::new();
        for bundle in self.all().values() {
            counts.entry(bundle.to_string()).or_insert((*bundle, 0)).1 += 1;
        }
        counts.into_values().collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ContainerId, TrustPin>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
