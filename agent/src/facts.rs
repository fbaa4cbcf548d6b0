//! Facts: what the container really has, each with the file that says so.
//!
//! `/proc/meminfo` and the number of CPUs in `/proc` are the host's. The limits of a container
//! stand in its control group and in the groups above it; the tightest counts.

mod cgroup;
mod limit;
mod network;
mod system;

pub use network::default_gateway;

use dockmaster_proto::facts::ObservedFacts;

use crate::root::Root;

/// Reads all facts. What cannot be told is `None` with the reason as its source.
#[must_use]
pub fn observe(root: &Root) -> ObservedFacts {
    let memory = cgroup::find(root, cgroup::Controller::Memory);
    let cpu = cgroup::find(root, cgroup::Controller::Cpu);
    ObservedFacts {
        memory_bytes: limit::memory_bytes(root, &memory),
        cpu_millis: limit::cpu_millis(root, &cpu),
        ips: network::own_ips(root),
        hostname: system::hostname(root),
        kernel: system::kernel(root),
        cgroup_version: cgroup::version(&memory),
        os: system::os(root),
    }
}

#[cfg(test)]
mod tests;
