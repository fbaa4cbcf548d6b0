//! Facts about containers: what a host attests and what an agent observes.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    id::{ContainerId, NetworkName},
    time::UnixMs,
};

/// Resource limits of a container; `None` where there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Memory limit in bytes.
    pub memory_bytes: Option<u64>,
    /// CPU limit in thousandths of a CPU: `--cpus 0.5` is 500.
    pub cpu_millis: Option<u64>,
}

/// How a container is attached to networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// It has a network namespace of its own.
    Own,
    /// It uses the host's (`--network host`).
    Host,
    /// It uses another container's (`--network container:…`).
    Container(String),
}

/// One attachment to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network.
    pub network: NetworkName,
    /// The addresses that the container holds in it; may be empty while it is being connected.
    pub ips: Vec<IpAddr>,
}

/// What a host says of one running container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFacts {
    /// The container ID.
    pub id: ContainerId,
    /// Its name, without the leading slash.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// The image's content digest; empty if unknown.
    #[serde(default)]
    pub image_digest: String,
    /// The engine's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When its process was started.
    pub started_at_ms: UnixMs,
    /// Its limits.
    #[serde(default)]
    pub limits: Limits,
    /// How it is attached.
    pub network_mode: NetworkMode,
    /// The networks that it is attached to, sorted by name.
    pub attachments: Vec<Attachment>,
}

impl ContainerFacts {
    /// The addresses that it holds alone, sorted. One that shares a network namespace holds none.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        if self.network_mode != NetworkMode::Own {
            return Vec::new();
        }
        let mut addresses: Vec<Address> = self
            .attachments
            .iter()
            .flat_map(|attachment| {
                let ips = attachment.ips.iter();
                ips.map(|ip| Address::new(attachment.network.clone(), *ip))
            })
            .collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }
}

/// One fact that an agent observed from inside, with where it read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed<T> {
    /// The value; `None` when there is no limit or it cannot be told.
    pub value: Option<T>,
    /// The file or call that it comes from.
    pub source: String,
}

/// What an agent observes from inside its container. Never evidence: anyone inside could say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedFacts {
    /// Memory limit in bytes: the tightest on the way to the root of the cgroup tree.
    pub memory_bytes: Observed<u64>,
    /// CPU limit in thousandths of a CPU: the tightest on the way.
    pub cpu_millis: Observed<u64>,
    /// The container's own IPs, sorted, without loopback.
    pub ips: Observed<Vec<IpAddr>>,
    /// The kernel's hostname.
    pub hostname: Observed<String>,
    /// The kernel's release.
    pub kernel: Observed<String>,
    /// `1` or `2` for the cgroup version in force.
    pub cgroup_version: Observed<u8>,
    /// `ID` and `VERSION_ID` of `/etc/os-release`, such as `debian 12`; none in an image without one.
    pub os: Observed<String>,
}
