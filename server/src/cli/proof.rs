//! Proofs that the master gives, held against the log's key before anything is said of them.

use dockmaster_tlog::{evidence::Evidence, proof::TlogProof};

use super::{error::CliError, remote::Remote};

/// An entry that the log proves.
pub(crate) struct Proven {
    /// The entry and its proof.
    pub(crate) evidence: Evidence,
    /// How many entries the head counts that proves it.
    pub(crate) size: u64,
}

impl Proven {
    /// Checks what the master says of an entry.
    ///
    /// # Errors
    /// When the proof cannot be read, or does not hold.
    pub(crate) fn check(remote: &Remote, entry: &str, proof: &str) -> Result<Self, CliError> {
        let proof = TlogProof::parse(proof)
            .map_err(|error| CliError::because("the master's proof cannot be read", &error, ""))?;
        let evidence = Evidence {
            entry: entry.as_bytes().to_vec(),
            proof,
        };
        let head = evidence.verify(remote.log_key()).map_err(|error| {
            CliError::because(
                format!("the master does not prove entry {}", evidence.proof.index),
                &error,
                "run \"dockmaster audit verify\"; is the context of this installation?",
            )
        })?;
        let size = head.size;
        Ok(Self { evidence, size })
    }
}
