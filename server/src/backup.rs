//! The form of a backup: one tar file, read and written from front to back.
//!
//! 1. `manifest.json`: the form's version, the signed head of the log, the digests of what follows in 2.
//! 2. The small files of the data directory, at their paths.
//! 3. `entries/INDEX`: the log's entry bundles, in order.
//! 4. `blobs/SHA256`: the documents and certificates that the entries name.
//!
//! Nothing in it has to be believed: the entries give the root that the head signs, blobs have their
//! digest as their name, and small files theirs in the manifest.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use dockmaster_proto::{id::Digest, time::UnixMs};
use serde::{Deserialize, Serialize};

use crate::datadir::{DataDir, Need};

/// The form that this version writes and reads.
pub const FORM: &str = "dockmaster-backup/1";
const MANIFEST: &str = "manifest.json";
/// The largest part that is read.
const MAX_PART: u64 = 64 << 20;
/// The largest small file, and the largest manifest.
const MAX_SMALL: u64 = 4 << 20;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORM`].
    pub form: String,
    /// The version of the program that wrote it.
    pub version: String,
    /// When it was made.
    pub created_at_ms: UnixMs,
    /// The signed head of the log.
    pub checkpoint: String,
    /// The small files and their digests.
    pub files: BTreeMap<String, Digest>,
}

/// The bytes of small files by path. Keys are among them, so nothing prints it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why a file is no backup, or cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Reading or writing failed. A file that is cut short ends up here too.
    #[error("the backup cannot be read or written to its end")]
    Io(#[from] io::Error),
    /// It is none.
    #[error("this is no backup: {0}")]
    NotOne(String),
    /// A part of it is not what it says.
    #[error("{part} in the backup is damaged: {why}")]
    Damaged {
        /// Which.
        part: String,
        /// What is wrong.
        why: String,
    },
}

/// Writes a backup.
pub struct Writer<W: Write>(tar::Builder<W>);

impl<W: Write> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<W: Write> Writer<W> {
    /// Begins with the small files.
    ///
    /// # Errors
    /// When writing fails.
    pub fn begin(
        out: W,
        checkpoint: String,
        created_at_ms: UnixMs,
        files: &Files,
    ) -> Result<Self, BackupError> {
        let digests = files
            .iter()
            .map(|(path, bytes)| (path.clone(), Digest::of(bytes)));
        let manifest = Manifest {
            form: FORM.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at_ms,
            checkpoint,
            files: digests.collect(),
        };
        let mut writer = Self(tar::Builder::new(out));
        let json = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from)?;
        writer.part(MANIFEST, &json)?;
        for (path, bytes) in files {
            writer.part(path, bytes)?;
        }
        Ok(writer)
    }

    /// The next entry bundle.
    ///
    /// # Errors
    /// When writing fails.
    pub fn bundle(&mut self, index: u64, bytes: &[u8]) -> Result<(), BackupError> {
        self.part(&format!("entries/{index:012}"), bytes)
    }

    /// A blob.
    ///
    /// # Errors
    /// When writing fails.
    pub fn blob(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), BackupError> {
        self.part(&format!("blobs/{digest}"), bytes)
    }

    /// The end of it.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> Result<W, BackupError> {
        Ok(self.0.into_inner()?)
    }

    fn part(&mut self, path: &str, bytes: &[u8]) -> Result<(), BackupError> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        Ok(self.0.append_data(&mut header, path, bytes)?)
    }
}

/// A part of a backup, in the order in which they come.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// The beginning, with all small files.
    Begin(Manifest, Files),
    /// An entry bundle: its index and its bytes.
    Bundle(u64, Vec<u8>),
    /// A blob; it has the digest.
    Blob(Digest, Vec<u8>),
}

/// Reads a backup and gives its parts to `take`, the beginning first.
///
/// # Errors
/// When it is none, is damaged or cut short, or `take` fails.
pub fn read<E: From<BackupError>>(
    from: impl Read,
    mut take: impl FnMut(Part) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = tar::Archive::new(from);
    let entries = archive.entries().map_err(BackupError::from)?;
    let mut beginning = Beginning::default();
    for entry in entries {
        let mut entry = entry.map_err(not_a_tar)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let bytes = bytes(&mut entry, &path)?;
        if let Some(part) = beginning.part(&path, bytes)? {
            take(part)?;
        }
    }
    beginning.ended()?;
    Ok(())
}

fn not_a_tar(error: io::Error) -> BackupError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return BackupError::Io(error);
    }
    BackupError::NotOne(error.to_string())
}

fn bytes(entry: &mut tar::Entry<'_, impl Read>, path: &str) -> Result<Vec<u8>, BackupError> {
    let size = entry.size();
    let limit = if path.starts_with("entries/") || path.starts_with("blobs/") {
        MAX_PART
    } else {
        MAX_SMALL
    };
    if !entry.header().entry_type().is_file() || size > limit {
        return Err(BackupError::NotOne(format!(
            "{path:.100} is no file of at most {limit} bytes"
        )));
    }
    let mut bytes = Vec::new();
    entry.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(BackupError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

/// The manifest and the small files as far as they have come.
#[derive(Default)]
struct Beginning {
    manifest: Option<Manifest>,
    files: Files,
    is_over: bool,
}

impl Beginning {
    fn part(&mut self, path: &str, bytes: Vec<u8>) -> Result<Option<Part>, BackupError> {
        let Some(manifest) = &self.manifest else {
            self.manifest = Some(manifest(path, &bytes)?);
            return Ok(None);
        };
        if !self.is_over {
            check(manifest, path, &bytes)?;
            self.files.insert(path.to_owned(), bytes);
            self.is_over = self.files.len() == manifest.files.len();
            let files = std::mem::take(&mut self.files);
            if !self.is_over {
                self.files = files;
                return Ok(None);
            }
            return Ok(Some(Part::Begin(manifest.clone(), files)));
        }
        if let Some(index) = path.strip_prefix("entries/") {
            let index = index
                .parse()
                .map_err(|_| BackupError::NotOne(format!("{path:.100} has no place in it")))?;
            return Ok(Some(Part::Bundle(index, bytes)));
        }
        let digest = path.strip_prefix("blobs/").and_then(|it| it.parse().ok());
        let Some(digest) = digest else {
            return Err(BackupError::NotOne(format!(
                "{path:.100} has no place in it"
            )));
        };
        if Digest::of(&bytes) != digest {
            return Err(damaged(path, "its content does not match its name"));
        }
        Ok(Some(Part::Blob(digest, bytes)))
    }

    fn ended(&self) -> Result<(), BackupError> {
        if self.is_over {
            return Ok(());
        }
        Err(BackupError::Io(io::ErrorKind::UnexpectedEof.into()))
    }
}

fn manifest(path: &str, bytes: &[u8]) -> Result<Manifest, BackupError> {
    if path != MANIFEST {
        return Err(BackupError::NotOne(format!(
            "it does not begin with {MANIFEST}"
        )));
    }
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|error| BackupError::NotOne(format!("{MANIFEST}: {error}")))?;
    if manifest.form != FORM {
        return Err(BackupError::NotOne(format!(
            "it is of the form {:?}; this version reads {FORM:?}",
            manifest.form
        )));
    }
    for file in DataDir::SMALL_FILES {
        if file.need == Need::Must && !manifest.files.contains_key(file.path) {
            return Err(damaged(MANIFEST, &format!("{} is not in it", file.path)));
        }
    }
    Ok(manifest)
}

/// Only files that an installation has are ever written anywhere.
fn check(manifest: &Manifest, path: &str, bytes: &[u8]) -> Result<(), BackupError> {
    let is_known = DataDir::SMALL_FILES.iter().any(|file| file.path == path);
    match manifest.files.get(path) {
        Some(digest) if is_known && *digest == Digest::of(bytes) => Ok(()),
        Some(_) if is_known => Err(damaged(path, "its content is not the one in the manifest")),
        _ => Err(BackupError::NotOne(format!(
            "{path:.100} has no place in it"
        ))),
    }
}

fn damaged(part: &str, why: &str) -> BackupError {
    BackupError::Damaged {
        part: part.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files() -> Files {
        DataDir::SMALL_FILES
            .iter()
            .map(|file| (file.path.to_owned(), file.path.as_bytes().to_vec()))
            .collect()
    }

    fn backup() -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), "head".into(), UnixMs(7), &files()).unwrap();
        writer.bundle(0, b"entries").unwrap();
        writer.blob(&Digest::of(b"blob"), b"blob").unwrap();
        writer.finish().unwrap()
    }

    fn parts(backup: &[u8]) -> Result<Vec<Part>, BackupError> {
        let mut parts = Vec::new();
        read(backup, |part| {
            parts.push(part);
            Ok::<_, BackupError>(())
        })?;
        Ok(parts)
    }

    #[test]
    fn what_was_written_is_read_in_order() {
        let parts = parts(&backup()).unwrap();
        let [Part::Begin(manifest, read), bundle, blob] = &parts[..] else {
            panic!("{} parts", parts.len());
        };
        assert_eq!((&*manifest.checkpoint, read), ("head", &files()));
        assert!(*bundle == Part::Bundle(0, b"entries".to_vec()));
        assert!(*blob == Part::Blob(Digest::of(b"blob"), b"blob".to_vec()));
    }

    #[test]
    fn no_path_but_those_of_an_installation_is_taken() {
        for path in [
            "../evil",
            "ca/../../evil",
            "ca/other.key",
            "/etc/passwd",
            "entries/x",
        ] {
            let mut writer = Writer::begin(Vec::new(), String::new(), UnixMs(0), &files()).unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            // Past the builder's own checks.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            writer.0.append(&header, &b"x"[..]).unwrap();
            let error = parts(&writer.finish().unwrap()).err().unwrap();
            assert!(matches!(error, BackupError::NotOne(_)), "{path}: {error}");
        }
    }

    #[test]
    fn damage_to_any_part_is_found() {
        let good = backup();
        let find = |text: &[u8]| good.windows(text.len()).rposition(|at| at == text).unwrap();
        for part in [&b"ca/root.key"[..], b"blob"] {
            let mut bad = good.clone();
            bad[find(part)] ^= 1;
            assert!(parts(&bad).is_err());
        }
        assert!(parts(b"").is_err());
        assert!(parts(&[0; 4096]).is_err());
        assert!(parts(&good[..1000]).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_no_backup(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(parts(&bytes).is_err());
        }
    }
}
