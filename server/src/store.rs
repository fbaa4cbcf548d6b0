//! The ledger and the index of a data directory, opened one after the other: the index follows the
//! ledger, so it is brought up to it before anything else happens.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dockmaster_ledger::{
    CommitError, Config as LedgerConfig, Ledger, OpenError, Opened, ReadError, Repair, RepairError,
};
use dockmaster_proto::{
    event::{Entry, Event},
    id::Name,
};

use crate::{
    config::{Config, ConfigError},
    datadir::DataDir,
    env,
    index::{Index, IndexError},
    journal::{Cause, Journal, Projector, SharedState},
    logkey::LogSeed,
};

/// How many entries are read from the ledger before the index takes them up.
const CATCH_UP: usize = 4096;

/// What to do about a log that containers have seen more of.
pub const WAY_OUT: &str =
    "stop it and restore a newer backup; docs/ledger.md says more, under \"A log that forked\"";

/// Why what is stored cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file cannot be read.
    #[error("{path} cannot be read", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {why}; restore it from a backup", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Containers have seen more of the log than there is.
    #[error(
        "{path}: containers have seen entries of this log that are not here, so it was put back to an older state and must not go on; {WAY_OUT}",
        path = .path.display()
    )]
    Forked {
        /// The evidence.
        path: PathBuf,
    },
    /// The ledger does not open.
    #[error("the ledger cannot start")]
    Ledger(#[from] OpenError),
    /// The ledger cannot be repaired.
    #[error("the ledger cannot be repaired")]
    Repair(#[from] RepairError),
    /// The ledger cannot be read for the index.
    #[error("the index cannot follow the ledger")]
    Follow(#[from] ReadError),
    /// An entry is none that this version knows.
    #[error(
        "entry {index} of the ledger cannot be read; was it written by a newer version than this one?"
    )]
    Entry {
        /// Its index.
        index: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// The disk refuses.
    #[error("the ledger takes no entry")]
    Commit(#[from] CommitError),
    /// The index cannot be used.
    #[error("the index cannot start")]
    Index(#[from] IndexError),
}

/// Opens and recovers the ledger.
///
/// # Errors
/// When its key or one of its files is missing or damaged, or the log must not go on.
pub fn open_ledger(dir: &DataDir, config: &Config) -> Result<Opened, StoreError> {
    let path = dir.forked();
    if path.exists() {
        return Err(StoreError::Forked { path });
    }
    Ok(Ledger::open(ledger_config(dir, config)?)?)
}

fn ledger_config(dir: &DataDir, config: &Config) -> Result<LedgerConfig, StoreError> {
    let path = dir.log_key();
    let damaged = |why: &dyn std::error::Error| StoreError::Damaged {
        path: path.clone(),
        why: why.to_string(),
    };
    let seed: LogSeed = read(&path)?.parse().map_err(|error| damaged(&error))?;
    let key = seed
        .key(&config.trust_domain)
        .map_err(|error| damaged(&error))?;
    Ok(LedgerConfig::new(
        dir.ledger(),
        dir.blobs(),
        key,
        Arc::new(env::now_ms),
    ))
}

/// The index with everything that is in the ledger.
///
/// # Errors
/// When it cannot be made, or the ledger cannot be read.
pub fn open_index(dir: &DataDir, opened: &Opened) -> Result<Index, StoreError> {
    let index = Index::open(&dir.index(), opened.size())?;
    let applied = index.applied()?;
    if applied < opened.size() {
        tracing::info!(
            from = applied,
            to = opened.size(),
            "the index catches up with the ledger"
        );
    }
    let mut entries: Vec<(u64, Entry)> = Vec::new();
    for committed in opened.entries(applied) {
        let committed = committed?;
        let entry = serde_json::from_slice(&committed.entry);
        let entry = entry.map_err(|source| StoreError::Entry {
            index: committed.index,
            source,
        })?;
        entries.push((committed.index, entry));
        if entries.len() == CATCH_UP {
            index.apply(entries.iter().map(|(index, entry)| (*index, entry)))?;
            entries.clear();
        }
    }
    index.apply(entries.iter().map(|(index, entry)| (*index, entry)))?;
    Ok(index)
}

/// Makes again what can be made again of a data directory that no master runs on: the tiles and the
/// checkpoint of the ledger, and the index. Blocks on the disk.
///
/// # Errors
/// When entries are lost, or a file that nothing else holds is damaged.
pub fn repair(dir: &DataDir) -> Result<Repair, StoreError> {
    let config = Config::load(&dir.config())?;
    let (opened, repair) = dockmaster_ledger::repair(ledger_config(dir, &config)?)?;
    let path = dir.index();
    match fs::remove_dir_all(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::Read { path, source });
        }
        _ => {}
    }
    let index = open_index(dir, &opened)?;
    index.sync()?;
    Ok(repair)
}

/// Commits events to a ledger that no master runs on, takes them up into the index, and lets go of
/// both.
///
/// # Errors
/// When the index cannot be made, or the disk refuses.
pub async fn commit_alone(
    dir: &DataDir,
    opened: Opened,
    master: &Name,
    cause: &Cause,
    events: Vec<Event>,
) -> Result<(), StoreError> {
    let index = open_index(dir, &opened)?;
    let state = SharedState::new(index.load_state()?);
    let (projector, progress) = Projector::new(state.clone(), index.clone());
    let ledger = opened.start(projector)?;
    let journal = Journal::new(ledger.clone(), master.clone(), state, progress);
    let committed = journal.commit(cause, events, vec![]).await;
    ledger.shutdown().await;
    index.sync()?;
    committed?;
    Ok(())
}

/// A file as text.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<String, StoreError> {
    fs::read_to_string(path).map_err(|source| StoreError::Read {
        path: path.to_owned(),
        source,
    })
}
