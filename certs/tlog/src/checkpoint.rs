//! The signed head of a log, after c2sp.org/tlog-checkpoint.

use thiserror::Error;

use crate::decimal::parse_u64;
use crate::hash::Hash;
use crate::note::{KeyName, NoteError, SignedNote, SigningKey, VerifierKey};
use crate::tree::MAX_SIZE;

/// What a log says about itself: at `size` entries its root is `root`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log this is: the name of its key.
    pub origin: KeyName,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed: origin, size and root in base64, a line each.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            self.root.to_base64()
        )
    }

    /// Reads the text of a checkpoint. Lines after the first three are passed over, as the format
    /// allows a log to add some.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Spelling`] if it is not one.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text = text.strip_suffix('\n').ok_or(CheckpointError::Spelling)?;
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Spelling);
        let origin = KeyName::new(line()?).map_err(|_| CheckpointError::Spelling)?;
        let size = parse_u64(line()?).ok_or(CheckpointError::Spelling)?;
        let root = Hash::from_base64(line()?).map_err(|_| CheckpointError::Spelling)?;
        if size > MAX_SIZE || lines.any(str::is_empty) {
            return Err(CheckpointError::Spelling);
        }
        Ok(Self { origin, size, root })
    }

    /// The checkpoint as a log publishes it: its text, signed. The origin should be the key's name, or
    /// [`Checkpoint::open`] refuses it.
    ///
    /// Whoever calls this must never sign two roots of one size.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        // Three lines without control characters, as the types guarantee: always fit for a note.
        key.seal(&self.to_text())
    }

    /// Reads a published checkpoint and accepts it if `key` signed it and is named like its origin.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] if it is not signed by that key, or is not a checkpoint of that log.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(note)?.verify(std::slice::from_ref(key))?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != *key.name() {
            return Err(CheckpointError::OtherLog {
                expected: key.name().clone(),
                given: checkpoint.origin,
            });
        }
        Ok(checkpoint)
    }
}

/// Why a checkpoint was not accepted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The note around it was not accepted.
    #[error("the checkpoint cannot be trusted")]
    Note(#[from] NoteError),
    /// Not spelled like a checkpoint.
    #[error(
        "not a checkpoint: it is the log's origin, its size and its root in base64, a line each"
    )]
    Spelling,
    /// Signed by the right key, but for another log.
    #[error("the checkpoint is of the log {given}, not of {expected}")]
    OtherLog {
        /// The log whose key it was opened with.
        expected: KeyName,
        /// The log it names.
        given: KeyName,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::empty_root;

    fn key(name: &str) -> SigningKey {
        SigningKey::from_seed(KeyName::new(name).unwrap(), &[1; 32])
    }

    fn checkpoint() -> Checkpoint {
        let origin = KeyName::new("example.org/log").unwrap();
        Checkpoint {
            origin,
            size: 20_852_163,
            root: empty_root(),
        }
    }

    #[test]
    fn a_checkpoint_opens_with_its_key_only() {
        let key = key("example.org/log");
        let note = checkpoint().sign(&key);
        assert_eq!(Checkpoint::open(&note, key.verifier()), Ok(checkpoint()));
        let other = SigningKey::from_seed(key.name().clone(), &[2; 32]);
        assert_eq!(
            Checkpoint::open(&note, other.verifier()),
            Err(CheckpointError::Note(NoteError::NotSigned))
        );
    }

    #[test]
    fn a_checkpoint_of_another_log_does_not_open() {
        let key = key("example.org/other");
        let note = checkpoint().sign(&key);
        assert!(matches!(
            Checkpoint::open(&note, key.verifier()),
            Err(CheckpointError::OtherLog { .. })
        ));
    }

    #[test]
    fn a_signed_note_that_is_no_checkpoint_does_not_open() {
        let key = key("example.org/log");
        let note = key.sign("example.org/log\nhello\n").unwrap();
        assert_eq!(
            Checkpoint::open(&note, key.verifier()),
            Err(CheckpointError::Spelling)
        );
    }

    #[test]
    fn the_text_has_three_lines_and_further_ones_are_passed_over() {
        let text = checkpoint().to_text();
        assert_eq!(
            text,
            "example.org/log\n20852163\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        );
        assert_eq!(
            Checkpoint::parse(&format!("{text}more\n")),
            Ok(checkpoint())
        );
    }

    #[test]
    fn other_spellings_are_refused() {
        let root = empty_root().to_base64();
        for wrong in [
            String::new(),
            "\n".into(),
            "o\n1\n".into(),
            format!("o\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n9223372036854775808\n{root}\n"),
            format!("o\n1\n{}\n", &root[1..]),
            format!("o\n1\n{root}\n\n"),
            format!("o\n1\n{root}\n\nmore\n"),
            format!("o o\n1\n{root}\n"),
        ] {
            assert_eq!(
                Checkpoint::parse(&wrong),
                Err(CheckpointError::Spelling),
                "{wrong:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_checkpoint_reads_back(size in 0..=MAX_SIZE, root: [u8; 32]) {
            let checkpoint = Checkpoint { size, root: Hash::from_bytes(root), ..checkpoint() };
            prop_assert_eq!(Checkpoint::parse(&checkpoint.to_text()), Ok(checkpoint));
        }

        #[test]
        fn any_text_is_refused_or_begins_as_it_is_written(
            text in "[a-z]{0,3}\n[0-9]{0,20}\n[A-Za-z0-9+/]{42,43}=\n(\\PC{0,9}\n){0,2}|(\\PC|\n)*",
        ) {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert!(text.starts_with(&checkpoint.to_text()));
            }
        }
    }
}
