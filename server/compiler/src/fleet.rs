//! The live nodes at one moment.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use dockmaster_proto::{
    id::{ContainerId, Digest},
    label::Tier,
    node::NodeView,
    selector::{Selector, SelectorError},
};
use serde::Serialize;

use crate::{DEFAULT_TIER, labels};

/// The live nodes at one moment. Cheap to clone; what `peers(…)` answers is worked out once.
#[derive(Clone, Default)]
pub struct Fleet(Arc<Inner>);

#[derive(Default)]
struct Inner {
    nodes: Vec<Arc<NodeView>>,
    answers: Mutex<HashMap<PeerQuery, Arc<Peers>>>,
}

/// What `peers(…)` was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerQuery {
    /// The selector, as it prints.
    selector: String,
    network: Option<String>,
    tier: Tier,
}

impl PeerQuery {
    /// Asks for nodes that match a selector by labels of [`DEFAULT_TIER`] or higher; with a
    /// network, for those that have an address in it.
    ///
    /// # Errors
    /// When the selector is none.
    pub fn new(selector: &str, network: Option<String>) -> Result<Self, SelectorError> {
        let selector: Selector = selector.parse()?;
        Ok(Self {
            selector: selector.to_string(),
            network,
            tier: DEFAULT_TIER,
        })
    }
}

impl fmt::Display for PeerQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peers({:?}", self.selector)?;
        if let Some(network) = &self.network {
            write!(f, ", network={network:?}")?;
        }
        f.write_str(")")
    }
}

/// The answer: a list for templates, and its digest.
pub(crate) struct Peers {
    value: minijinja::Value,
    digest: Digest,
}

impl Peers {
    pub(crate) const fn value(&self) -> &minijinja::Value {
        &self.value
    }

    pub(crate) const fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// One node in the answer.
#[derive(Serialize)]
struct Peer<'a> {
    ip: IpAddr,
    id: ContainerId,
    name: &'a str,
    labels: serde_json::Value,
    host: &'a str,
    image: &'a str,
}

impl Fleet {
    /// The fleet of these nodes.
    #[must_use]
    pub fn new(nodes: impl IntoIterator<Item = Arc<NodeView>>) -> Self {
        Self(Arc::new(Inner {
            nodes: nodes.into_iter().collect(),
            answers: Mutex::default(),
        }))
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeView> {
        self.0.nodes.iter().map(Arc::as_ref)
    }

    /// The nodes that a query asks for, sorted by IP and ID: the same set is the same list. A node
    /// without an address is nobody's peer.
    pub(crate) fn peers(&self, query: &PeerQuery) -> Arc<Peers> {
        let known = |answers: &HashMap<_, Arc<Peers>>| answers.get(query).map(Arc::clone);
        let lock = || {
            self.0
                .answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(answer) = known(&lock()) {
            return answer;
        }
        let answer = Arc::new(self.answer(query));
        lock().insert(query.clone(), Arc::clone(&answer));
        answer
    }

    fn answer(&self, query: &PeerQuery) -> Peers {
        // It printed what it parsed; what it prints it parses again.
        let selector = query.selector.parse::<Selector>();
        let mut peers: Vec<Peer<'_>> = self
            .nodes()
            .filter(|node| {
                selector
                    .as_ref()
                    .is_ok_and(|selector| selector.matches(node, query.tier))
            })
            .filter_map(|node| {
                Some(Peer {
                    ip: ip_in(node, query.network.as_deref())?,
                    id: node.id,
                    name: &node.name,
                    labels: labels::values(node),
                    host: node.host.as_str(),
                    image: &node.image,
                })
            })
            .collect();
        peers.sort_by_key(|peer| (peer.ip, peer.id));
        let json = serde_json::to_value(&peers).unwrap_or_default();
        Peers {
            digest: Digest::of(json.to_string().as_bytes()),
            value: minijinja::value::Serde(json).into(),
        }
    }
}

fn ip_in(node: &NodeView, network: Option<&str>) -> Option<IpAddr> {
    let Some(network) = network else {
        return node.primary_ip();
    };
    let inside = node
        .addresses
        .iter()
        .filter(|address| address.network.as_str() == network);
    inside.map(|address| address.ip).min()
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fleet of {} nodes", self.0.nodes.len())
    }
}
