//! One frame of the write-ahead log: bytes to value and back, nothing else.
//!
//! ```text
//! magic "DMF1" | body length u32 | body | CRC-32 u32 over all before it
//! body: old size u64 | time of the last entry u64
//!       entry count u32 | (length u16 | entry)*
//!       blob count u32  | (length u32 | blob)*
//!       new size u64 | root 32 | checkpoint length u16 | checkpoint
//! ```
//! All integers are big-endian. The CRC finds torn and rotten frames; forged ones are found by
//! the root, which recovery recomputes, and by the signature of the checkpoint.

use std::sync::Arc;

use dockmaster_tlog::hash::Hash;

/// The first four bytes of every frame; the digit is the version of the format.
pub(crate) const MAGIC: &[u8; 4] = b"DMF1";
/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 8;
/// No body is longer: 256 of the longest entries, the blobs of one proposal, and the rest.
pub(crate) const MAX_BODY: usize = 24 << 20;
/// No frame holds more entries.
pub(crate) const MAX_ENTRIES: usize = 256;
/// No entry is longer, because entry bundles count in 16 bits.
pub(crate) const MAX_ENTRY_BYTES: usize = u16::MAX as usize;
/// No frame holds more blobs.
pub(crate) const MAX_BLOBS: usize = 4096;
const CRC_BYTES: usize = 4;

/// What one `fdatasync` makes true: the entries from `old_size` on, the blobs they name, and the
/// only checkpoint that is ever signed for the new size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) old_size: u64,
    /// Time of the last entry, so that time goes on increasing after a restart.
    pub(crate) ts_ms: u64,
    pub(crate) entries: Vec<Arc<[u8]>>,
    pub(crate) blobs: Vec<Arc<[u8]>>,
    pub(crate) root: Hash,
    pub(crate) checkpoint: Arc<str>,
}

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The bytes end before the frame does.
    #[error("the frame is cut short")]
    Short,
    /// There is no frame here at all.
    #[error("no frame starts here")]
    Magic,
    /// The length cannot be right.
    #[error("the frame claims {0} bytes, more than any frame has")]
    Length(usize),
    /// The bytes are not those that were written.
    #[error("the frame's checksum is wrong")]
    Crc,
    /// The checksum is right and the content is not.
    #[error("the frame is malformed: {0}")]
    Malformed(&'static str),
}

impl Frame {
    /// Size of the log after this frame.
    pub(crate) fn new_size(&self) -> u64 {
        self.old_size + self.entries.len() as u64
    }

    /// The bytes to append. The limits above hold because the writer keeps them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let entries: usize = self.entries.iter().map(|e| e.len() + 2).sum();
        let blobs: usize = self.blobs.iter().map(|b| b.len() + 4).sum();
        let mut out = Vec::with_capacity(entries + blobs + self.checkpoint.len() + 96);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.old_size.to_be_bytes());
        out.extend_from_slice(&self.ts_ms.to_be_bytes());
        out.extend_from_slice(&be32(self.entries.len()));
        for entry in &self.entries {
            out.extend_from_slice(&be16(entry.len()));
            out.extend_from_slice(entry);
        }
        out.extend_from_slice(&be32(self.blobs.len()));
        for blob in &self.blobs {
            out.extend_from_slice(&be32(blob.len()));
            out.extend_from_slice(blob);
        }
        out.extend_from_slice(&self.new_size().to_be_bytes());
        out.extend_from_slice(self.root.as_bytes());
        out.extend_from_slice(&be16(self.checkpoint.len()));
        out.extend_from_slice(self.checkpoint.as_bytes());
        let body = be32(out.len() - HEADER_BYTES);
        out[4..HEADER_BYTES].copy_from_slice(&body);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads the frame at the start of `bytes` and says how long it is.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Self, usize), FrameError> {
        let head = bytes.get(..MAGIC.len()).ok_or(FrameError::Short)?;
        if head != MAGIC {
            return Err(FrameError::Magic);
        }
        let mut header = Cursor(bytes.get(4..HEADER_BYTES).ok_or(FrameError::Short)?);
        let body_len = header.u32().ok_or(FrameError::Short)? as usize;
        if body_len > MAX_BODY {
            return Err(FrameError::Length(body_len));
        }
        let crc_at = HEADER_BYTES + body_len;
        let stored = Cursor(bytes.get(crc_at..).unwrap_or_default()).u32();
        let stored = stored.ok_or(FrameError::Short)?;
        if crc32fast::hash(&bytes[..crc_at]) != stored {
            return Err(FrameError::Crc);
        }
        let frame = Self::parse_body(&bytes[HEADER_BYTES..crc_at])?;
        Ok((frame, crc_at + CRC_BYTES))
    }

    fn parse_body(body: &[u8]) -> Result<Self, FrameError> {
        let short = FrameError::Malformed("a field is cut short");
        let mut at = Cursor(body);
        let Some(frame) = at.frame() else {
            return Err(short);
        };
        let (frame, new_size) = frame?;
        if !at.0.is_empty() {
            return Err(FrameError::Malformed("bytes follow the checkpoint"));
        }
        if frame.old_size.checked_add(frame.entries.len() as u64) != Some(new_size) {
            return Err(FrameError::Malformed("the sizes and the entries disagree"));
        }
        Ok(frame)
    }
}

/// Reads big-endian fields; `None` at the end of the bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn frame(&mut self) -> Option<Result<(Frame, u64), FrameError>> {
        let old_size = self.u64()?;
        let ts_ms = self.u64()?;
        let count = self.u32()? as usize;
        if count > MAX_ENTRIES {
            return Some(Err(FrameError::Malformed("too many entries")));
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let len = usize::from(self.u16()?);
            entries.push(Arc::from(self.take(len)?));
        }
        let count = self.u32()? as usize;
        if count > MAX_BLOBS {
            return Some(Err(FrameError::Malformed("too many blobs")));
        }
        let mut blobs = Vec::with_capacity(count);
        for _ in 0..count {
            let len = self.u32()? as usize;
            blobs.push(Arc::from(self.take(len)?));
        }
        let new_size = self.u64()?;
        let root = Hash::from_bytes(self.array()?);
        let len = usize::from(self.u16()?);
        let Ok(checkpoint) = str::from_utf8(self.take(len)?) else {
            return Some(Err(FrameError::Malformed("the checkpoint is not text")));
        };
        let checkpoint = Arc::from(checkpoint);
        let frame = Frame {
            old_size,
            ts_ms,
            entries,
            blobs,
            root,
            checkpoint,
        };
        Some(Ok((frame, new_size)))
    }
}

/// Lengths are bounded by the constants of this module, so they fit.
fn be32(len: usize) -> [u8; 4] {
    debug_assert!(len <= MAX_BODY);
    (len as u32).to_be_bytes()
}

fn be16(len: usize) -> [u8; 2] {
    debug_assert!(len <= MAX_ENTRY_BYTES);
    (len as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn frames()(
            old_size in 0..u64::MAX - 1000,
            ts_ms: u64,
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
            blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4),
            root: [u8; 32],
            checkpoint in "[a-z\n]{0,80}",
        ) -> Frame {
            Frame {
                old_size,
                ts_ms,
                entries: entries.into_iter().map(Arc::from).collect(),
                blobs: blobs.into_iter().map(Arc::from).collect(),
                root: Hash::from_bytes(root),
                checkpoint: checkpoint.into(),
            }
        }
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&be32(body.len()));
        out.extend_from_slice(body);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    proptest! {
        #[test]
        fn a_frame_reads_back_whatever_follows_it(frame in frames(), rest: Vec<u8>) {
            let mut bytes = frame.encode();
            let len = bytes.len();
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(Frame::parse(&bytes), Ok((frame, len)));
        }

        #[test]
        fn a_frame_cut_anywhere_is_short(frame in frames(), cut: prop::sample::Index) {
            let bytes = frame.encode();
            let cut = cut.index(bytes.len());
            prop_assert_eq!(Frame::parse(&bytes[..cut]), Err(FrameError::Short));
        }

        #[test]
        fn a_flipped_bit_is_never_accepted(frame in frames(), at: prop::sample::Index, bit in 0..8_u32) {
            let mut bytes = frame.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(Frame::parse(&bytes).is_err());
        }

        #[test]
        fn any_body_under_a_right_checksum_is_read_or_refused(body: Vec<u8>) {
            if let Ok((frame, _)) = Frame::parse(&sealed(&body)) {
                prop_assert_eq!(frame.encode(), sealed(&body));
            }
        }

        #[test]
        fn a_body_with_a_changed_byte_is_read_or_refused(
            frame in frames(), at: prop::sample::Index, value: u8,
        ) {
            let bytes = frame.encode();
            let mut body = bytes[HEADER_BYTES..bytes.len() - CRC_BYTES].to_vec();
            let at = at.index(body.len());
            body[at] = value;
            if let Ok((frame, _)) = Frame::parse(&sealed(&body)) {
                prop_assert_eq!(frame.encode(), sealed(&body));
            }
        }
    }

    /// What can become of a body that somebody seals again.
    #[derive(Debug, Clone)]
    enum Change {
        Flip(prop::sample::Index, u32),
        /// A count or a length of four bytes, such as no body has room for.
        Number(prop::sample::Index, u32),
        Cut(prop::sample::Index),
        Insert(prop::sample::Index, Vec<u8>),
        Repeat(prop::sample::Index, prop::sample::Index),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let at = any::<prop::sample::Index>;
        let number = prop_oneof![
            0..300_u32,
            any::<u32>(),
            Just(u32::MAX),
            Just(MAX_BODY as u32)
        ];
        let change = prop_oneof![
            (at(), 0..8_u32).prop_map(|(at, bit)| Change::Flip(at, bit)),
            (at(), number).prop_map(|(at, number)| Change::Number(at, number)),
            at().prop_map(Change::Cut),
            (at(), prop::collection::vec(any::<u8>(), 1..9))
                .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
            (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        ];
        prop::collection::vec(change, 1..4)
    }

    fn change(body: &mut Vec<u8>, change: &Change) {
        let places = body.len() + 1;
        match change {
            Change::Cut(at) => body.truncate(at.index(places)),
            Change::Insert(at, bytes) => {
                let at = at.index(places);
                body.splice(at..at, bytes.iter().copied());
            }
            Change::Repeat(from, to) => {
                let (from, to) = (from.index(places), to.index(places));
                body.extend_from_within(from.min(to)..from.max(to));
            }
            _ if body.is_empty() => {}
            Change::Flip(at, bit) => *at.get_mut(body) ^= 1_u8 << *bit,
            Change::Number(at, number) => {
                let at = at.index(body.len());
                let bytes = number.to_be_bytes();
                let room = bytes.len().min(body.len() - at);
                body[at..at + room].copy_from_slice(&bytes[..room]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_body_that_was_changed_and_sealed_again_is_read_back_or_refused(
            frame in frames(), changes in changes(), rest: Vec<u8>,
        ) {
            let bytes = frame.encode();
            let mut body = bytes[HEADER_BYTES..bytes.len() - CRC_BYTES].to_vec();
            for each in &changes {
                change(&mut body, each);
                let sealed = sealed(&body);
                if let Ok((read, length)) = Frame::parse(&[&sealed[..], &rest].concat()) {
                    prop_assert_eq!(length, sealed.len());
                    prop_assert_eq!(read.encode(), sealed);
                }
            }
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(
            Frame::parse(&bytes),
            Err(FrameError::Length(u32::MAX as usize))
        );
    }
}
