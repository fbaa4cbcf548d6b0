//! What has to hold for any input.
//!
//! A target gives whether it took the input for right, and panics where something does not hold.

use std::{collections::HashSet, fmt::Debug, path::Path};

use dockmaster_certs::{
    csr::{MAX_REQUEST_LENGTH, VerifiedCsr},
    key::KeyPair,
};
use dockmaster_host::raw;
use dockmaster_proto::{
    api::{
        backup::WantedBlobs,
        documents::{ClassificationProposal, SiteManifest, SiteProposal},
        identity::CertificateRequest,
    },
    facts::ContainerFacts,
    id::{Digest, Name},
    label::{LabelChange, MAX_KEY, MAX_VALUE},
    report::{MAX_ALARM_CHARS, Report},
    route::parse_query,
};
use serde::{Serialize, de::DeserializeOwned};

/// One way in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]) -> bool,
}

const fn target(name: &'static str, run: fn(&[u8]) -> bool) -> Target {
    Target { name, run }
}

/// All ways in.
pub(crate) const ALL: [Target; 14] = [
    target("csr", csr),
    target("certificate_request", body::<CertificateRequest>),
    target("report", report),
    target("label_change", body::<LabelChange>),
    target("classification_proposal", body::<ClassificationProposal>),
    target("site_manifest", body::<SiteManifest>),
    target("site_proposal", body::<SiteProposal>),
    target("wanted_blobs", body::<WantedBlobs>),
    target("query", query),
    target("event", event),
    target("inspection", inspection),
    target("networks", networks),
    target("inventory_json", inventory_json),
    target("inventory_yaml", inventory_yaml),
];

/// A key that stands here for all to see: whoever holds no other has proved nothing.
pub(crate) fn key() -> KeyPair {
    KeyPair::from_pem(include_str!("key.pem")).unwrap()
}

/// What a request of the seeds is bound to.
pub(crate) const BINDING: [u8; 32] = [7; 32];

/// No bytes make a verified request but those that the key signed.
fn csr(input: &[u8]) -> bool {
    let Ok(csr) = VerifiedCsr::parse(input, &BINDING) else {
        return false;
    };
    assert!(input.len() <= MAX_REQUEST_LENGTH);
    assert_eq!(csr.public_key(), key().public_key(), "nobody signed this");
    assert_eq!(csr.sha256(), Digest::of(input));
    assert!(VerifiedCsr::parse(input, &[8; 32]).is_err(), "not bound");
    true
}

/// What is read is written and read again as the same.
fn body<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<T>(input) else {
        return false;
    };
    let written = serde_json::to_vec(&value).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), value);
    true
}

fn report(input: &[u8]) -> bool {
    if let Ok(mut report) = serde_json::from_slice::<Report>(input) {
        report.bound_alarm();
        assert!(report.alarm.chars().count() <= MAX_ALARM_CHARS);
    }
    body::<Report>(input)
}

fn query(input: &[u8]) -> bool {
    let Some(pairs) = std::str::from_utf8(input).ok().and_then(parse_query) else {
        return false;
    };
    let decoded: usize = pairs
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert!(decoded <= input.len(), "decoding only shortens");
    true
}

fn host() -> Name {
    "h1".parse().unwrap()
}

/// An event may only speak of a container that it names.
fn event(input: &[u8]) -> bool {
    let Some(id) = raw::event(input) else {
        return false;
    };
    let (id, text) = (id.to_string(), String::from_utf8_lossy(input));
    // Unless it is spelt with escapes.
    assert!(text.to_lowercase().contains(&id) || text.contains('\\'));
    true
}

/// What is told of a container is bounded, and its addresses are such as a container can hold.
fn check(facts: &ContainerFacts) {
    for (key, value) in &facts.labels {
        assert!((1..=MAX_KEY).contains(&key.len()) && value.len() <= MAX_VALUE);
    }
    let mut seen = HashSet::new();
    for attachment in &facts.attachments {
        for ip in &attachment.ips {
            assert_eq!(ip.to_canonical(), *ip);
            assert!(!ip.is_unspecified() && !ip.is_multicast(), "{ip}");
            assert!(
                seen.insert((attachment.network.clone(), *ip)),
                "twice: {ip}"
            );
        }
        // A network of another host is never told of as if it were.
        if let Some((owner, _)) = attachment.network.as_str().split_once('/') {
            assert_eq!(owner, "h1");
        }
    }
    body::<ContainerFacts>(&serde_json::to_vec(facts).unwrap());
}

pub(crate) const NETWORKS: &str =
    include_str!("../../server/host/src/docker/fixtures/networks.json");
pub(crate) const INSPECTION: &str =
    include_str!("../../server/host/src/docker/fixtures/inspect-two-networks.json");

fn inspection(input: &[u8]) -> bool {
    let facts = raw::inspection(input, NETWORKS.as_bytes(), &host());
    facts.iter().for_each(check);
    facts.is_some()
}

/// The networks are anything, the container is in two of the right ones.
fn networks(input: &[u8]) -> bool {
    let facts = raw::inspection(INSPECTION.as_bytes(), input, &host());
    facts.iter().for_each(check);
    facts.is_some()
}

fn inventory(input: &[u8], path: &str) -> bool {
    let text = std::str::from_utf8(input).ok();
    let Some(Ok(all)) = text.map(|text| raw::inventory(text, Path::new(path), &host())) else {
        return false;
    };
    let (mut ids, mut held) = (HashSet::new(), HashSet::new());
    for facts in &all {
        check(facts);
        assert!(ids.insert(facts.id), "two of one ID");
        for attachment in &facts.attachments {
            for ip in &attachment.ips {
                let address = (attachment.network.clone(), *ip);
                assert!(held.insert(address), "two hold {ip}");
            }
        }
    }
    true
}

fn inventory_json(input: &[u8]) -> bool {
    inventory(input, "inventory.json")
}

fn inventory_yaml(input: &[u8]) -> bool {
    inventory(input, "inventory.yaml")
}
