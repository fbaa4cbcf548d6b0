//! The inventory file, read as a whole or refused with the line to look at.
//! Its form is told at [`super::FileInventory`].

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::IpAddr,
    path::Path,
};

use dockmaster_document::yaml;
use dockmaster_proto::{
    address::Address,
    facts::{Attachment, ContainerFacts, Limits, NetworkMode},
    id::{ContainerId, Name, NetworkName},
    label::{MAX_KEY, MAX_VALUE},
    time::UnixMs,
};
use serde::{Deserialize, Deserializer, de};

/// The largest file, in bytes: some 50 000 containers.
pub const MAX_FILE: u64 = 16 << 20;

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No YAML or JSON, or not of the form that is expected.
    #[error("line {line}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The parser's words.
        reason: String,
    },
    /// A container that contradicts another one or the rules.
    #[error("line {line}: container {container} {reason}")]
    Container {
        /// The line of the container's ID, from 1.
        line: usize,
        /// The container's name.
        container: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    containers: Vec<Container>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Container {
    id: ContainerId,
    name: String,
    image: String,
    #[serde(default)]
    image_digest: String,
    #[serde(default, deserialize_with = "each_once")]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    ips: Vec<Ip>,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ip {
    InFile(IpAddr),
    Named { ip: IpAddr, network: NetworkName },
}

/// A mapping without a key that stands twice: a map by itself would take the last one silently.
fn each_once<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct EachOnce;
    impl<'de> de::Visitor<'de> for EachOnce {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping of text to text")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut read = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, String>()? {
                if read.contains_key(&key) {
                    let message = format!("key {key:?} stands here a second time");
                    return Err(de::Error::custom(message));
                }
                read.insert(key, value);
            }
            Ok(read)
        }
    }
    from.deserialize_map(EachOnce)
}

/// Reads a file's text. `path` only decides between YAML and JSON.
///
/// # Errors
/// At the first thing that is wrong: a half-understood inventory would close leases that are held.
pub(crate) fn read(
    text: &str,
    path: &Path,
    host: &Name,
) -> Result<Vec<ContainerFacts>, FormatError> {
    let document: Document = if path.extension().is_some_and(|it| it == "json") {
        serde_json::from_str(text).map_err(|error| FormatError::Syntax {
            line: error.line(),
            reason: error.to_string(),
        })?
    } else {
        let max_bytes = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
        yaml::from_str(text, max_bytes).map_err(|error| FormatError::Syntax {
            line: error.at.line as usize,
            reason: error.message,
        })?
    };
    let mut ids = HashMap::new();
    let mut holders = HashMap::<Address, String>::new();
    let mut all = Vec::with_capacity(document.containers.len());
    for container in document.containers {
        let (id, name) = (container.id, container.name.clone());
        let wrong = |reason| FormatError::Container {
            line: line_of(text, &id, ids.contains_key(&id)),
            container: name.clone(),
            reason,
        };
        if let Some(other) = ids.get(&id) {
            return Err(wrong(format!("has the same id as {other}")));
        }
        let facts = facts(container, host).map_err(wrong)?;
        for address in addresses(&facts) {
            if let Some(other) = holders.get(&address) {
                return Err(wrong(format!("holds {address}, and so does {other}")));
            }
            holders.insert(address, name.clone());
        }
        ids.insert(id, name);
        all.push(facts);
    }
    Ok(all)
}

fn facts(container: Container, host: &Name) -> Result<ContainerFacts, String> {
    let Container {
        id,
        name,
        image,
        image_digest,
        labels,
        ips,
        started_at,
        limits,
    } = container;
    if let Some(key) = labels
        .keys()
        .find(|key| !(1..=MAX_KEY).contains(&key.len()))
    {
        let len = key.len();
        return Err(format!(
            "has a label key of {len} bytes; 1 to {MAX_KEY} are allowed"
        ));
    }
    if let Some((key, value)) = labels.iter().find(|(_, value)| value.len() > MAX_VALUE) {
        let len = value.len();
        return Err(format!(
            "has a label {key} of {len} bytes; at most {MAX_VALUE} are allowed"
        ));
    }
    // Nothing is known of an earlier time, and the epoch bounds nothing.
    let started_at_ms = match started_at {
        Some(text) => text
            .parse()
            .map_err(|error| format!("has no usable started_at: {error}"))?,
        None => UnixMs(0),
    };
    Ok(ContainerFacts {
        id,
        name,
        image,
        image_digest,
        labels,
        started_at_ms,
        limits,
        network_mode: NetworkMode::Own,
        attachments: attachments(ips, host)?,
    })
}

fn attachments(ips: Vec<Ip>, host: &Name) -> Result<Vec<Attachment>, String> {
    let default = NetworkName::local(host, "file").map_err(|error| error.to_string())?;
    let mut attached = BTreeMap::<NetworkName, Vec<IpAddr>>::new();
    for ip in ips {
        let (network, ip) = match ip {
            Ip::InFile(ip) => (default.clone(), ip),
            Ip::Named { ip, network } => (network, ip),
        };
        match network.as_str().split_once('/') {
            Some((other, _)) if other != host.as_str() => {
                return Err(format!(
                    "is said to be in {network}, a network of another host; this host is {host}"
                ));
            }
            _ => {}
        }
        let ips = attached.entry(network).or_default();
        let ip = ip.to_canonical();
        if ip.is_unspecified() || ip.is_multicast() {
            return Err(format!("has the address {ip}, which is nobody's own"));
        }
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    let attached = attached.into_iter();
    Ok(attached
        .map(|(network, ips)| Attachment { network, ips })
        .collect())
}

fn addresses(facts: &ContainerFacts) -> impl Iterator<Item = Address> {
    facts.attachments.iter().flat_map(|at| {
        let in_network = |ip: &IpAddr| Address::new(at.network.clone(), *ip);
        at.ips.iter().map(in_network)
    })
}

/// The line on which an ID stands, or stands again. The parsers forget it once a value is read.
fn line_of(text: &str, id: &ContainerId, again: bool) -> usize {
    let id = id.to_string();
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains(&id));
    lines
        .nth(usize::from(again))
        .map_or(1, |(number, _)| number)
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
