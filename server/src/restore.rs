//! A data directory made again from a backup.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use dockmaster_certs::bundle::TrustBundle;
use dockmaster_client::Context;
use dockmaster_ledger::{Config as LedgerConfig, Import, ImportError, SignedBy};
use dockmaster_proto::{
    api::documents::SiteManifest,
    error::chain,
    event::{Entry, Event, Restored},
    id::{Digest, TrustPin},
    time::UnixMs,
};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    note::{SigningKey, VerifierKey},
    tile::{EntriesId, EntryBundle},
};

use crate::{
    authorities::Signing,
    backup::{self, BackupError, Files, Manifest, Part},
    config::Config,
    datadir::DataDir,
    env,
    journal::Cause,
    logkey::LogSeed,
    newdir::{NewDir, NewDirError},
    store::{self, StoreError},
};

/// Whether the log goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The restored log is the old one. Right when nothing was recorded after the backup.
    Continue,
    /// The same entries under a new key: another log, with another trust pin. Right when containers
    /// have seen more of the old log than the backup has.
    Anew,
}

/// What was made.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Restoration {
    /// The data directory.
    pub data: PathBuf,
    /// Entries in the backup.
    pub log_size: u64,
    /// When the backup was made.
    pub backup_at_ms: UnixMs,
    /// What agents pin.
    pub trust_pin: TrustPin,
    /// What auditors verify checkpoints with.
    pub log_verifier_key: String,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The directory cannot be made.
    #[error(transparent)]
    Dir(#[from] NewDirError),
    /// The backup is none, or is damaged.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Its entries make no log.
    #[error("the log in the backup")]
    Log(#[from] ImportError),
    /// What was made cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the backup does not fit the others.
    #[error("{0}")]
    Unfit(String),
    /// Documents that the entries name are not in the backup.
    #[error("{count} documents that the log names are not in the backup, the first is {first}")]
    Missing {
        /// How many.
        count: usize,
        /// One of them.
        first: Digest,
    },
}

fn unfit(what: &str) -> impl Fn(&dyn std::error::Error) -> RestoreError {
    move |why| {
        RestoreError::Unfit(format!(
            "{what} in the backup cannot be used: {}",
            chain(why)
        ))
    }
}

/// Makes a data directory from a backup, checks all of it, and records that it did. Where something
/// is wrong nothing is left behind.
///
/// # Errors
/// When the directory is in use, the backup is damaged or incomplete, or the disk refuses.
pub async fn restore(from: impl Read, data: &Path, log: Log) -> Result<Restoration, RestoreError> {
    let new = NewDir::claim(data)?;
    let mut work: Option<Work> = None;
    backup::read(from, |part| match (part, &mut work) {
        (Part::Begin(manifest, files), _) => {
            work = Some(Work::begin(&new, manifest, files, log)?);
            Ok(())
        }
        (Part::Bundle(index, bytes), Some(work)) => work.bundle(index, &bytes),
        (Part::Blob(digest, bytes), Some(work)) => work.blob(digest, &bytes),
        // The reader gives the beginning first.
        (Part::Bundle(..) | Part::Blob(..), None) => {
            Err(BackupError::Io(io::ErrorKind::UnexpectedEof.into()).into())
        }
    })?;
    let work = work.ok_or_else(|| BackupError::Io(io::ErrorKind::UnexpectedEof.into()))?;
    let restoration = work.finish(&new).await?;
    new.keep()?;
    Ok(restoration)
}

struct Work {
    manifest: Manifest,
    config: Config,
    bundle: TrustBundle,
    /// The head of the log in the backup, verified with its own key.
    head: Checkpoint,
    /// The verifier key of that log, where this one is another.
    previous: Option<VerifierKey>,
    import: Import,
    next_bundle: u64,
    last_ts: UnixMs,
    wanted: Wanted,
}

/// Documents that the log names and that have not come yet.
#[derive(Default)]
struct Wanted {
    blobs: BTreeMap<Digest, Kind>,
    /// Those that list the files of a site, which are wanted too.
    sites: BTreeSet<Digest>,
    came: BTreeSet<Digest>,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of many small ones.
    Certificate,
    /// A file of its own.
    Other,
}

impl Work {
    fn begin(
        new: &NewDir,
        manifest: Manifest,
        files: Files,
        log: Log,
    ) -> Result<Self, RestoreError> {
        let dir = new.dir();
        let text = |path: &str| {
            let bytes = files.get(path).map(Vec::as_slice).unwrap_or_default();
            String::from_utf8(bytes.to_vec()).map_err(|error| unfit(path)(&error))
        };
        let config = Config::parse("dockmaster.yaml", &text("dockmaster.yaml")?)
            .map_err(|error| unfit("dockmaster.yaml")(&error))?;
        let bundle = TrustBundle::parse(&text("ca/bundle.pem")?)
            .map_err(|error| unfit("ca/bundle.pem")(&error))?;
        let old_key = VerifierKey::parse(bundle.log_key())
            .map_err(|error| unfit("the log key of ca/bundle.pem")(&error))?;
        let head = Checkpoint::open(&manifest.checkpoint, &old_key)
            .map_err(|error| unfit("the signed head of the log")(&error))?;
        let (key, bundle, files) = match log {
            Log::Continue => {
                let seed: LogSeed = text("ledger/log.key")?
                    .parse()
                    .map_err(|error| unfit("ledger/log.key")(&error))?;
                let key = seed
                    .key(&config.trust_domain)
                    .map_err(|error| unfit("ledger/log.key")(&error))?;
                (key, bundle, files)
            }
            Log::Anew => anew(&config, &bundle, files)?,
        };
        if key.verifier().to_string() != bundle.log_key() {
            return Err(RestoreError::Unfit(
                "ledger/log.key in the backup is not the key that ca/bundle.pem names".to_owned(),
            ));
        }
        write(new, &files)?;
        // They are read as a master reads them, so that a key that does not fit is found now.
        Signing::load(dir)?;
        let previous = (log == Log::Anew).then_some(old_key);
        let ledger = LedgerConfig::new(dir.ledger(), dir.blobs(), key, Arc::new(env::now_ms));
        Ok(Self {
            import: Import::begin(ledger)?,
            manifest,
            config,
            bundle,
            head,
            previous,
            next_bundle: 0,
            last_ts: UnixMs(0),
            wanted: Wanted::default(),
        })
    }

    fn bundle(&mut self, index: u64, bytes: &[u8]) -> Result<(), RestoreError> {
        let id = EntriesId::in_tree(index, self.head.size);
        let Some(id) = id.filter(|_| index == self.next_bundle) else {
            return Err(RestoreError::Unfit(format!(
                "entries {} to {} are not where they belong in the backup",
                index * 256,
                index * 256 + 255
            )));
        };
        let bundle = EntryBundle::parse(bytes, id.width())
            .map_err(|error| unfit(&format!("entry bundle {index}"))(&error))?;
        for line in bundle.iter() {
            let number = self.import.size();
            let entry: Entry = serde_json::from_slice(line)
                .map_err(|error| unfit(&format!("entry {number}"))(&error))?;
            self.last_ts = entry.ts_ms;
            self.wanted.named_by(&entry.event);
            self.import.entry(line)?;
        }
        self.next_bundle += 1;
        Ok(())
    }

    fn blob(&mut self, digest: Digest, bytes: &[u8]) -> Result<(), RestoreError> {
        match self.wanted.blobs.get(&digest) {
            Some(Kind::Certificate) => self.import.packed(bytes)?,
            Some(Kind::Other) | None => self.import.blob(bytes)?,
        };
        if self.wanted.sites.contains(&digest) {
            let site: SiteManifest = serde_json::from_slice(bytes)
                .map_err(|error| unfit(&format!("site {digest}"))(&error))?;
            let files = site.files.values().copied();
            let came = &self.wanted.came;
            let new = files.filter(|it| !came.contains(it));
            self.wanted.blobs.extend(new.map(|it| (it, Kind::Other)));
        }
        self.wanted.blobs.remove(&digest);
        self.wanted.came.insert(digest);
        Ok(())
    }

    async fn finish(self, new: &NewDir) -> Result<Restoration, RestoreError> {
        let Self {
            manifest,
            config,
            bundle,
            head,
            previous,
            import,
            last_ts,
            wanted,
            ..
        } = self;
        if let Some((first, _)) = wanted.blobs.first_key_value() {
            return Err(RestoreError::Missing {
                count: wanted.blobs.len(),
                first: *first,
            });
        }
        let signed = match &previous {
            None => SignedBy::Itself(&manifest.checkpoint),
            Some(_) => {
                // The new key signs only what the old one had signed.
                if import.head() != (head.size, Some(head.root)) {
                    return Err(ImportError::Root {
                        size: import.head().0,
                        signed: head.size,
                    }
                    .into());
                }
                SignedBy::NewKey
            }
        };
        import.finish(signed, last_ts.0)?;
        let restored = Restored {
            log_size: head.size,
            root: Digest::from_bytes(*head.root.as_bytes()),
            backup_at_ms: manifest.created_at_ms,
            previous_log: previous.map(|key| key.to_string()).unwrap_or_default(),
        };
        let cause = Cause {
            actor: format!("/master/{}", config.name),
            request_id: env::request_id(),
        };
        let dir = new.dir();
        let opened = store::open_ledger(dir, &config)?;
        let events = vec![Event::Restored(restored)];
        store::commit_alone(dir, opened, &config.name, &cause, events).await?;
        Ok(Restoration {
            data: new.target().path().to_owned(),
            log_size: head.size,
            backup_at_ms: manifest.created_at_ms,
            trust_pin: bundle.pin(),
            log_verifier_key: bundle.log_key().to_owned(),
        })
    }
}

impl Wanted {
    fn named_by(&mut self, event: &Event) {
        let kind = match event {
            Event::CertIssued(_) | Event::CertRenewed(_) => Kind::Certificate,
            _ => Kind::Other,
        };
        self.blobs
            .extend(event.blobs().map(|digest| (*digest, kind)));
        if let Event::SiteDeployed(site) = event {
            self.sites.insert(site.sha256);
        }
    }
}

/// A new log key, and the files that name it.
fn anew(
    config: &Config,
    bundle: &TrustBundle,
    mut files: Files,
) -> Result<(SigningKey, TrustBundle, Files), RestoreError> {
    let make = |error: &dyn std::error::Error| {
        RestoreError::Unfit(format!("no new log key can be made: {}", chain(error)))
    };
    let seed = LogSeed::random().map_err(|error| make(&error))?;
    let key = seed
        .key(&config.trust_domain)
        .map_err(|error| make(&error))?;
    let bundle = TrustBundle::new(bundle.roots().to_vec(), &key.verifier().to_string())
        .map_err(|error| make(&error))?;
    files.insert("ledger/log.key".to_owned(), seed.to_text().into_bytes());
    files.insert("ca/bundle.pem".to_owned(), bundle.to_pem().into_bytes());
    if let Some(yaml) = files.get_mut("operator.yaml") {
        let text = String::from_utf8_lossy(yaml);
        let mut context = Context::parse(&text).map_err(|error| unfit("operator.yaml")(&error))?;
        context.bundle = bundle.to_pem();
        *yaml = context
            .to_yaml()
            .map_err(|error| make(&error))?
            .into_bytes();
    }
    Ok((key, bundle, files))
}

fn write(new: &NewDir, files: &Files) -> Result<(), RestoreError> {
    for file in DataDir::SMALL_FILES {
        if let Some(bytes) = files.get(file.path) {
            let path = new.dir().path().join(file.path);
            new.write(&path, bytes, file.readers)?;
        }
    }
    Ok(())
}
