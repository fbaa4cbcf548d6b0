//! The run dir: what an agent leaves for the application, for people, and for its next start.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The certificate and its intermediate, in PEM.
pub const CERTIFICATE: &str = "cert.pem";
/// The private key, in PEM.
pub const KEY: &str = "key.pem";
/// The trust bundle, in PEM.
pub const BUNDLE: &str = "bundle.pem";
/// The revocation lists of those who sign containers' certificates, in PEM.
pub const LISTS: &str = "crl.pem";
/// The ledger entry of the certificate's issuance.
pub const ENTRY: &str = "issuance.entry";
/// The proof that the entry is in the log (C2SP tlog-proof).
pub const PROOF: &str = "issuance.tlog-proof";
/// The certificate of a machine that joined by a token, its intermediate and its key, for the next start.
pub const MACHINE: &str = "machine.pem";
/// The key that a join token burns into; there until there is a certificate for it.
pub const JOIN_KEY: &str = "join.key.pem";
/// The ID of a machine that has none elsewhere.
pub const MACHINE_ID: &str = "machine-id";
/// The newest signed head of the log that was verified (C2SP checkpoint).
pub const SEEN: &str = "log.checkpoint";
/// Two signed heads that cannot both be of one log; only there when that was found out.
pub const FORK: &str = "log.fork";
/// The last catalog.
pub const CATALOG: &str = "catalog.json";
/// The resources that are to be refreshed once they can be.
pub const OWED: &str = "refresh.json";
/// The request for a certificate that waits for an operator; only there while it does.
pub const REQUEST: &str = "request.json";
/// The report of the last apply.
pub const REPORT: &str = "report.json";

/// The largest file that is read.
const MAX_BYTES: u64 = 32 << 20;

/// Why a file of the run dir cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}{}", .path.display(), hint(.source))]
pub struct RunDirError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "; mount a tmpfs there (docker run --tmpfs /run/dockmaster), or name another folder by DOCKMASTER_RUN_DIR"
        }
        _ => "",
    }
}

/// The run dir.
#[derive(Debug, Clone)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// Makes the folder, for its owner only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Self, RunDirError> {
        let make = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            match fs::DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // A mounted tmpfs comes with the mode of its mount.
                    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                }
                other => other,
            }
        };
        make().map_err(|source| RunDirError {
            doing: "make the run dir",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self(path.to_owned()))
    }

    /// The folder as it is, without making it.
    #[must_use]
    pub fn existing(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces a file in one step; only its owner can read it. Not synced: key, certificate and proof
    /// are made anew at each start, whoever reads them then finds a pair; and a catalog that the end of
    /// the host has cut off is no catalog, so that the agent waits for the master's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        let path = self.0.join(name);
        let staged = self.0.join(format!(".{name}.new"));
        let write = || {
            // A leftover may have another mode.
            let _ = fs::remove_file(&staged);
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&staged)?;
            file.write_all(bytes)?;
            fs::rename(&staged, &path)
        };
        write().map_err(|source| RunDirError {
            doing: "write",
            path: path.clone(),
            source,
        })
    }

    /// The same for what no master gives a second time: it is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_durably(&self, name: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        self.write(name, bytes)?;
        let path = self.0.join(name);
        let sync = |path: &Path| fs::File::open(path)?.sync_all();
        sync(&path)
            .and_then(|()| sync(&self.0))
            .map_err(|source| RunDirError {
                doing: "write",
                path,
                source,
            })
    }

    /// A file's bytes; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, RunDirError> {
        let path = self.0.join(name);
        let read = || {
            let mut bytes = Vec::new();
            fs::File::open(&path)?
                .take(MAX_BYTES)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(RunDirError {
                doing: "read",
                path: path.clone(),
                source,
            }),
        }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), RunDirError> {
        let path = self.0.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| RunDirError {
                doing: "remove",
                path,
                source,
            }),
        }
    }

    /// Makes a folder in it, or finds it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, RunDirError> {
        Self::create(&self.0.join(name)).map(|folder| folder.0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn nobody_but_the_owner_can_look_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(&folder.path().join("a/b")).unwrap();
        run.write(KEY, b"one").unwrap();
        run.write(KEY, b"two").unwrap();
        assert_eq!(run.read(KEY).unwrap().unwrap(), b"two");
        assert_eq!(run.read(CATALOG).unwrap(), None);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(run.path()), 0o700);
        assert_eq!(mode(&run.path().join(KEY)), 0o600);
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 1);
    }
}
