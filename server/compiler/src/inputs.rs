//! What a compile reads of a node and of the fleet. Nodes of one configuration for which all of it
//! is equal share one catalog.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use dockmaster_proto::{id::Digest, node::NodeView};
use serde_json::{Value, json};

use crate::{
    data::Data,
    fleet::{Fleet, PeerQuery},
    labels,
};

/// One thing that a compile can read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Which data files apply to the node.
    Hierarchy,
    /// A fact.
    Field(Field),
    /// One label's value.
    Label(String),
    /// All labels.
    Labels,
    /// One label's tier.
    LabelTier(String),
    /// All labels' tiers.
    LabelTiers,
    /// The answer of `peers(…)`.
    Peers(PeerQuery),
}

/// A fact about a node, by its name in templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `node.id`
    Id,
    /// `node.name`
    Name,
    /// `node.ip`: the lowest IPv4, else the lowest IPv6.
    Ip,
    /// `node.addresses`: a list of `{network, ip}`.
    Addresses,
    /// `node.image`
    Image,
    /// `node.image_digest`
    ImageDigest,
    /// `node.host`
    Host,
    /// `node.started_at_ms`
    StartedAtMs,
    /// `node.limits.memory_bytes`: `none` without a limit.
    MemoryBytes,
    /// `node.limits.cpus`: `none` without a limit.
    Cpus,
}

/// Everything that one compile read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reads(BTreeSet<Input>);

impl Reads {
    /// What was read, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Input> {
        self.0.iter()
    }

    /// The digest of the values that these inputs have for a node.
    pub(crate) fn digest(
        &self,
        data: &Data,
        environment: &str,
        node: &NodeView,
        fleet: &Fleet,
    ) -> Digest {
        let values: Vec<Value> = self
            .0
            .iter()
            .map(|input| match input {
                Input::Hierarchy => json!(data.paths(environment, node)),
                Input::Field(field) => field.value(node),
                Input::Label(key) => json!(node.labels.get(key).map(|label| &label.value)),
                Input::LabelTier(key) => json!(node.labels.get(key).map(|label| label.tier)),
                Input::Labels => labels::values(node),
                Input::LabelTiers => labels::tiers(node),
                Input::Peers(query) => json!(fleet.peers(query).digest()),
            })
            .collect();
        Digest::of(Value::Array(values).to_string().as_bytes())
    }
}

impl Field {
    /// The fields right below `node`, with their names.
    pub(crate) const OF_NODE: [(&'static str, Self); 8] = [
        ("id", Self::Id),
        ("name", Self::Name),
        ("ip", Self::Ip),
        ("addresses", Self::Addresses),
        ("image", Self::Image),
        ("image_digest", Self::ImageDigest),
        ("host", Self::Host),
        ("started_at_ms", Self::StartedAtMs),
    ];
    /// The fields below `node.limits`.
    pub(crate) const OF_LIMITS: [(&'static str, Self); 2] =
        [("memory_bytes", Self::MemoryBytes), ("cpus", Self::Cpus)];

    /// The value for a node; `null` where it has none.
    pub(crate) fn value(self, node: &NodeView) -> Value {
        match self {
            Self::Id => json!(node.id),
            Self::Name => json!(node.name),
            Self::Ip => json!(node.primary_ip()),
            Self::Addresses => {
                let each = node.addresses.iter();
                each.map(|address| json!({"network": address.network, "ip": address.ip}))
                    .collect()
            }
            Self::Image => json!(node.image),
            Self::ImageDigest => json!(node.image_digest),
            Self::Host => json!(node.host),
            Self::StartedAtMs => json!(node.started_at_ms),
            Self::MemoryBytes => json!(node.limits.memory_bytes),
            Self::Cpus => match node.limits.cpu_millis {
                None => Value::Null,
                Some(millis) if millis % 1000 == 0 => json!(millis / 1000),
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "thousandths of CPUs stay far below 2^53"
                )]
                Some(millis) => json!(millis as f64 / 1000.0),
            },
        }
    }
}

/// Hands out facts of one node and notes which.
pub(crate) struct Recorder {
    node: NodeView,
    reads: Mutex<BTreeSet<Input>>,
}

impl Recorder {
    pub(crate) fn new(node: &NodeView) -> Arc<Self> {
        Arc::new(Self {
            node: node.clone(),
            reads: Mutex::default(),
        })
    }

    /// The node, for reading what `input` says and nothing else.
    pub(crate) fn read(&self, input: Input) -> &NodeView {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.insert(input);
        &self.node
    }

    pub(crate) fn reads(&self) -> Reads {
        Reads(
            self.reads
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

impl fmt::Debug for Recorder {
    /// Without the node: what is printed would be read without being noted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}
