//! A year of containers that come and go, written into a ledger as a master would have.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dockmaster::{config::Config, datadir::DataDir, env, logkey::LogSeed};
use dockmaster_ledger::{Committed, Config as LedgerConfig, Draft, Ledger, Proposal, Sink, Stamp};
use dockmaster_proto::{
    address::Address,
    event::{
        CertIssued, ENTRY_VERSION, Entry, Event, Evidence, HeldAddress, HostWatched, LabelsChanged,
        LeaseCause, LeaseClosed, LeaseOpened, NodeGone, NodeObserved,
    },
    facts::{Attachment, ContainerFacts, Limits, NetworkMode},
    id::{ContainerId, Digest, Name, Serial},
    time::UnixMs,
};

use crate::master::init;

/// An event that there is once, near the beginning.
pub(crate) const RARE: &str = "labels_changed";
/// An address that many held, one after the other.
pub(crate) const IP: &str = "10.1.0.7";

/// So many containers run at a time, each at an address that the next one takes over.
const RUNNING: u64 = 1_000;
/// Between two events, in milliseconds: a year has about a million of these.
pub(crate) const PACE_MS: u64 = 31_500;
const BATCH: usize = 256;

/// The index is made by the master.
struct NoIndex;

impl Sink for NoIndex {
    fn apply(&self, _: &[Committed]) {}

    fn persist(&self, _: &[Committed]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// Makes a data directory with so many entries.
pub(crate) fn make(data: &Path, entries: u64) {
    init(data);
    let dir = DataDir::new(data);
    let config = Config::load(&dir.config()).unwrap();
    let seed: LogSeed = fs::read_to_string(dir.log_key()).unwrap().parse().unwrap();
    let key = seed.key(&config.trust_domain).unwrap();
    // `init` has just written its entries, and a log's times only grow: the year is one to come.
    let time = Arc::new(AtomicU64::new(env::now_ms()));
    let clock = move || time.fetch_add(PACE_MS, Ordering::Relaxed);
    let ledger = LedgerConfig::new(dir.ledger(), dir.blobs(), key, Arc::new(clock));
    let ledger = Ledger::open(ledger).unwrap().start(NoIndex).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(write(&ledger, &config, entries));
    // The index of `init` knows nothing of this, and the first start shows what making it costs.
    fs::remove_dir_all(dir.index()).unwrap();
}

async fn write(ledger: &Ledger, config: &Config, entries: u64) {
    let mut history = History::new(config);
    let mut events = vec![Event::HostWatched(HostWatched {
        host: history.host.clone(),
        containers: 0,
    })];
    let mut blobs = Vec::new();
    let mut size = ledger.head().size;
    while size < entries {
        while events.len() < BATCH {
            history.next(&mut events, &mut blobs);
        }
        let rest = usize::try_from(entries - size).unwrap();
        let batch = events.drain(..BATCH.min(rest));
        let drafts = batch.map(|event| history.draft(event)).collect();
        let blobs = std::mem::take(&mut blobs);
        let receipt = ledger.commit(Proposal { drafts, blobs }).await.unwrap();
        size = receipt.head().size;
    }
    ledger.shutdown().await;
}

struct History {
    host: Name,
    master: Name,
    trust_domain: String,
    started: u64,
}

impl History {
    fn new(config: &Config) -> Self {
        Self {
            host: "h1".parse().unwrap(),
            master: config.name.clone(),
            trust_domain: config.trust_domain.to_string(),
            started: 0,
        }
    }

    fn draft(&self, event: Event) -> Draft {
        let master = self.master.clone();
        Box::new(move |stamp: Stamp| {
            let entry = Entry {
                v: ENTRY_VERSION,
                ts_ms: UnixMs(stamp.ts_ms),
                event,
                request_id: format!("{:024x}", stamp.index),
                actor: format!("/master/{master}"),
                master,
            };
            serde_json::to_vec(&entry).unwrap()
        })
    }

    /// The next container starts, and the one whose address it takes has ended before.
    fn next(&mut self, events: &mut Vec<Event>, blobs: &mut Vec<Vec<u8>>) {
        let number = self.started;
        self.started += 1;
        if let Some(before) = number.checked_sub(RUNNING) {
            self.end(before, events);
        }
        self.begin(number, events, blobs);
        if number == 100 {
            let change = serde_json::from_str(r#"{"set":{"tier":"front"},"remove":[]}"#);
            events.push(Event::LabelsChanged(LabelsChanged {
                container: id(number),
                change: change.unwrap(),
            }));
        }
    }

    fn begin(&self, number: u64, events: &mut Vec<Event>, blobs: &mut Vec<Vec<u8>>) {
        let (container, address) = (id(number), address(number));
        let facts = ContainerFacts {
            id: container,
            name: format!("web-{number}"),
            image: "registry.example/shop/web:1.4".to_owned(),
            image_digest: format!("sha256:{number:064x}"),
            labels: BTreeMap::from([
                ("com.example.role".to_owned(), "web".to_owned()),
                ("com.example.team".to_owned(), "shop".to_owned()),
            ]),
            started_at_ms: UnixMs(0),
            limits: Limits {
                memory_bytes: Some(256 << 20),
                cpu_millis: Some(500),
            },
            network_mode: NetworkMode::Own,
            attachments: vec![Attachment {
                network: address.network.clone(),
                ips: vec![address.ip],
            }],
        };
        events.push(Event::NodeObserved(NodeObserved {
            host: self.host.clone(),
            facts: facts.clone(),
        }));
        events.push(Event::LeaseOpened(LeaseOpened {
            address: address.clone(),
            epoch: epoch(number),
            container,
            name: facts.name,
            image: facts.image,
            host: self.host.clone(),
            cause: LeaseCause::Started,
        }));
        // As long as a real one, and as little like any other.
        let mut der = format!("certificate {number} ").into_bytes();
        der.resize(620, b'.');
        let subject = format!(
            "spiffe://{}/host/{}/container/{container}",
            self.trust_domain, self.host
        );
        let held = HeldAddress {
            address,
            epoch: epoch(number),
        };
        let mut serial = [0; 16];
        serial[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        serial[8..].copy_from_slice(&number.to_be_bytes());
        events.push(Event::CertIssued(CertIssued {
            subject: subject.parse().unwrap(),
            container: Some(container),
            host: Some(self.host.clone()),
            addresses: vec![held],
            ips: Vec::new(),
            serial: Serial::from_bytes(serial),
            issuer_key_id: "00112233445566778899aabbccddeeff00112233".to_owned(),
            not_before_ms: UnixMs(0),
            not_after_ms: UnixMs(u64::MAX / 2),
            spki_sha256: Digest::of(&number.to_be_bytes()),
            der_sha256: Digest::of(&der),
            evidence: vec![Evidence::Host {
                host: self.host.clone(),
                facts_sha256: Digest::of(&number.to_le_bytes()),
                no_socket: String::new(),
            }],
            rule: "host-inventory".to_owned(),
            prev: None,
            policy_sha256: None,
        }));
        blobs.push(der);
    }

    fn end(&self, number: u64, events: &mut Vec<Event>) {
        events.push(Event::LeaseClosed(LeaseClosed {
            address: address(number),
            epoch: epoch(number),
            container: id(number),
            cause: LeaseCause::Died,
        }));
        events.push(Event::NodeGone(NodeGone {
            container: id(number),
            cause: LeaseCause::Died,
        }));
    }
}

/// As evenly spread as those of an engine.
fn id(number: u64) -> ContainerId {
    ContainerId::from_bytes(*Digest::of(&number.to_be_bytes()).as_bytes())
}

fn address(number: u64) -> Address {
    let [.., high, low] = u32::try_from(number % RUNNING).unwrap().to_be_bytes();
    Address {
        network: "h1/bridge".parse().unwrap(),
        ip: IpAddr::V4(Ipv4Addr::new(10, 1, high, low)),
    }
}

fn epoch(number: u64) -> u64 {
    number / RUNNING + 1
}
