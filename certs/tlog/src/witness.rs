//! Asking a witness for a cosignature, after c2sp.org/tlog-witness (`add-checkpoint`).
//!
//! A witness cosigns the head of a log if it goes on from the last one that it cosigned. Both sides of
//! the exchange are here; sending and remembering are somebody else's.

use thiserror::Error;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::decimal::parse_u64;
use crate::hash::Hash;
use crate::note::{Cosigner, KeyName, MAX_NOTE_BYTES, NoteError, SignedNote, VerifierKey};
use crate::tree::{MAX_PROOF_HASHES, verify_consistency};

/// The path below a witness's submission prefix.
pub const ADD_CHECKPOINT: &str = "add-checkpoint";
/// The media type of an answer that says which size the witness has seen.
pub const SIZE_TYPE: &str = "text/x.tlog.size";
/// Longest request in bytes.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 64 * 64;

/// A request to cosign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness cosigned last; 0 the first time.
    pub old_size: u64,
    /// That the log of that size is the beginning of this one.
    pub proof: Vec<Hash>,
    /// The signed head.
    pub checkpoint: String,
}

impl AddCheckpoint {
    /// The body of the request.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut body = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            body.push_str(&hash.to_base64());
            body.push('\n');
        }
        body.push('\n');
        body.push_str(&self.checkpoint);
        body
    }

    /// Reads a body, as a witness does.
    ///
    /// # Errors
    ///
    /// [`WitnessError::Spelling`] if it is not spelled like one, or is too large.
    pub fn parse(body: &str) -> Result<Self, WitnessError> {
        let spelling = || WitnessError::Spelling;
        if body.len() > MAX_REQUEST_BYTES {
            return Err(spelling());
        }
        let (head, checkpoint) = body.split_once("\n\n").ok_or_else(spelling)?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(parse_u64)
            .ok_or_else(spelling)?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_HASHES {
                return Err(spelling());
            }
            proof.push(Hash::from_base64(line).map_err(|_| spelling())?);
        }
        Ok(Self {
            old_size,
            proof,
            checkpoint: checkpoint.to_owned(),
        })
    }
}

/// What a witness remembers of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The log's key.
    pub key: VerifierKey,
    /// The newest head that was cosigned; none before the first.
    pub head: Option<Checkpoint>,
}

/// Why a witness does not cosign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The head is not signed by the log: 403.
    NotSigned,
    /// The request goes on from another size than the one that was cosigned last, which this is: 409.
    Conflict(u64),
    /// The sizes are the wrong way round: 400.
    Backwards,
    /// The proof does not hold: 422.
    Proof,
}

impl Remembered {
    /// Cosigns a head, when it goes on from the one before; the lines to answer with.
    ///
    /// # Errors
    ///
    /// [`Refused`] when it does not.
    pub fn cosign(
        &mut self,
        request: &AddCheckpoint,
        cosigner: &Cosigner,
        time: u64,
    ) -> Result<String, Refused> {
        let head =
            Checkpoint::open(&request.checkpoint, &self.key).map_err(|_| Refused::NotSigned)?;
        let known = self.head.as_ref().map_or(0, |head| head.size);
        if request.old_size > head.size {
            return Err(Refused::Backwards);
        }
        if request.old_size != known {
            return Err(Refused::Conflict(known));
        }
        if let Some(old) = &self.head {
            verify_consistency(old.size, &old.root, head.size, &head.root, &request.proof)
                .map_err(|_| Refused::Proof)?;
        }
        let mut note = SignedNote::parse(&request.checkpoint).map_err(|_| Refused::NotSigned)?;
        let before = note.signatures().len();
        cosigner
            .cosign(&mut note, time)
            .map_err(|_| Refused::NotSigned)?;
        let lines = note.signatures()[before..].iter();
        self.head = Some(head);
        Ok(lines.map(|line| format!("{line}\n")).collect())
    }
}

/// Takes a witness's answer to a checkpoint: the note with the witness's signatures added to it.
///
/// # Errors
///
/// [`WitnessError`] if there is none by this witness, or it is not good.
pub fn accept(
    checkpoint: &SignedNote,
    answer: &str,
    witness: &VerifierKey,
) -> Result<SignedNote, WitnessError> {
    if answer.len() > MAX_NOTE_BYTES {
        return Err(WitnessError::Spelling);
    }
    // The answer is signature lines; under the text they make a note.
    let cosigned = SignedNote::parse(&format!("{}\n{answer}", checkpoint.text()))?;
    let mut note = checkpoint.clone();
    for signature in cosigned.signatures() {
        if signature.name() == witness.name() && signature.id() == witness.id() {
            note.add(signature.clone())?;
        }
    }
    // Verifies what was added, and that something was.
    note.clone()
        .verify(std::slice::from_ref(witness))
        .map_err(|error| match error {
            NoteError::NotSigned => WitnessError::NotCosigned {
                witness: witness.name().clone(),
            },
            error => WitnessError::Note(error),
        })?;
    Ok(note)
}

/// How many of these witnesses cosigned a note. One line with a bad signature counts for nothing.
#[must_use]
pub fn cosignatures(note: &SignedNote, witnesses: &[VerifierKey]) -> usize {
    let good = |witness: &&VerifierKey| note.clone().verify(std::slice::from_ref(witness)).is_ok();
    witnesses.iter().filter(good).count()
}

/// Why an exchange with a witness came to nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WitnessError {
    /// Not spelled like a request or an answer.
    #[error("not spelled as c2sp.org/tlog-witness has it")]
    Spelling,
    /// The answer's signature lines are not good.
    #[error("the witness's signature cannot be taken")]
    Note(#[from] NoteError),
    /// The head is not one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is no signature of the witness in its answer.
    #[error("there is no signature of {witness} in its answer")]
    NotCosigned {
        /// The witness.
        witness: KeyName,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::note::SigningKey;
    use crate::testing::Reference;

    fn log() -> SigningKey {
        SigningKey::from_seed(KeyName::new("example.org/log").unwrap(), &[1; 32])
    }

    fn witness(number: u8) -> Cosigner {
        let name = KeyName::new(format!("example.org/w{number}")).unwrap();
        Cosigner::from_seed(name, &[number; 32])
    }

    fn head(size: u64) -> String {
        let root = Reference::new(size).root(0, size);
        let origin = log().name().clone();
        Checkpoint { origin, size, root }.sign(&log())
    }

    fn request(old: u64, new: u64) -> AddCheckpoint {
        AddCheckpoint {
            old_size: old,
            proof: if old == 0 {
                vec![]
            } else {
                Reference::new(new).consistency(old, new)
            },
            checkpoint: head(new),
        }
    }

    fn remembered() -> Remembered {
        Remembered {
            key: log().verifier().clone(),
            head: None,
        }
    }

    #[test]
    fn a_log_that_grows_is_cosigned_step_by_step() {
        let (mut memory, witness) = (remembered(), witness(2));
        for (old, new) in [(0, 3), (3, 3), (3, 9), (9, 300)] {
            let request = request(old, new);
            let read = AddCheckpoint::parse(&request.encode()).unwrap();
            assert_eq!(read, request);
            let answer = memory.cosign(&read, &witness, 7).unwrap();
            let note = SignedNote::parse(&request.checkpoint).unwrap();
            let note = accept(&note, &answer, witness.verifier()).unwrap();
            assert_eq!(cosignatures(&note, &[witness.verifier().clone()]), 1);
            // It is the log's own head still.
            let text = note.to_string();
            assert_eq!(Checkpoint::open(&text, log().verifier()).unwrap().size, new);
            assert!(text.starts_with(&request.checkpoint));
        }
    }

    #[test]
    fn a_witness_says_what_is_wrong() {
        let (mut memory, witness) = (remembered(), witness(2));
        memory.cosign(&request(0, 5), &witness, 7).unwrap();
        let mut refused =
            |request: &AddCheckpoint| memory.cosign(request, &witness, 7).unwrap_err();
        assert_eq!(refused(&request(0, 9)), Refused::Conflict(5));
        assert_eq!(refused(&request(3, 9)), Refused::Conflict(5));
        let mut wrong = request(5, 9);
        wrong.proof.pop();
        assert_eq!(refused(&wrong), Refused::Proof);
        let mut wrong = request(5, 9);
        wrong.old_size = 10;
        assert_eq!(refused(&wrong), Refused::Backwards);
        let mut wrong = request(5, 9);
        wrong.checkpoint = wrong.checkpoint.replace("\n9\n", "\n8\n");
        assert_eq!(refused(&wrong), Refused::NotSigned);
    }

    #[test]
    fn only_the_witness_that_was_asked_is_taken_from_an_answer() {
        let note = SignedNote::parse(&head(5)).unwrap();
        let answer = |number| {
            remembered()
                .cosign(&request(0, 5), &witness(number), 7)
                .unwrap()
        };
        let (asked, other) = (witness(2), witness(3));
        let both = answer(3) + &answer(2);
        let taken = accept(&note, &both, asked.verifier()).unwrap();
        assert_eq!(taken.signatures().len(), 2);
        assert!(matches!(
            accept(&note, &answer(3), asked.verifier()),
            Err(WitnessError::NotCosigned { .. })
        ));
        // A cosignature of another head does not fit under this one.
        let elsewhere = remembered().cosign(&request(0, 6), &asked, 7).unwrap();
        assert!(matches!(
            accept(&note, &elsewhere, asked.verifier()),
            Err(WitnessError::Note(_))
        ));
        for garbage in ["", "\n", "garbage\n", "— x y\n"] {
            assert!(
                accept(&note, garbage, asked.verifier()).is_err(),
                "{garbage:?}"
            );
        }
        let keys = [asked.verifier().clone(), other.verifier().clone()];
        assert_eq!(cosignatures(&taken, &keys), 1);
        let taken = accept(&taken, &both, other.verifier()).unwrap();
        assert_eq!(cosignatures(&taken, &keys), 2);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in "\\PC{0,300}", lines in "(— )?[ -~\\n]{0,200}") {
            let _ = AddCheckpoint::parse(&body);
            let _ = AddCheckpoint::parse(&format!("old 1\n{lines}\n\n{body}"));
            let note = SignedNote::parse(&head(1)).unwrap();
            let _ = accept(&note, &lines, witness(2).verifier());
        }
    }
}
