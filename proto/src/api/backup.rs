//! What a backup is made of, beside the public log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// How many blobs may be asked for at once.
pub const MAX_BLOBS: usize = 256;
/// Bytes of blobs in one answer, beyond the first blob.
pub const MAX_BLOB_BYTES: usize = 8 << 20;

/// The answer of `POST /v1/backup`: the small files of a data directory, keys among them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmallFiles {
    /// The newest signed head of the log, whether or not witnesses have cosigned it.
    pub checkpoint: String,
    /// Bytes by path below the data directory.
    pub files: BTreeMap<String, FileBytes>,
}

/// A file's bytes, in base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileBytes(#[serde(with = "crate::base64_bytes")] pub Vec<u8>);

// Keys are among them: no debug output may show them.
impl std::fmt::Debug for SmallFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

/// Which blobs are wanted: at most [`MAX_BLOBS`]. The answer is, in this order and for as many as
/// fit, `length u32 big-endian | bytes`; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedBlobs {
    /// Their digests.
    pub blobs: Vec<Digest>,
}

impl WantedBlobs {
    /// One blob as it stands in the answer.
    pub fn frame(bytes: &[u8], into: &mut Vec<u8>) {
        // No blob is that long.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        into.extend_from_slice(&length.to_be_bytes());
        into.extend_from_slice(bytes);
    }

    /// The blobs of an answer; none when it is cut short.
    #[must_use]
    pub fn unframe(mut answer: &[u8]) -> Option<Vec<&[u8]>> {
        let mut blobs = Vec::new();
        while !answer.is_empty() {
            let (length, rest) = answer.split_first_chunk()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (blob, rest) = rest.split_at_checked(length)?;
            blobs.push(blob);
            answer = rest;
        }
        Some(blobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_come_out_as_they_went_in_and_a_cut_is_noticed() {
        let blobs: [&[u8]; 3] = [b"a", b"", b"ccc"];
        let mut answer = Vec::new();
        for blob in blobs {
            WantedBlobs::frame(blob, &mut answer);
        }
        assert_eq!(WantedBlobs::unframe(&answer).unwrap(), blobs);
        for cut in 1..4 {
            assert_eq!(WantedBlobs::unframe(&answer[..answer.len() - cut]), None);
        }
        assert_eq!(WantedBlobs::unframe(&[]).unwrap().len(), 0);
    }

    #[test]
    fn no_debug_output_shows_a_key() {
        let files = SmallFiles {
            checkpoint: String::new(),
            files: [("ca/root.key".to_owned(), FileBytes(b"secret".to_vec()))].into(),
        };
        assert_eq!(format!("{files:?}"), "{\"ca/root.key\"}");
    }
}
