//! One file that proves an entry offline, after c2sp.org/tlog-proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::decimal::parse_u64;
use crate::hash::{Hash, leaf_hash};
use crate::note::{MAX_NOTE_BYTES, VerifierKey};
use crate::tree::{MAX_PROOF_HASHES, MAX_SIZE, ProofError, verify_inclusion};

/// Longest proof file in bytes: a note, the hashes, and room for extra data.
pub const MAX_PROOF_BYTES: usize = 2 * MAX_NOTE_BYTES;

const HEADER: &str = "c2sp.org/tlog-proof@v1\n";

/// That an entry is in a log: its index, the hashes from its leaf to the root, and the signed checkpoint
/// with that root. As a file it is named `*.tlog-proof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Index of the entry in the log.
    pub index: u64,
    /// Inclusion proof, the leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, exactly as it was published.
    pub checkpoint: String,
}

impl TlogProof {
    /// The file.
    #[must_use]
    pub fn encode(&self) -> String {
        self.encode_with(None)
    }

    pub(crate) fn encode_with(&self, extra: Option<&[u8]>) -> String {
        let extra = extra.map(|extra| format!("extra {}\n", STANDARD.encode(extra)));
        let extra = extra.unwrap_or_default();
        let mut file = format!("{HEADER}{extra}index {}\n", self.index);
        for hash in &self.hashes {
            file.push_str(&hash.to_base64());
            file.push('\n');
        }
        file.push('\n');
        file.push_str(&self.checkpoint);
        file
    }

    /// Reads a proof file. An `extra` line is passed over: nothing signs it.
    ///
    /// The checkpoint is taken as it is; [`TlogProof::verify`] reads it.
    ///
    /// # Errors
    ///
    /// [`TlogProofError`] if the file is not spelled like one, or is too large.
    pub fn parse(file: &str) -> Result<Self, TlogProofError> {
        Self::take_apart(file).map(|(proof, _)| proof)
    }

    /// The proof, and what the `extra` line holds.
    pub(crate) fn take_apart(file: &str) -> Result<(Self, Option<Vec<u8>>), TlogProofError> {
        if file.len() > MAX_PROOF_BYTES {
            return Err(TlogProofError::TooLarge { given: file.len() });
        }
        let spelling = || TlogProofError::Spelling;
        let rest = file.strip_prefix(HEADER).ok_or_else(spelling)?;
        let (head, checkpoint) = rest.split_once("\n\n").ok_or_else(spelling)?;
        let mut lines = head.split('\n').peekable();
        let extra = lines.peek().and_then(|line| line.strip_prefix("extra "));
        let extra = extra
            .map(|extra| STANDARD.decode(extra).map_err(|_| spelling()))
            .transpose()?;
        if extra.is_some() {
            lines.next();
        }
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_u64)
            .filter(|index| *index < MAX_SIZE)
            .ok_or_else(spelling)?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == MAX_PROOF_HASHES {
                return Err(spelling());
            }
            hashes.push(Hash::from_base64(line).map_err(|_| spelling())?);
        }
        let proof = Self {
            index,
            hashes,
            checkpoint: checkpoint.to_owned(),
        };
        Ok((proof, extra))
    }

    /// Accepts the proof if it leads from `entry` to a checkpoint that `key` signed; gives that
    /// checkpoint.
    ///
    /// # Errors
    ///
    /// [`TlogProofError`] if the checkpoint is not the log's, or the entry is not in it.
    pub fn verify(&self, entry: &[u8], key: &VerifierKey) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        verify_inclusion(
            &leaf_hash(entry),
            self.index,
            checkpoint.size,
            &self.hashes,
            &checkpoint.root,
        )?;
        Ok(checkpoint)
    }
}

/// Why a proof file proves nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TlogProofError {
    /// The file is above [`MAX_PROOF_BYTES`].
    #[error("a proof file has at most {MAX_PROOF_BYTES} bytes, this one has {given}")]
    TooLarge {
        /// Bytes of the file.
        given: usize,
    },
    /// Not spelled like a proof file.
    #[error(
        "not a proof file: it is the line c2sp.org/tlog-proof@v1, a line \"index N\", hashes in \
         base64, an empty line and a checkpoint"
    )]
    Spelling,
    /// There is a proof, and no entry that it is for.
    #[error("the proof file does not hold the entry that it is for, in a line \"extra BASE64\"")]
    NoEntry,
    /// The checkpoint in it was not accepted.
    #[error("the proof's checkpoint was not accepted")]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead from the entry to the checkpoint.
    #[error("the entry is not shown to be in the log")]
    Inclusion(#[from] ProofError),
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::note::{KeyName, SigningKey};
    use crate::testing::{Reference, entry};

    pub(crate) fn key() -> SigningKey {
        SigningKey::from_seed(KeyName::new("example.org/log").unwrap(), &[1; 32])
    }

    pub(crate) fn proof(index: u64, size: u64) -> TlogProof {
        let reference = Reference::new(size);
        let root = reference.root(0, size);
        let checkpoint = Checkpoint {
            origin: key().name().clone(),
            size,
            root,
        };
        TlogProof {
            index,
            hashes: reference.inclusion(index, 0, size),
            checkpoint: checkpoint.sign(&key()),
        }
    }

    #[test]
    fn a_proof_file_proves_its_entry_and_no_other() {
        for size in [1, 2, 5, 64, 100] {
            for index in [0, size / 2, size - 1] {
                let file = proof(index, size).encode();
                let read = TlogProof::parse(&file).unwrap();
                assert_eq!(read.encode(), file);
                let checkpoint = read.verify(&entry(index), key().verifier()).unwrap();
                assert_eq!(checkpoint.size, size);
                assert_eq!(
                    read.verify(b"another entry", key().verifier()),
                    Err(TlogProofError::Inclusion(ProofError::NotThisRoot))
                );
            }
        }
    }

    #[test]
    fn a_proof_under_another_key_proves_nothing() {
        let other = SigningKey::from_seed(key().name().clone(), &[2; 32]);
        assert!(matches!(
            proof(3, 7).verify(&entry(3), other.verifier()),
            Err(TlogProofError::Checkpoint(_))
        ));
    }

    #[test]
    fn extra_data_is_passed_over() {
        let file = proof(3, 7).encode();
        let extra = |line: &str| file.replace("index", &format!("{line}\nindex"));
        assert_eq!(TlogProof::parse(&extra("extra AAECAwQ=")), Ok(proof(3, 7)));
        for wrong in ["extra", "extra ???", "extra AAEC\nextra AAEC", "other AAEC"] {
            assert_eq!(
                TlogProof::parse(&extra(wrong)),
                Err(TlogProofError::Spelling),
                "{wrong}"
            );
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let hash = crate::hash::empty_root().to_base64();
        for wrong in [
            String::new(),
            HEADER.into(),
            format!("{HEADER}index 0\n"),
            format!("{HEADER}\nindex 0\n\n"),
            format!("{HEADER}index 00\n\n"),
            format!("{HEADER}index -1\n\n"),
            format!("{HEADER}index 9223372036854775807\n\n"),
            format!("{HEADER}index 0\nAAAA\n\n"),
            format!("{HEADER}index 0\n{}\n", format!("{hash}\n").repeat(64)),
            format!("c2sp.org/tlog-proof@v2\nindex 0\n{hash}\n\n"),
        ] {
            assert_eq!(
                TlogProof::parse(&wrong),
                Err(TlogProofError::Spelling),
                "{wrong:?}"
            );
        }
        let long = "x".repeat(MAX_PROOF_BYTES + 1);
        assert!(matches!(
            TlogProof::parse(&long),
            Err(TlogProofError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn a_changed_proof_file_proves_nothing(at: prop::sample::Index, by in "\\PC|\n") {
            let mut chars: Vec<String> = proof(3, 7).encode().chars().map(String::from).collect();
            let at = at.index(chars.len());
            prop_assume!(chars[at] != by);
            chars[at] = by;
            let verdict = TlogProof::parse(&chars.concat())
                .and_then(|read| read.verify(&entry(3), key().verifier()));
            prop_assert!(verdict.is_err());
        }

        #[test]
        fn any_file_is_refused_or_read_back(
            rest in "(extra [A-Z]{4}\n)?index [0-9]{1,3}\n([A-Za-z0-9+/]{43}=\n){0,3}\n(\\PC|\n){0,30}",
            noise in "(\\PC|\n)*",
        ) {
            prop_assert!(TlogProof::parse(&noise).is_err());
            let file = format!("{HEADER}{rest}");
            if let Ok(read) = TlogProof::parse(&file)
                && !rest.starts_with("extra")
            {
                prop_assert_eq!(read.encode(), file);
            }
        }
    }
}
