//! The index: projections of the ledger in sled, for questions about more than what is true now.
//!
//! It may be deleted at any time: everything in it is a fold over the ledger's entries, and it is
//! made again from them. `sled` 0.34 does not sync its files on `flush`, so after a power loss it
//! may be empty, behind or unreadable; each of these only means that more is made again. The
//! position up to which it has taken entries up is written in the same batch as what they changed.

mod denials;
mod keys;
mod machines;
mod open;
mod overlay;
mod project;
mod query;
mod records;
mod tokens;

use std::path::PathBuf;

use dockmaster_proto::{event::Entry, time::UnixMs};

pub use denials::{HELD, HOST_REFUSED};
pub use open::IndexError;
pub use records::{
    CertificateRecord, DenialRecord, HostRefusal, LeaseCertificate, LeaseRecord, Revocation,
    WatchRecord,
};

use overlay::Overlay;

use crate::state::GRACE_MS;

/// How many revoked certificates are forgotten with one batch of entries, at least: as many as it has
/// entries, so that an index that is made again does not keep what is long over.
const FORGOTTEN_AT_ONCE: usize = 256;

/// The index. Cheap to clone; reads may run on any thread, writes come from one.
#[derive(Debug, Clone)]
pub struct Index {
    db: sled::Db,
    path: PathBuf,
}

impl Index {
    /// How many entries of the ledger it has taken up.
    ///
    /// # Errors
    /// When sled fails.
    pub fn applied(&self) -> Result<u64, IndexError> {
        Overlay::new(&self.db)
            .get(keys::APPLIED)
            .map(Option::unwrap_or_default)
    }

    /// Takes up entries, in order and all at once. Entries that it has already are passed over.
    ///
    /// # Errors
    /// When sled fails; nothing of the entries is then taken up.
    pub fn apply<'a>(
        &self,
        entries: impl IntoIterator<Item = (u64, &'a Entry)>,
    ) -> Result<(), IndexError> {
        let mut overlay = Overlay::new(&self.db);
        let mut applied: u64 = overlay.get(keys::APPLIED)?.unwrap_or_default();
        let (mut newest, mut count) = (None, 0);
        for (index, entry) in entries {
            if index < applied {
                continue;
            }
            project::project(index, entry, &mut overlay)?;
            applied = index + 1;
            newest = Some(entry.ts_ms);
            count += 1;
        }
        overlay.put(keys::APPLIED, &applied);
        overlay.commit()?;
        let most = FORGOTTEN_AT_ONCE.max(count);
        newest.map_or(Ok(()), |now| self.forget_revoked(now, most))
    }

    /// Deletes what no revocation list has to name any more. Whoever loads the view passes it over
    /// too, so it does not matter when this happens, or whether a crash comes before.
    fn forget_revoked(&self, now: UnixMs, most: usize) -> Result<(), IndexError> {
        let over = UnixMs(now.0.saturating_sub(GRACE_MS));
        let range = keys::revoked_from(UnixMs(0))..keys::revoked_from(over);
        for found in self.db.range(range).take(most) {
            self.db.remove(found?.0)?;
        }
        Ok(())
    }

    /// Makes sure that what was taken up survives a power loss.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<(), IndexError> {
        self.db.flush()?;
        // sled's own flush is sync_file_range, which a power loss may undo.
        let file =
            std::fs::File::open(self.path.join("db")).map_err(|e| IndexError::io(&self.path, e))?;
        file.sync_data().map_err(|e| IndexError::io(&self.path, e))
    }
}

#[cfg(test)]
mod tests;
