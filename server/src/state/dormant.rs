//! What operators said of containers that ended.

use std::collections::{BTreeMap, HashMap};

use dockmaster_proto::{
    id::{ContainerId, Name},
    token::TOKEN_HOST,
};
use serde::{Deserialize, Serialize};

use super::{NodeRecord, State};

/// Operator labels: key to value.
type Labels = BTreeMap<String, String>;

/// A container that ended and that operators labelled. The host that it ran on may start it again
/// under the same ID; an ID alone is no evidence, for every ID is in the log for all to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dormant {
    pub(crate) container: ContainerId,
    /// The host that it ran on.
    pub(crate) host: Name,
    /// What operators said of it; never empty.
    pub(crate) labels: Labels,
}

impl Dormant {
    /// What stays of a node that ended; nothing where no operator labelled it.
    pub(crate) fn of(ended: &NodeRecord) -> Option<Self> {
        (!ended.operator_labels.is_empty()).then(|| Self {
            container: *ended.id(),
            host: ended.host.clone(),
            labels: ended.operator_labels.clone(),
        })
    }
}

/// All of them. One ID may have labels under several hosts, when one was evicted and another came to
/// have the ID: none of them loses or gains by the other's run.
#[derive(Debug, Default)]
pub(super) struct DormantLabels(HashMap<ContainerId, BTreeMap<Name, Labels>>);

impl DormantLabels {
    pub(super) fn keep(&mut self, dormant: Dormant) {
        let of_id = self.0.entry(dormant.container).or_default();
        of_id.insert(dormant.host, dormant.labels);
    }

    /// Its container runs again on this host: the labels are the node's.
    pub(super) fn wake(&mut self, container: &ContainerId, host: &Name) -> Labels {
        let Some(of_id) = self.0.get_mut(container) else {
            return Labels::new();
        };
        let labels = of_id.remove(host).unwrap_or_default();
        if of_id.is_empty() {
            self.0.remove(container);
        }
        labels
    }
}

impl State {
    /// The operator labels that a container which ended gets back when this host starts it again.
    #[must_use]
    pub fn dormant_labels(
        &self,
        container: &ContainerId,
        host: &Name,
    ) -> Option<&BTreeMap<String, String>> {
        self.dormant.0.get(container)?.get(host)
    }

    /// The other host that a container's ID belongs to by its labels, though its container ended: operators
    /// labelled it there, and the host may start it again. None where this host has the same claim, and none where
    /// the other host is gone.
    #[must_use]
    pub fn dormant_elsewhere(&self, container: &ContainerId, host: &Name) -> Option<&Name> {
        let of_id = self.dormant.0.get(container)?;
        if of_id.contains_key(host) {
            return None;
        }
        of_id.keys().find(|other| self.may_come_back(other))
    }

    /// Whether a host may start its containers again: it is there, and not evicted.
    #[must_use]
    pub fn may_come_back(&self, host: &Name) -> bool {
        // A machine that a token let in may come back, by its key or with another token.
        host.as_str() == TOKEN_HOST || self.is_here(host) || self.host(host).is_some()
    }
}
