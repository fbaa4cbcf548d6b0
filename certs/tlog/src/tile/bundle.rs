//! The contents of an entry bundle.

use std::ops::Range;

use thiserror::Error;

use super::TILE_WIDTH;

/// Longest entry: its length has two bytes.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

const LENGTH_BYTES: usize = 2;

/// Up to 256 neighbouring entries. As a file: each entry behind its length in two bytes, big-endian.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryBundle {
    bytes: Vec<u8>,
    /// Where each entry lies in `bytes`, without its length.
    entries: Vec<Range<usize>>,
}

impl EntryBundle {
    /// A bundle without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a bundle of exactly `width` entries.
    ///
    /// # Errors
    ///
    /// [`BundleError`] if the file is cut short or goes on behind them.
    pub fn parse(bytes: &[u8], width: u16) -> Result<Self, BundleError> {
        if width > TILE_WIDTH {
            return Err(BundleError::Full);
        }
        let mut entries = Vec::with_capacity(usize::from(width));
        let mut at = 0;
        for entry in 0..width {
            let cut = BundleError::CutShort { entry, width };
            let (length, rest) = bytes
                .get(at..)
                .and_then(<[u8]>::split_first_chunk)
                .ok_or(cut.clone())?;
            let length = usize::from(u16::from_be_bytes(*length));
            if length > rest.len() {
                return Err(cut);
            }
            let start = at + LENGTH_BYTES;
            at = start + length;
            entries.push(start..at);
        }
        if at != bytes.len() {
            return Err(BundleError::TooLong {
                width,
                surplus: bytes.len() - at,
            });
        }
        Ok(Self {
            bytes: bytes.to_vec(),
            entries,
        })
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// The file, borrowed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends one entry.
    ///
    /// # Errors
    ///
    /// [`BundleError`] if the entry is longer than [`MAX_ENTRY_BYTES`], or there are 256 already.
    pub fn push(&mut self, entry: &[u8]) -> Result<(), BundleError> {
        if self.entries.len() >= usize::from(TILE_WIDTH) {
            return Err(BundleError::Full);
        }
        let length = u16::try_from(entry.len())
            .map_err(|_| BundleError::EntryTooLong { given: entry.len() })?;
        self.bytes.extend_from_slice(&length.to_be_bytes());
        let start = self.bytes.len();
        self.bytes.extend_from_slice(entry);
        self.entries.push(start..self.bytes.len());
        Ok(())
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at `offset` within the bundle.
    #[must_use]
    pub fn get(&self, offset: usize) -> Option<&[u8]> {
        let range = self.entries.get(offset)?;
        self.bytes.get(range.clone())
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        // Cannot panic: every range was taken from these bytes, which only grow.
        self.entries.iter().map(|range| &self.bytes[range.clone()])
    }
}

/// Bytes that are not the bundle they should be, or an entry that fits into none.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BundleError {
    /// The file ends within an entry.
    #[error("the bundle ends within entry {entry} of {width}")]
    CutShort {
        /// The entry that is not whole, counted from 0.
        entry: u16,
        /// Entries that should be there.
        width: u16,
    },
    /// The file goes on behind the last entry.
    #[error("the bundle goes on for {surplus} bytes after its {width} entries")]
    TooLong {
        /// Entries that should be there.
        width: u16,
        /// Bytes behind them.
        surplus: usize,
    },
    /// A bundle holds no more than 256 entries.
    #[error("a bundle holds at most {TILE_WIDTH} entries")]
    Full,
    /// The entry's length does not fit into two bytes.
    #[error("an entry has at most {MAX_ENTRY_BYTES} bytes, this one has {given}")]
    EntryTooLong {
        /// Bytes of the entry.
        given: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::entry;

    fn bundle(entries: impl IntoIterator<Item = Vec<u8>>) -> EntryBundle {
        let mut bundle = EntryBundle::new();
        for entry in entries {
            bundle.push(&entry).unwrap();
        }
        bundle
    }

    #[test]
    fn two_entries_have_their_worked_bytes() {
        let hex: String = bundle([entry(0), entry(1)])
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "0007656e7472792d300007656e7472792d31");
    }

    #[test]
    fn a_bundle_takes_256_entries_of_65535_bytes_at_most() {
        let mut full = bundle((0..256).map(entry));
        assert_eq!(full.push(b"one more"), Err(BundleError::Full));
        assert_eq!(full.len(), 256);
        let mut bundle = EntryBundle::new();
        bundle.push(&vec![0; MAX_ENTRY_BYTES]).unwrap();
        assert_eq!(
            bundle.push(&vec![0; MAX_ENTRY_BYTES + 1]),
            Err(BundleError::EntryTooLong {
                given: MAX_ENTRY_BYTES + 1
            })
        );
        assert_eq!(bundle.len(), 1);
    }

    #[test]
    fn a_torn_or_overlong_file_is_refused() {
        let whole = bundle([entry(0), entry(1)]).encode();
        for cut in 0..whole.len() {
            assert!(
                EntryBundle::parse(&whole[..cut], 2).is_err(),
                "cut at {cut}"
            );
        }
        assert_eq!(
            EntryBundle::parse(&whole, 1),
            Err(BundleError::TooLong {
                width: 1,
                surplus: 9
            })
        );
        assert_eq!(
            EntryBundle::parse(&whole, 3),
            Err(BundleError::CutShort { entry: 2, width: 3 })
        );
        assert_eq!(EntryBundle::parse(&whole, 257), Err(BundleError::Full));
    }

    proptest! {
        #[test]
        fn entries_read_back(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..=256),
        ) {
            let written = bundle(entries.clone());
            let read = EntryBundle::parse(written.as_bytes(), entries.len() as u16).unwrap();
            prop_assert_eq!(&read, &written);
            prop_assert!(read.iter().eq(entries.iter().map(Vec::as_slice)));
            prop_assert_eq!(read.get(0), entries.first().map(Vec::as_slice));
            prop_assert_eq!(read.get(entries.len()), None);
        }

        #[test]
        fn any_bytes_are_refused_or_read_back(
            bytes in prop::collection::vec(0_u8..4, 0..60), width in 0_u16..10,
        ) {
            if let Ok(read) = EntryBundle::parse(&bytes, width) {
                prop_assert_eq!(read.len(), usize::from(width));
                prop_assert_eq!(bundle(read.iter().map(<[u8]>::to_vec)).encode(), bytes);
            }
        }
    }
}
