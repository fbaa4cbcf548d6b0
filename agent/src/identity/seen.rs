//! The newest head of the log that this container has seen. A log only grows: each newer head has to
//! show that it goes on from this one, so that a master cannot show one history here and another
//! there.

use dockmaster_proto::error::chain;
use dockmaster_tlog::{
    checkpoint::Checkpoint, hash::Hash, note::VerifierKey, tree::verify_consistency,
};

use crate::rundir::{self, RunDir, RunDirError};

/// A signed head of the log that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHead {
    /// What it says.
    checkpoint: Checkpoint,
    /// The signed text.
    note: String,
}

impl SeenHead {
    /// A head that the key signed.
    ///
    /// # Errors
    /// When it did not.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, String> {
        let checkpoint = Checkpoint::open(note, key).map_err(|error| chain(&error))?;
        Ok(Self {
            checkpoint,
            note: note.to_owned(),
        })
    }

    /// The one that an earlier life of this container left. One that cannot be read or is of another
    /// log says nothing.
    #[must_use]
    pub fn load(run: &RunDir, key: &VerifierKey) -> Option<Self> {
        let bytes = run.read(rundir::SEEN).ok().flatten()?;
        Self::open(std::str::from_utf8(&bytes).ok()?, key).ok()
    }

    /// Leaves it for the next life.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, run: &RunDir) -> Result<(), RunDirError> {
        run.write(rundir::SEEN, self.note.as_bytes())
    }

    /// The signed text.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Checks that the log of a newer head goes on from this one.
    ///
    /// # Errors
    /// [`Fork`] with both heads, which together prove it: one key signed both.
    pub fn goes_on_to(&self, newer: &Self, proof: &[String]) -> Result<(), Fork> {
        let (old, new) = (&self.checkpoint, &newer.checkpoint);
        let hashes: Result<Vec<Hash>, _> =
            proof.iter().map(|hash| Hash::from_base64(hash)).collect();
        let holds = hashes.is_ok_and(|hashes| {
            verify_consistency(old.size, &old.root, new.size, &new.root, &hashes).is_ok()
        });
        if holds {
            return Ok(());
        }
        Err(Fork {
            what: format!(
                "the master's log of {} entries is not shown to go on from the log of {} entries that this container has seen",
                new.size, old.size
            ),
            heads: format!("{}\n{}", self.note, newer.note),
        })
    }
}

/// A log with two histories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// What is wrong.
    pub what: String,
    /// Both signed heads.
    pub heads: String,
}

#[cfg(test)]
mod tests {
    use dockmaster_tlog::{
        hash::leaf_hash,
        note::{KeyName, SigningKey},
        tree::RightEdge,
    };

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed(KeyName::new("td.example/log").unwrap(), &[1; 32])
    }

    fn head(entries: &[&str]) -> SeenHead {
        let mut edge = RightEdge::new();
        for entry in entries {
            edge.push(leaf_hash(entry.as_bytes()));
        }
        let checkpoint = Checkpoint {
            origin: key().name().clone(),
            size: edge.size(),
            root: edge.root(),
        };
        SeenHead::open(&checkpoint.sign(&key()), key().verifier()).unwrap()
    }

    #[test]
    fn a_log_that_grew_goes_on_and_one_that_was_rewritten_or_shrank_does_not() {
        let old = head(&["a"]);
        let proof = [leaf_hash(b"b").to_base64()];
        assert_eq!(old.goes_on_to(&head(&["a", "b"]), &proof), Ok(()));
        assert_eq!(old.goes_on_to(&old, &[]), Ok(()));
        for (newer, proof) in [
            (head(&["x", "b"]), &proof[..]),
            (head(&["x"]), &[]),
            (head(&["a", "b"]), &[]),
            (head(&[]), &[]),
        ] {
            let fork = old.goes_on_to(&newer, proof).unwrap_err();
            assert!(fork.heads.contains(old.note()) && fork.heads.contains(newer.note()));
        }
        assert!(old.goes_on_to(&head(&["a", "b"]), &["?".into()]).is_err());
    }

    #[test]
    fn what_was_seen_is_remembered_as_long_as_the_log_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path()).unwrap();
        assert_eq!(SeenHead::load(&run, key().verifier()), None);
        let seen = head(&["a", "b"]);
        seen.save(&run).unwrap();
        assert_eq!(SeenHead::load(&run, key().verifier()), Some(seen));
        let other = SigningKey::from_seed(key().name().clone(), &[2; 32]);
        assert_eq!(SeenHead::load(&run, other.verifier()), None);
        run.write(rundir::SEEN, b"garbage").unwrap();
        assert_eq!(SeenHead::load(&run, key().verifier()), None);
    }
}
