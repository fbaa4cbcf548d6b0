use std::sync::{Arc, Mutex};

use dockmaster_proto::{
    event::{CertDenied, ENTRY_VERSION, Entry, Event},
    id::ContainerId,
    problem::ProblemCode,
    time::UnixMs,
};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    tile::{EntryBundle, HashTile, TileId},
    tree::{HashSource, RightEdge},
};
use tempfile::TempDir;

use super::*;
use crate::cli::{
    remote::block_on,
    testing::{Answer, Asked, Stub, log_key},
};

/// A log that may grow, and may be rewritten.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<Vec<u8>>>>);

fn entry(number: u64, detail: &str) -> Vec<u8> {
    let entry = Entry {
        v: ENTRY_VERSION,
        ts_ms: UnixMs(1_795_528_980_000 + number),
        event: Event::CertDenied(CertDenied {
            source: "172.17.0.9".parse().unwrap(),
            container: Some(ContainerId::from_bytes([0xab; 32])),
            reason: "no-lease".into(),
            detail: detail.into(),
            count: 1,
            rule: String::new(),
            hint: String::new(),
        }),
        request_id: format!("r{number}"),
        actor: "anyone@172.17.0.9".into(),
        master: "m1".parse().unwrap(),
    };
    serde_json::to_vec(&entry).unwrap()
}

impl HashSource for Log {
    type Error = ();

    fn hash(&self, level: u8, index: u64) -> Result<dockmaster_tlog::hash::Hash, ()> {
        let entries = self.0.lock().unwrap();
        let start = usize::try_from(index << level).unwrap();
        let mut edge = RightEdge::new();
        for entry in &entries[start..start + (1 << level)] {
            edge.push(leaf_hash(entry));
        }
        Ok(edge.root())
    }
}

impl Log {
    fn grow(&self, to: usize) {
        let mut entries = self.0.lock().unwrap();
        for number in entries.len()..to {
            entries.push(entry(number as u64, "no open lease"));
        }
    }

    fn head(&self) -> String {
        let mut edge = RightEdge::new();
        for entry in self.0.lock().unwrap().iter() {
            edge.push(leaf_hash(entry));
        }
        let checkpoint = Checkpoint {
            origin: log_key().name().clone(),
            size: edge.size(),
            root: edge.root(),
        };
        checkpoint.sign(&log_key())
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let path = asked.what.strip_prefix("GET /log/").unwrap();
        if path == "checkpoint" {
            return Answer::bytes(self.head());
        }
        if let Ok(id) = EntriesId::parse(path) {
            let entries = self.0.lock().unwrap();
            let start = usize::try_from(id.index()).unwrap() * usize::from(TILE_WIDTH);
            let mut bundle = EntryBundle::new();
            for entry in &entries[start..start + usize::from(id.width())] {
                bundle.push(entry).unwrap();
            }
            return Answer::bytes(bundle.encode());
        }
        match TileId::parse(path) {
            Ok(id) => Answer::bytes(HashTile::collect(id, self).unwrap().encode()),
            Err(_) => Answer::problem(ProblemCode::NotFound),
        }
    }

    /// What an export of it writes.
    fn export(&self, args: ExportArgs) -> Result<String, CliError> {
        let log = self.clone();
        let stub = Stub::start(move |asked| log.answer(asked));
        let dir = TempDir::new().unwrap();
        let output = dir.path().join("out");
        let args = ExportArgs {
            output: Some(output.clone()),
            ..args
        };
        block_on(run(&stub.global, args))?;
        Ok(std::fs::read_to_string(output).unwrap())
    }
}

fn args() -> ExportArgs {
    ExportArgs {
        format: Format::Jsonl,
        from: None,
        follow: false,
        position: None,
        output: None,
    }
}

fn indexes(text: &str) -> Vec<u64> {
    let index = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["index"].as_u64().unwrap()
    };
    text.lines().map(index).collect()
}

#[test]
fn every_entry_is_exported_as_it_is_with_its_index_and_leaf_hash() {
    let log = Log::default();
    log.grow(300);
    let text = log.export(args()).unwrap();
    assert_eq!(indexes(&text), (0..300).collect::<Vec<_>>());
    let raw = entry(299, "no open lease");
    let last = text.lines().next_back().unwrap();
    assert_eq!(
        last,
        format!(
            r#"{{"index":299,"leaf_hash":"{}","entry":{}}}"#,
            leaf_hash(&raw),
            String::from_utf8(raw).unwrap()
        )
    );
}

#[test]
fn an_export_begins_anywhere_and_is_compared_all_the_same() {
    let log = Log::default();
    log.grow(700);
    for from in [1, 255, 256, 257, 511, 699] {
        let args = ExportArgs {
            from: Some(from),
            ..args()
        };
        let text = log.export(args).unwrap();
        assert_eq!(indexes(&text), (from..700).collect::<Vec<_>>());
    }
    let beyond = ExportArgs {
        from: Some(701),
        ..args()
    };
    assert!(log.export(beyond).is_err());
}

#[test]
fn the_next_run_goes_on_behind_the_last_and_finds_a_rewritten_log_out() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("position");
    let args = || ExportArgs {
        position: Some(file.clone()),
        ..args()
    };
    let log = Log::default();
    log.grow(300);
    assert_eq!(indexes(&log.export(args()).unwrap()).len(), 300);
    assert_eq!(log.export(args()).unwrap(), "");
    log.grow(310);
    let text = log.export(args()).unwrap();
    assert_eq!(indexes(&text), (300..310).collect::<Vec<_>>());

    // The past of the log is another now, whether it grew, shrank or stayed.
    log.0.lock().unwrap()[7] = entry(7, "never happened");
    for size in [310, 320, 305] {
        log.grow(size);
        log.0.lock().unwrap().truncate(size);
        let error = log.export(args()).unwrap_err().to_string();
        assert!(error.contains("was rewritten"), "{size}: {error}");
    }
}

#[test]
fn other_systems_get_their_own_forms() {
    let log = Log::default();
    log.0.lock().unwrap().push(entry(0, "a=b|c\\d\n\"e\"]"));
    let line = |format| log.export(ExportArgs { format, ..args() }).unwrap();
    let leaf = leaf_hash(&log.0.lock().unwrap()[0]);
    let container = "ab".repeat(32);
    assert_eq!(
        line(Format::Cef),
        format!(
            "CEF:0|Dockmaster|dockmaster|{}|cert_denied|cert denied|7|rt=1795528980000 externalId=0 dvchost=m1 \
             suser=anyone@172.17.0.9 src=172.17.0.9 cs1Label=leafHash cs1={leaf} cs2Label=container cs2={container} \
             cs4Label=requestId cs4=r0 msg=172.17.0.9 (abababababab): no-lease: a\\=b|c\\\\d\\n\"e\"]\n",
            env!("CARGO_PKG_VERSION")
        )
    );
    let raw = String::from_utf8(log.0.lock().unwrap()[0].clone()).unwrap();
    assert_eq!(
        line(Format::Syslog),
        format!(
            "<108>1 2026-11-24T14:03:00.000Z m1 dockmaster - cert_denied [dockmaster@32473 index=\"0\" leaf=\"{leaf}\" \
             actor=\"anyone@172.17.0.9\"] {raw}\n"
        )
    );
}
