//! Notes: reading them, and trusting them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

use super::key::{Algorithm, KeyId, KeyName, VerifierKey};

/// Latest time a cosignature can carry, in seconds since 1970.
pub const MAX_TIME: u64 = i64::MAX as u64;

/// Longest note in bytes.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;

/// Most signatures on a note.
pub const MAX_SIGNATURES: usize = 64;

const SIGNATURE_PREFIX: &str = "\u{2014} ";
const ED25519_BYTES: usize = 64;

/// A note as it was read: nothing in it is to be believed before [`SignedNote::verify`].
/// `Display` writes it out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<Signature>,
}

impl SignedNote {
    /// Reads a note.
    ///
    /// # Errors
    ///
    /// [`NoteError`] if it is not spelled like one, or is too large.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge { given: note.len() });
        }
        // The last empty line separates; the text may have empty lines of its own.
        let at = note.rfind("\n\n").ok_or(NoteError::Spelling)?;
        let (text, rest) = note.split_at(at + 1);
        check_text(text)?;
        let lines = rest
            .strip_prefix('\n')
            .and_then(|rest| rest.strip_suffix('\n'));
        let mut signatures = Vec::new();
        for line in lines.ok_or(NoteError::Spelling)?.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(Signature::parse(line)?);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The text, ending in a line feed. Not to be believed before [`SignedNote::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, by known and unknown keys.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature line, as a witness does.
    ///
    /// # Errors
    ///
    /// [`NoteError::TooManySignatures`] if there is no room.
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Accepts the note if at least one of `keys` signed it. Signatures by other keys are ignored.
    ///
    /// # Errors
    ///
    /// [`NoteError`] if none of the keys signed it, or if a signature that claims to be by one of them
    /// is not: then the note is refused whatever else it carries.
    pub fn verify(self, keys: &[VerifierKey]) -> Result<Note, NoteError> {
        let mut verified: Vec<VerifiedSignature> = Vec::new();
        for signature in &self.signatures {
            let Some(key) = keys.iter().find(|key| signature.claims(key)) else {
                continue;
            };
            let signature = signature.verify(&self.text, key)?;
            // A line written twice counts once; whoever asks for two witnesses means two.
            if !verified
                .iter()
                .any(|known| known.name == signature.name && known.id == signature.id)
            {
                verified.push(signature);
            }
        }
        if verified.is_empty() {
            return Err(NoteError::NotSigned);
        }
        Ok(Note {
            text: self.text,
            signatures: verified,
        })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// One signature line. `Display` writes it without line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    name: KeyName,
    id: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    /// Name of the key that is said to have signed.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Identifier of the key that is said to have signed.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn by(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self {
            name: key.name().clone(),
            id: key.id(),
            bytes,
        }
    }

    fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, rest) = line
            .strip_prefix(SIGNATURE_PREFIX)
            .and_then(|rest| rest.split_once(' '))
            .ok_or(NoteError::Spelling)?;
        let name = KeyName::new(name).map_err(|_| NoteError::Spelling)?;
        let decoded = STANDARD.decode(rest).map_err(|_| NoteError::Spelling)?;
        match decoded.split_first_chunk() {
            Some((id, bytes)) if !bytes.is_empty() => Ok(Self {
                name,
                id: KeyId::from_bytes(*id),
                bytes: bytes.to_vec(),
            }),
            _ => Err(NoteError::Spelling),
        }
    }

    fn claims(&self, key: &VerifierKey) -> bool {
        self.name == *key.name() && self.id == key.id()
    }

    fn verify(&self, text: &str, key: &VerifierKey) -> Result<VerifiedSignature, NoteError> {
        let bad = || NoteError::BadSignature {
            name: self.name.clone(),
            id: self.id,
        };
        let time = match key.algorithm() {
            Algorithm::Ed25519 => {
                check_ed25519(key, text.as_bytes(), &self.bytes).ok_or_else(bad)?;
                None
            }
            Algorithm::Cosignature => {
                let (time, bytes) = self.bytes.split_first_chunk().ok_or_else(bad)?;
                let time = u64::from_be_bytes(*time);
                if time > MAX_TIME {
                    return Err(bad());
                }
                check_ed25519(key, &cosigned_message(text, time), bytes).ok_or_else(bad)?;
                Some(time)
            }
        };
        Ok(VerifiedSignature {
            name: self.name.clone(),
            id: self.id,
            time,
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.as_bytes().as_slice(), &self.bytes].concat();
        write!(
            f,
            "{SIGNATURE_PREFIX}{} {}",
            self.name,
            STANDARD.encode(bytes)
        )
    }
}

/// A note that a known key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<VerifiedSignature>,
}

impl Note {
    /// The signed text, ending in a line feed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which of the known keys signed, each once, in the order of the note.
    #[must_use]
    pub fn signatures(&self) -> &[VerifiedSignature] {
        &self.signatures
    }
}

/// A signature that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// Name of the key.
    pub name: KeyName,
    /// Identifier of the key.
    pub id: KeyId,
    /// For a cosignature, when it was made, in seconds since 1970.
    pub time: Option<u64>,
}

/// Why a note could not be made, read or trusted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoteError {
    /// The text is not fit for a note.
    #[error("the text of a note ends in a line feed, has no other control character, and is short")]
    Text,
    /// The note is above [`MAX_NOTE_BYTES`].
    #[error("a note has at most {MAX_NOTE_BYTES} bytes, this one has {given}")]
    TooLarge {
        /// Bytes of the note.
        given: usize,
    },
    /// The note is above [`MAX_SIGNATURES`].
    #[error("a note has at most {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// Not spelled like a note.
    #[error(
        "not a signed note: it is text, an empty line, then lines like \"\u{2014} NAME BASE64\""
    )]
    Spelling,
    /// None of the known keys signed.
    #[error("the note is not signed by any known key; is the pinned log key that of this log?")]
    NotSigned,
    /// A signature is not by the key it names.
    #[error("the signature of {name} (key {id}) is wrong: the text was changed or forged")]
    BadSignature {
        /// Name of the key.
        name: KeyName,
        /// Identifier of the key.
        id: KeyId,
    },
    /// A time beyond [`MAX_TIME`].
    #[error("cosignature time {time} is out of range (seconds, at most 2^63 - 1)")]
    Time {
        /// The time that was given.
        time: u64,
    },
}

pub(super) fn check_text(text: &str) -> Result<(), NoteError> {
    let control = |byte: u8| byte < b' ' && byte != b'\n';
    if text.len() > MAX_NOTE_BYTES / 2 || !text.ends_with('\n') || text.bytes().any(control) {
        return Err(NoteError::Text);
    }
    Ok(())
}

/// What a witness signs, so that its signature is never taken for a log's.
pub(super) fn cosigned_message(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

fn check_ed25519(key: &VerifierKey, message: &[u8], signature: &[u8]) -> Option<()> {
    if signature.len() != ED25519_BYTES {
        return None;
    }
    UnparsedPublicKey::new(&ED25519, key.public_bytes())
        .verify(message, signature)
        .ok()
}

#[cfg(test)]
mod tests;
