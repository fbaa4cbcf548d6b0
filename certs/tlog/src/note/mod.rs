//! Signed text, after c2sp.org/signed-note, and witness cosignatures after c2sp.org/tlog-cosignature.
//!
//! A note is text that ends in a line feed, an empty line, and one signature line for each key. Only
//! Ed25519 is spoken: type 0x01 over the text, and type 0x04 (cosignature) over a time and the text.

mod key;
mod sign;
mod signed;

pub use key::{Algorithm, KeyError, KeyId, KeyName, MAX_NAME_BYTES, VerifierKey};
pub use sign::{Cosigner, SigningKey};
pub use signed::{
    MAX_NOTE_BYTES, MAX_SIGNATURES, MAX_TIME, Note, NoteError, Signature, SignedNote,
    VerifiedSignature,
};
