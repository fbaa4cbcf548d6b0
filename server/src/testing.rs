//! What the tests of this crate share: containers, entries, a host that reports, and a ledger that runs.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use dockmaster_host::Observation;
use dockmaster_ledger::{Config, Ledger};
use dockmaster_proto::{
    event::{ENTRY_VERSION, Entry, Event, HostEnrolled, Reach},
    facts::{Attachment, ContainerFacts, Limits, NetworkMode},
    id::{ContainerId, Digest, Name, Serial},
    time::UnixMs,
};

use crate::{
    blobs::Blobs,
    delivery::Delivery,
    index::Index,
    journal::{Cause, Journal, Projector, SharedState},
    leases,
    logkey::LogSeed,
    state::State,
};

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

/// What an observation comes to where nothing is known of containers that ended.
pub(crate) fn decide(observation: &Observation, host: &Name, state: &State) -> Vec<Event> {
    leases::decide(observation, host, state, &leases::LastHosts::new())
}

/// Enrolls a host whose containers come by its relay; without ranges it may vouch for any.
pub(crate) fn enroll_host(state: &mut State, name: &str, cidrs: &[&str]) {
    let enrolled = HostEnrolled {
        host: name.parse().unwrap(),
        cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
        reach: Reach::Relay,
        serial: Serial::from_bytes([9; 16]),
        spki_sha256: Digest::of(b""),
        not_after_ms: UnixMs(1 << 40),
    };
    apply(state, Event::HostEnrolled(enrolled));
}

/// A view that knows an enrolled host.
pub(crate) fn with_host(name: &str) -> State {
    let mut state = State::default();
    enroll_host(&mut state, name, &[]);
    state
}

/// Decides upon an observation and takes the events up; the events' names.
pub(crate) fn observe(state: &mut State, observation: &Observation) -> Vec<&'static str> {
    let events = decide(observation, &host(), state);
    let names = events.iter().map(Event::name).collect();
    for event in events {
        apply(state, event);
    }
    names
}

/// A ledger with its view and its index, and the catalogs that nobody compiles unless a test does.
pub(crate) struct Running {
    dir: tempfile::TempDir,
    ledger: Ledger,
    journal: Journal,
    pub(crate) blobs: Blobs,
    pub(crate) delivery: Delivery,
}

impl Running {
    /// In a directory of its own.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let key = LogSeed::random()
            .unwrap()
            .key(&"td".parse().unwrap())
            .unwrap();
        let config = Config::new(path("ledger"), path("blobs"), key, Arc::new(|| 1000));
        Ledger::create(&config).unwrap();
        let opened = Ledger::open(config).unwrap();
        let index = Index::open(&path("index"), 0).unwrap();
        let state = SharedState::new(index.load_state().unwrap());
        let (projector, progress) = Projector::new(state.clone(), index);
        let ledger = opened.start(projector).unwrap();
        let journal = Journal::new(ledger.clone(), host(), state, progress);
        let blobs = Blobs::new(ledger.blobs().clone());
        let delivery = Delivery::new(journal.clone(), blobs.clone());
        Self {
            dir,
            ledger,
            journal,
            blobs,
            delivery,
        }
    }

    /// A file or folder of its directory: `ledger`, `blobs`, `index`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Commits events.
    pub(crate) async fn commit(&self, events: Vec<Event>) {
        let cause = Cause {
            actor: "a".into(),
            request_id: "r".into(),
        };
        self.journal.commit(&cause, events, vec![]).await.unwrap();
    }

    /// Ends it.
    pub(crate) async fn shutdown(self) {
        self.ledger.shutdown().await;
    }
}
