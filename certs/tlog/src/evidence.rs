//! An entry and its proof in one file: a tlog-proof whose `extra` line holds the entry.
//!
//! The `extra` line is for whatever an application likes, and no signature covers it. Here that does
//! not matter: the entry in it counts only if its leaf hash leads to the checkpoint.

use crate::checkpoint::Checkpoint;
use crate::note::VerifierKey;
use crate::proof::{TlogProof, TlogProofError};

/// An entry with what proves that it is in the log. As a file it is named `*.tlog-proof`, and any
/// reader of that format can check it with the entry at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The entry as it is in the log.
    pub entry: Vec<u8>,
    /// The proof.
    pub proof: TlogProof,
}

impl Evidence {
    /// The file.
    #[must_use]
    pub fn encode(&self) -> String {
        self.proof.encode_with(Some(&self.entry))
    }

    /// Reads a file. What it says is not checked: [`Evidence::verify`] does.
    ///
    /// # Errors
    ///
    /// [`TlogProofError`] if it is no proof file, or has no entry in it.
    pub fn parse(file: &str) -> Result<Self, TlogProofError> {
        let (proof, extra) = TlogProof::take_apart(file)?;
        let entry = extra.ok_or(TlogProofError::NoEntry)?;
        Ok(Self { entry, proof })
    }

    /// Accepts the entry if `key` signed a checkpoint of a log that has it; gives that checkpoint.
    ///
    /// # Errors
    ///
    /// [`TlogProofError`] if the checkpoint is not the log's, or the entry is not in it.
    pub fn verify(&self, key: &VerifierKey) -> Result<Checkpoint, TlogProofError> {
        self.proof.verify(&self.entry, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::tests::{key, proof};
    use crate::testing::entry;

    fn evidence() -> Evidence {
        Evidence {
            entry: entry(3),
            proof: proof(3, 7),
        }
    }

    #[test]
    fn a_file_says_what_it_was_made_of_and_verifies() {
        let evidence = evidence();
        let file = evidence.encode();
        assert_eq!(Evidence::parse(&file), Ok(evidence.clone()));
        assert_eq!(evidence.verify(key().verifier()).unwrap().size, 7);
        // To others it is a proof like any other.
        assert_eq!(TlogProof::parse(&file), Ok(evidence.proof));
    }

    #[test]
    fn another_entry_in_the_file_proves_nothing() {
        let forged = Evidence {
            entry: entry(4),
            ..evidence()
        };
        let read = Evidence::parse(&forged.encode()).unwrap();
        assert!(matches!(
            read.verify(key().verifier()),
            Err(TlogProofError::Inclusion(_))
        ));
    }

    #[test]
    fn a_proof_without_its_entry_is_not_taken() {
        let file = evidence().proof.encode();
        assert_eq!(Evidence::parse(&file), Err(TlogProofError::NoEntry));
    }
}
