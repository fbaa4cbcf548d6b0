//! What has to hold for any input.
//!
//! A target gives whether it took the input for right, and panics where something does not hold.

use std::{
    collections::HashSet,
    fmt::Debug,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use dockmaster_certs::{
    csr::{MAX_REQUEST_LENGTH, VerifiedCsr},
    key::KeyPair,
};
use dockmaster_host::{Observation, raw, remote::Remit};
use dockmaster_proto::{
    api::{
        authority::RotationRequest,
        backup::WantedBlobs,
        certs::RevocationRequest,
        documents::{ClassificationProposal, SiteManifest, SiteProposal},
        hosts::{HostProposal, HostRenewal, HostSays, MasterSays, RelayedFrom},
        identity::CertificateRequest,
        requests::Denial,
        tokens::TokenProposal,
    },
    event::LeaseCause,
    facts::ContainerFacts,
    id::{Digest, Name},
    label::{LabelChange, MAX_KEY, MAX_VALUE},
    report::{MAX_ALARM_CHARS, Report},
    route::{Route, parse_query},
    token::JoinToken,
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
pub(crate) const ALL: [Target; 25] = [
    target("csr", csr),
    target("certificate_request", body::<CertificateRequest>),
    target("report", report),
    target("label_change", body::<LabelChange>),
    target("classification_proposal", body::<ClassificationProposal>),
    target("site_manifest", body::<SiteManifest>),
    target("site_proposal", body::<SiteProposal>),
    target("wanted_blobs", body::<WantedBlobs>),
    target("host_proposal", body::<HostProposal>),
    target("host_renewal", body::<HostRenewal>),
    target("token_proposal", body::<TokenProposal>),
    target("revocation_request", body::<RevocationRequest>),
    target("rotation_request", body::<RotationRequest>),
    target("denial", body::<Denial>),
    target("query", query),
    target("relayed_from", relayed_from),
    target("join_token", join_token),
    target("host_says", host_says),
    target("watch_stream", watch_stream),
    target("master_says", body::<MasterSays>),
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

/// Where a host says that a connection came from, read as the master does.
fn relayed_from(input: &[u8]) -> bool {
    let read = |query: &str| {
        let pairs = parse_query(query)?;
        let address = |key: &str| -> Option<SocketAddr> {
            let found = pairs.iter().find(|(name, _)| name == key)?;
            found.1.parse().ok()
        };
        Some(RelayedFrom {
            origin: address("origin")?,
            dialled: address("dialled")?,
        })
    };
    let Some(from) = std::str::from_utf8(input).ok().and_then(read) else {
        return false;
    };
    let path = Route::HostRelay.path_and_query("", &from.query());
    let (_, query) = path.split_once('?').unwrap();
    assert_eq!(read(query), Some(from));
    true
}

/// A token is what it was made of and nothing beside it, and tells its secret to nobody.
fn join_token(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let token = match text.parse::<JoinToken>() {
        Ok(token) => token,
        Err(error) => {
            // It may be a token with a typo, so that nobody is told more than that it is none.
            let in_a_body = serde_json::from_value::<JoinToken>(text.into()).unwrap_err();
            assert_eq!(in_a_body.to_string(), error.to_string());
            return false;
        }
    };
    assert_eq!(token.expose(), text);
    let (_, secret) = text.rsplit_once('-').unwrap();
    assert!(!format!("{token:?}").contains(secret));
    body::<JoinToken>(&serde_json::to_vec(&token).unwrap())
}

/// What a host may vouch for here: addresses of these first three bytes, in networks of its own or shared ones.
fn remit() -> Remit {
    let (host, cidrs) = ("h2".parse().unwrap(), vec!["10.9.0.0/24".parse().unwrap()]);
    Remit { host, cidrs }
}

fn is_in_remit(facts: &ContainerFacts) -> bool {
    let is_own = |ip: &IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets()[..3] == [10, 9, 0],
        IpAddr::V6(_) => false,
    };
    facts.attachments.iter().all(|attachment| {
        let owner = attachment.network.as_str().split_once('/');
        owner.is_none_or(|(owner, _)| owner == "h2") && attachment.ips.iter().all(is_own)
    })
}

/// One message of a host: alone, at the beginning of a stream, within a snapshot and after one.
fn host_says(input: &[u8]) -> bool {
    let (begins, ends) = (HostSays::SnapshotBegins, HostSays::SnapshotEnds);
    let [begins, ends] = [begins, ends].map(|says| frame(&serde_json::to_vec(&says).unwrap()));
    let input_frame = frame(input);
    for before in [vec![], begins.clone(), [begins, ends.clone()].concat()] {
        watch_stream(&[&before[..], &input_frame, &ends].concat());
    }
    body::<HostSays>(input)
}

/// A message as it goes over the stream.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&length, message].concat()
}

/// All that a host says: whatever it is, nothing is believed of what is not this host's.
fn watch_stream(input: &[u8]) -> bool {
    let (observations, end) = raw::heard(input, &remit());
    for observation in observations {
        match observation {
            Observation::Snapshot { containers, .. } => {
                let ids = containers.iter().map(|facts| facts.id);
                assert!(ids.is_sorted_by(|one, next| one < next), "each once");
                assert!(containers.iter().all(is_in_remit));
            }
            Observation::Up(facts) => assert!(is_in_remit(&facts)),
            Observation::Down { cause, .. } => assert!(
                [
                    LeaseCause::Died,
                    LeaseCause::Missing,
                    LeaseCause::Disconnected
                ]
                .contains(&cause),
                "{cause:?} is not for a host to say"
            ),
            Observation::Lost(reason) => assert!(reason.len() <= 500),
            Observation::Refused { reason, .. } => assert!(!reason.is_empty()),
        }
    }
    end.is_ok()
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
