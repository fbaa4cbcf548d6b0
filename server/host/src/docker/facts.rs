//! From the engine's account of a container to facts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerSummary, EndpointSettings, HostConfig,
    NetworkSettings,
};
use dockmaster_proto::{
    facts::{Attachment, ContainerFacts, Limits, NetworkMode},
    id::IdError,
    label::{MAX_KEY, MAX_VALUE},
    time::{TimeError, UnixMs},
};

use super::networks::{Network, Networks};

/// Why an engine's account of a container cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// No usable ID.
    #[error("the engine describes a container without a usable ID")]
    Id(#[source] IdError),
    /// A running container must have been started at some time.
    #[error("the engine gives container {container} no usable start time")]
    StartedAt {
        /// The container's ID.
        container: String,
        /// What is wrong with it.
        source: TimeError,
    },
    /// The networks must be listed anew.
    #[error(
        "container {container} is attached to network {network}, which the engine did not list"
    )]
    UnknownNetwork {
        /// The container's ID.
        container: String,
        /// The network's ID, or its name where the engine tells no ID.
        network: String,
    },
}

/// What one look at a container shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// It runs.
    Running {
        /// All of it.
        facts: Box<ContainerFacts>,
        /// Its first process, as the engine's machine counts; none where the engine does not say.
        main_pid: Option<u32>,
        /// IDs of the networks that it is attached to without an address: not there yet, or
        /// blanked by a redundant connect. Worth another look before it is believed.
        blank: Vec<String>,
    },
    /// It does not run: not started, between restarts, or ended.
    Stopped,
}

/// Reads the engine's answer to an inspection.
///
/// # Errors
/// When the answer lacks what every running container has.
pub(crate) fn read(
    answer: ContainerInspectResponse,
    networks: &Networks,
) -> Result<Look, FactsError> {
    let id = answer.id.unwrap_or_default();
    let state = answer.state.unwrap_or_default();
    if !runs(&state) {
        return Ok(Look::Stopped);
    }
    let started_at_ms: UnixMs = state
        .started_at
        .unwrap_or_default()
        .parse()
        .map_err(|source| FactsError::StartedAt {
            container: short(&id),
            source,
        })?;
    let config = answer.config.unwrap_or_default();
    let host_config = answer.host_config.unwrap_or_default();
    let network_mode = mode(host_config.network_mode.as_deref().unwrap_or_default());
    let (attachments, blank) = match network_mode {
        NetworkMode::Own => attachments(answer.network_settings, networks, &id)?,
        // Podman repeats the addresses of the container whose network is shared: they are that one's.
        NetworkMode::Host | NetworkMode::Container(_) => Default::default(),
    };
    let facts = Box::new(ContainerFacts {
        id: id.parse().map_err(FactsError::Id)?,
        name: answer
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        image: config.image.unwrap_or_default(),
        image_digest: answer.image.unwrap_or_default(),
        labels: labels(config.labels.unwrap_or_default()),
        started_at_ms,
        limits: limits(&host_config),
        network_mode,
        attachments,
    });
    let main_pid = state.pid.and_then(|pid| u32::try_from(pid).ok());
    Ok(Look::Running {
        facts,
        main_pid: main_pid.filter(|pid| *pid > 0),
        blank,
    })
}

fn runs(state: &ContainerState) -> bool {
    state.running == Some(true) && state.restarting != Some(true) && state.dead != Some(true)
}

/// Enough of an ID for a message.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

fn attachments(
    settings: Option<NetworkSettings>,
    networks: &Networks,
    container: &str,
) -> Result<(Vec<Attachment>, Vec<String>), FactsError> {
    let mut attached = BTreeMap::new();
    let mut blank = Vec::new();
    let endpoints = settings.and_then(|s| s.networks).unwrap_or_default();
    for (name, endpoint) in endpoints {
        let id = endpoint.network_id.as_deref().unwrap_or_default();
        let network = match networks.get(id) {
            Some(Network::Unaddressed) => continue,
            Some(Network::Addressed(network)) => network.clone(),
            // An endpoint that is being made has no network ID yet.
            None if id.is_empty() => {
                blank.push(name);
                continue;
            }
            None => {
                return Err(FactsError::UnknownNetwork {
                    container: short(container),
                    network: id.to_owned(),
                });
            }
        };
        let ips = addresses(&endpoint);
        if ips.is_empty() {
            blank.push(id.to_owned());
        }
        attached.insert(network.clone(), Attachment { network, ips });
    }
    blank.sort_unstable();
    Ok((attached.into_values().collect(), blank))
}

/// The addresses of one endpoint: at most one of each family.
pub(crate) fn addresses(endpoint: &EndpointSettings) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = [&endpoint.ip_address, &endpoint.global_ipv6_address]
        .into_iter()
        .flatten()
        .filter_map(|text| address(text))
        .collect();
    // The same one, once as IPv4 and once mapped into IPv6.
    addresses.dedup();
    addresses
}

/// Whether an engine lists a container with other addresses than were reported of it. Podman tells
/// nobody when a container joins or leaves a network.
pub(crate) fn has_moved(listed: &ContainerSummary, reported: &ContainerFacts) -> bool {
    let settings = listed.network_settings.as_ref();
    let Some(networks) = settings.and_then(|settings| settings.networks.as_ref()) else {
        return false;
    };
    let now: BTreeSet<IpAddr> = networks.values().flat_map(addresses).collect();
    let held = reported.attachments.iter().flat_map(|at| &at.ips).copied();
    reported.network_mode == NetworkMode::Own && now != held.collect()
}

/// An address as engines write it, with or without its prefix length.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let text = text.split_once('/').map_or(text, |(ip, _)| ip);
    let ip = text.parse::<IpAddr>().ok()?.to_canonical();
    (!ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
}

/// The engine's labels, within the bounds that labels have here: a longer value is cut off, a key
/// that is too long (or none at all) is left out.
fn labels(labels: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    labels
        .into_iter()
        .filter(|(key, _)| (1..=MAX_KEY).contains(&key.len()))
        .map(|(key, mut value)| {
            let mut end = MAX_VALUE.min(value.len());
            while !value.is_char_boundary(end) {
                end -= 1;
            }
            value.truncate(end);
            (key, value)
        })
        .collect()
}

fn limits(config: &HostConfig) -> Limits {
    let positive = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    let by_quota = positive(config.cpu_quota).map(|quota| {
        // The kernel's default period, which engines leave unsaid.
        let period = positive(config.cpu_period).unwrap_or(100_000);
        quota.saturating_mul(1000) / period
    });
    Limits {
        memory_bytes: positive(config.memory),
        cpu_millis: positive(config.nano_cpus)
            .map(|nanos| nanos / 1_000_000)
            .or(by_quota),
    }
}

/// A network mode as engines write it.
pub(crate) fn mode(mode: &str) -> NetworkMode {
    match mode.split_once(':') {
        Some(("container", other)) => NetworkMode::Container(other.to_owned()),
        _ if mode == "host" => NetworkMode::Host,
        _ => NetworkMode::Own,
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
