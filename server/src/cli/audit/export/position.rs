//! How far an export went: the last head of the log up to which everything was read and compared.

use std::path::Path;

use dockmaster_tlog::{
    checkpoint::Checkpoint, note::MAX_NOTE_BYTES, note::VerifierKey, tree::RightEdge,
};

use crate::cli::{
    error::{CliError, chain},
    files,
    public_log::SignedHead,
};

/// Where the export goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    next: u64,
    /// The head that ends there; none before the first.
    head: Option<SignedHead>,
}

impl Position {
    /// Before the entry with this index.
    pub(super) const fn at(next: u64) -> Self {
        Self { next, head: None }
    }

    /// The index of the next entry.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Reads a position; a file that is not there is the beginning of the log.
    ///
    /// # Errors
    /// When the file cannot be read, or does not hold a head that the log signed.
    pub(super) fn load(file: &Path, key: &VerifierKey) -> Result<Self, CliError> {
        if !file.exists() {
            return Ok(Self::at(0));
        }
        let note = files::read_text(file)?;
        if note.len() > MAX_NOTE_BYTES {
            return Err(CliError::failed(
                format!("{} is no position: it is too large", file.display()),
                "",
            ));
        }
        let checkpoint = Checkpoint::open(&note, key).map_err(|error| {
            CliError::failed(
                format!(
                    "{} is no position in this log: {}",
                    file.display(),
                    chain(&error)
                ),
                "is it of another installation? without the file the export begins anew",
            )
        })?;
        Ok(Self {
            next: checkpoint.size,
            head: Some(SignedHead { checkpoint, note }),
        })
    }

    /// Writes the position: a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn save(&self, file: &Path) -> Result<(), CliError> {
        let Some(head) = &self.head else {
            return Ok(());
        };
        files::replace(file, head.note.as_bytes())
    }

    /// Everything up to this head was read.
    pub(super) fn advance(&mut self, head: SignedHead) {
        self.next = head.checkpoint.size;
        self.head = Some(head);
    }

    /// A log only grows, and of one size it has one root.
    ///
    /// # Errors
    /// When the newest head is not behind this position.
    pub(super) fn check(&self, newest: &Checkpoint) -> Result<(), CliError> {
        let forked = match &self.head {
            Some(SignedHead {
                checkpoint: mine, ..
            }) => newest.size < mine.size || (newest.size == mine.size && newest.root != mine.root),
            None => false,
        };
        if forked {
            return Err(self.fork(newest.size));
        }
        if newest.size < self.next {
            return Err(CliError::usage(
                format!(
                    "the log has {} entries, and the export begins at {}",
                    newest.size, self.next
                ),
                "begin with a smaller index",
            ));
        }
        Ok(())
    }

    /// The tree at this position is the one that was compared then.
    ///
    /// # Errors
    /// When it is another.
    pub(super) fn check_root(&self, edge: &RightEdge) -> Result<(), CliError> {
        match &self.head {
            Some(head) if head.checkpoint.root != edge.root() => Err(self.fork(self.next)),
            _ => Ok(()),
        }
    }

    fn fork(&self, newest: u64) -> CliError {
        CliError::failed(
            format!(
                "the log was rewritten: of what was exported up to entry {} it shows something else at its size of {newest}",
                self.next
            ),
            "keep the position file and a copy of the data directory: together they prove it; was the master restored from a backup?",
        )
    }
}
