//! What the tests of this crate share: containers, entries, and a host that reports.

use std::collections::BTreeMap;

use dockmaster_host::Observation;
use dockmaster_proto::{
    event::{ENTRY_VERSION, Entry, Event},
    facts::{Attachment, ContainerFacts, Limits, NetworkMode},
    id::{ContainerId, Name},
    time::UnixMs,
};

use crate::{leases, state::State};

/// The one host.
pub(crate) fn host() -> Name {
    "h1".parse().unwrap()
}

/// The ID of a numbered container.
pub(crate) fn id(container: u8) -> ContainerId {
    ContainerId::from_bytes([container; 32])
}

/// A numbered container with these addresses on the host's bridge, started a second after the epoch.
pub(crate) fn facts(container: u8, ips: &[&str]) -> ContainerFacts {
    let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    ContainerFacts {
        id: id(container),
        name: format!("c{container}"),
        image: "app:1".into(),
        image_digest: String::new(),
        labels: BTreeMap::new(),
        started_at_ms: UnixMs(1000),
        limits: Limits::default(),
        network_mode: NetworkMode::Own,
        attachments: vec![Attachment {
            network: "h1/bridge".parse().unwrap(),
            ips,
        }],
    }
}

/// An entry, a millisecond after the one before it.
pub(crate) fn entry(index: u64, event: Event) -> Entry {
    Entry {
        v: ENTRY_VERSION,
        ts_ms: UnixMs(1000 + index),
        event,
        request_id: "r".into(),
        actor: "a".into(),
        master: host(),
    }
}

/// Takes an event up into the view.
pub(crate) fn apply(state: &mut State, event: Event) {
    let index = state.size();
    state.apply(index, &entry(index, event));
}

/// Decides upon an observation and takes the events up; the events' names.
pub(crate) fn observe(state: &mut State, observation: &Observation) -> Vec<&'static str> {
    let events = leases::decide(observation, &host(), state);
    let names = events.iter().map(Event::name).collect();
    for event in events {
        apply(state, event);
    }
    names
}
