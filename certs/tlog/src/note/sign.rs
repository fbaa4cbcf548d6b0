//! Private keys of logs and witnesses.

use std::fmt;

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::key::{Algorithm, KeyName, VerifierKey};
use super::signed::{MAX_TIME, NoteError, Signature, SignedNote, check_text, cosigned_message};

/// A log's private key (type 0x01). `Debug` shows its public half only.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl SigningKey {
    /// Makes the key from its 32-byte seed (RFC 8032) and its name.
    #[must_use]
    pub fn from_seed(name: KeyName, seed: &[u8; 32]) -> Self {
        let (pair, verifier) = key_pair(name, Algorithm::Ed25519, seed);
        Self { pair, verifier }
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The key's name; for a log, its origin.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        self.verifier.name()
    }

    /// Signs `text`: the whole note, with this one signature.
    ///
    /// # Errors
    ///
    /// [`NoteError::Text`] if the text does not end in a line feed, holds another control character,
    /// or is too long.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        Ok(self.seal(text))
    }

    /// Signs text that is known to be fit for a note.
    pub(crate) fn seal(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let signature = Signature::by(&self.verifier, signature.as_ref().to_vec());
        format!("{text}\n{signature}\n")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, seed redacted)", self.verifier)
    }
}

/// A witness's private key (type 0x04). `Debug` shows its public half only.
///
/// The signed message does not name the witness, so give every witness a seed of its own.
pub struct Cosigner {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl Cosigner {
    /// Makes the key from its 32-byte seed (RFC 8032) and its name.
    #[must_use]
    pub fn from_seed(name: KeyName, seed: &[u8; 32]) -> Self {
        let (pair, verifier) = key_pair(name, Algorithm::Cosignature, seed);
        Self { pair, verifier }
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Adds a cosignature to a checkpoint's note: "at `time` (seconds since 1970, at most
    /// [`MAX_TIME`]) this was the largest consistent tree I had seen of this log". The caller has
    /// verified exactly that.
    ///
    /// # Errors
    ///
    /// [`NoteError`] if the time is out of range or the note has no room for another signature.
    pub fn cosign(&self, note: &mut SignedNote, time: u64) -> Result<(), NoteError> {
        if time > MAX_TIME {
            return Err(NoteError::Time { time });
        }
        let signature = self.pair.sign(&cosigned_message(note.text(), time));
        let mut bytes = time.to_be_bytes().to_vec();
        bytes.extend_from_slice(signature.as_ref());
        note.add(Signature::by(&self.verifier, bytes))
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({}, seed redacted)", self.verifier)
    }
}

fn key_pair(name: KeyName, algorithm: Algorithm, seed: &[u8; 32]) -> (Ed25519KeyPair, VerifierKey) {
    #[expect(
        clippy::expect_used,
        reason = "only a seed of another length than 32 is refused"
    )]
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed of 32 bytes");
    let mut public = [0; 32];
    // Cannot panic: an Ed25519 public key has exactly 32 bytes.
    public.copy_from_slice(pair.public_key().as_ref());
    (pair, VerifierKey::new(name, algorithm, public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;

    fn worked() -> SigningKey {
        let seed = sha256(&[b"dockmaster example log key"]);
        SigningKey::from_seed(
            KeyName::new("dockmaster.example/log1").unwrap(),
            seed.as_bytes(),
        )
    }

    #[test]
    fn the_worked_seed_gives_the_worked_verifier_key() {
        assert_eq!(
            worked().verifier().to_string(),
            "dockmaster.example/log1+2840f4cd+AYQEN9E+ce+faUdAd3gop2OuMkj081gzlxvkWQ7CaABh"
        );
    }

    #[test]
    fn a_private_key_does_not_show_its_seed() {
        let name = KeyName::new("n").unwrap();
        let shown = format!(
            "{:?} {:?}",
            SigningKey::from_seed(name.clone(), &[0x41; 32]),
            Cosigner::from_seed(name, &[0x41; 32])
        );
        for seed in ["4141", "65, 65", "AAAA", "QUFB"] {
            assert!(!shown.contains(seed), "{shown}");
        }
    }

    #[test]
    fn text_that_no_note_can_hold_is_not_signed() {
        for text in ["", "no line feed", "tab\there\n", "cr\r\n"] {
            assert_eq!(worked().sign(text), Err(NoteError::Text), "{text:?}");
        }
    }
}
