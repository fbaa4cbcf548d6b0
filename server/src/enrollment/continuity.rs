//! Whether the log goes on from what containers have seen of it. A master that was put back to an
//! older state, say from a backup, would sign another history than the one that is already out; so
//! the first container that has seen more ends its issuing.

use std::{error::Error, fmt::Write as _, fs, path::PathBuf, sync::OnceLock};

use dockmaster_ledger::{Ledger, ReadError, Receipt};
use dockmaster_proto::{error::chain, id::ContainerId};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    hash::Hash,
    note::{SignedNote, VerifierKey},
    tree::verify_consistency,
};

use crate::store::WAY_OUT;

/// What a container says that it saw of the log: the note, and the head in it.
///
/// Whether the log signed it is looked into only when the log contradicts it. A head that agrees
/// with the log tells the log nothing new, signed or not; and the look would cost each renewal more
/// than its commit.
#[derive(Debug)]
pub(super) struct Seen<'r> {
    note: &'r str,
    claim: Checkpoint,
}

/// Keeps watch over the log's continuity.
#[derive(Debug)]
pub struct Continuity {
    key: VerifierKey,
    /// Where the two heads go that cannot both be of one log.
    evidence: PathBuf,
    broken: OnceLock<String>,
}

/// Why a container's newest head is not followed by a proof.
#[derive(Debug, thiserror::Error)]
pub enum ContinuityError {
    /// It is none that this log signed.
    #[error("the head of the log in the request is not one that this log signed: {0}")]
    NotOurs(String),
    /// The log signed it and does not go on from it.
    #[error("{0}")]
    Broken(String),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Continuity {
    /// A watch over the log that this key signs.
    #[must_use]
    pub const fn new(key: VerifierKey, evidence: PathBuf) -> Self {
        Self {
            key,
            evidence,
            broken: OnceLock::new(),
        }
    }

    /// What is wrong, once it is.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Reads the newest head that a container has seen. Before anything is committed: a log that is
    /// behind it must not grow.
    ///
    /// # Errors
    /// When it is no head of this log, or the log is smaller.
    pub(super) fn read<'r>(
        &self,
        ledger: &Ledger,
        container: ContainerId,
        note: &'r str,
    ) -> Result<Seen<'r>, ContinuityError> {
        let not_ours = |error: &dyn Error| ContinuityError::NotOurs(chain(error));
        let signed = SignedNote::parse(note).map_err(|error| not_ours(&error))?;
        let claim = Checkpoint::parse(signed.text()).map_err(|error| not_ours(&error))?;
        let seen = Seen { note, claim };
        if seen.claim.size > ledger.head().size {
            return Err(self.contradicted(ledger, container, &seen));
        }
        Ok(seen)
    }

    /// Proves that the log of a receipt goes on from a head that a container has seen.
    ///
    /// # Errors
    /// When it does not, or the log cannot be read.
    pub(super) fn prove(
        &self,
        ledger: &Ledger,
        container: ContainerId,
        seen: &Seen<'_>,
        receipt: &Receipt,
    ) -> Result<Vec<Hash>, ContinuityError> {
        let (claim, size) = (&seen.claim, receipt.head().size);
        let hashes = ledger.consistency_between(claim.size, size)?;
        match verify_consistency(claim.size, &claim.root, size, &receipt.root(), &hashes) {
            Ok(()) => Ok(hashes),
            Err(_) => Err(self.contradicted(ledger, container, seen)),
        }
    }

    /// The log does not go on from what a container says that it saw: now it matters who signed that.
    fn contradicted(
        &self,
        ledger: &Ledger,
        container: ContainerId,
        seen: &Seen<'_>,
    ) -> ContinuityError {
        match Checkpoint::open(seen.note, &self.key) {
            Ok(signed) => self.broken(ledger, container, seen.note, &signed),
            Err(error) => ContinuityError::NotOurs(chain(&error)),
        }
    }

    fn broken(
        &self,
        ledger: &Ledger,
        container: ContainerId,
        note: &str,
        seen: &Checkpoint,
    ) -> ContinuityError {
        let head = ledger.head();
        let why = format!(
            "container {} has seen the log at {} entries, and this master's log of {} does not go on from there: it was put back to an older state",
            container.short(),
            seen.size,
            head.size
        );
        if self.broken.set(why.clone()).is_ok() {
            tracing::error!("{why}; nothing is issued any more: {WAY_OUT}");
            self.keep_evidence(&why, note, &head.checkpoint);
        }
        ContinuityError::Broken(why)
    }

    fn keep_evidence(&self, why: &str, seen: &str, own: &str) {
        let mut text = format!("{why}\n");
        // Writing to a string cannot fail.
        let _ = write!(text, "\nSeen:\n\n{seen}\nHere:\n\n{own}");
        if let Err(error) = fs::write(&self.evidence, text) {
            // It is in the log of the process, and the next container tells it again.
            let path = self.evidence.display();
            tracing::error!(%error, "the evidence cannot be written to {path}");
        }
    }
}

#[cfg(test)]
mod tests;
