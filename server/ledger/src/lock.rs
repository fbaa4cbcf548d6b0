//! One process at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::disk::FileError;
use crate::error::OpenError;

/// Holds a ledger for this process until it is dropped or the process ends, however it ends.
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the ledger, or says who has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path: PathBuf = dir.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(FileError::at("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(in_use(dir, &file)),
            Err(error) => return Err(FileError::at("lock", &path)(error.into()).into()),
        }
        // Who holds it is a hint for people; the lock holds whether or not it could be written.
        let emptied = file.set_len(0).and_then(|()| file.rewind());
        let _ = emptied.and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process between its fork and its exec has the file too.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn in_use(dir: &Path, file: &File) -> OpenError {
    let mut pid = String::new();
    let _ = file.take(20).read_to_string(&mut pid);
    let pid = pid.trim();
    let holder = if pid.is_empty() {
        String::new()
    } else {
        format!(" ({pid})")
    };
    OpenError::InUse {
        dir: dir.to_owned(),
        holder,
    }
}
