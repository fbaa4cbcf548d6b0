//! What hosts report: containers and the addresses that they hold; and what operators call them.

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    facts::ContainerFacts,
    id::{ContainerId, Name},
    label::LabelChange,
};

/// A host is being watched from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostWatched {
    /// The host.
    pub host: Name,
    /// How many containers ran when the watch began.
    pub containers: u64,
}

/// A host cannot be watched for the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLost {
    /// The host.
    pub host: Name,
    /// Why, in words.
    pub reason: String,
}

/// How a lease came to be or to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseCause {
    /// The host reported the start of the container or its connection to the network.
    Started,
    /// Found running when the watcher (re)connected: the true beginning may be earlier.
    Found,
    /// The host reported the container's end.
    Died,
    /// The host reported that the container left the network.
    Disconnected,
    /// Found gone when the watcher (re)connected: the true end may be earlier.
    Missing,
    /// Another container took the address.
    Superseded,
    /// A machine enrolled with a join token.
    Enrolled,
    /// A machine whose certificates had expired came back by its key, without a token.
    Returned,
    /// No certificate of a machine counts any more, so that nobody speaks for it.
    Expired,
    /// An operator put the machine out.
    Evicted,
    /// Its host could not be watched for longer than `host_lost_after`: the true end is not known.
    HostLost,
    /// An operator evicted the host that vouched for it.
    HostEvicted,
}

/// A container holds an address from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseOpened {
    /// The address.
    pub address: Address,
    /// Grows by one each time the address changes hands.
    pub epoch: u64,
    /// The holder.
    pub container: ContainerId,
    /// The holder's name.
    pub name: String,
    /// The image that it runs.
    pub image: String,
    /// The host that vouches for it.
    pub host: Name,
    /// Why.
    pub cause: LeaseCause,
}

/// A container holds an address no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseClosed {
    /// The address.
    pub address: Address,
    /// The epoch that ends.
    pub epoch: u64,
    /// Who held it.
    pub container: ContainerId,
    /// Why.
    pub cause: LeaseCause,
}

/// What a host attests of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeObserved {
    /// The host.
    pub host: Name,
    /// All of it.
    pub facts: ContainerFacts,
}

/// A container's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGone {
    /// The container.
    pub container: ContainerId,
    /// Why it is known.
    pub cause: LeaseCause,
}

/// An operator's labels of a node changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelsChanged {
    /// The node.
    pub container: ContainerId,
    /// What changed.
    pub change: LabelChange,
}
