//! One document in a pack: bytes to value and back, nothing else.
//!
//! ```text
//! magic "DMB1" | length u32 | SHA-256 of the document 32 | CRC-32 u32 over all before it | document
//! ```
//! All integers are big-endian. The checksum covers the header alone: the document has its digest.

use crate::digest::{Digest, MAX_BLOB_BYTES};

const MAGIC: &[u8; 4] = b"DMB1";
const COVERED: usize = 40;
const HEADER_BYTES: usize = COVERED + 4;

/// Where a document lies in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Of its first byte.
    pub(super) at: u32,
    /// In bytes.
    pub(super) length: u32,
}

impl Place {
    /// Where its header begins.
    pub(super) fn start(self) -> u64 {
        u64::from(self.at).saturating_sub(HEADER_BYTES as u64)
    }

    /// Its length, where a document may have it.
    pub(super) fn length(self) -> Option<usize> {
        let length = self.length as usize;
        (length <= MAX_BLOB_BYTES).then_some(length)
    }
}

/// Appends a document to the end of a pack: `pack_end` is where `out` begins in it. None when no pack
/// has room for it.
pub(super) fn push(
    out: &mut Vec<u8>,
    pack_end: u64,
    digest: &Digest,
    document: &[u8],
) -> Option<Place> {
    let length = u32::try_from(document.len()).ok()?;
    let at = u32::try_from(pack_end + (out.len() + HEADER_BYTES) as u64).ok()?;
    let start = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(digest.as_bytes());
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(document);
    Some(Place { at, length })
}

/// The digest and the length that a header says.
fn header(bytes: &[u8]) -> Option<(Digest, u32)> {
    let (covered, rest) = bytes.split_at_checked(COVERED)?;
    let crc: [u8; 4] = rest.get(..4)?.try_into().ok()?;
    let length = u32::from_be_bytes(covered[4..8].try_into().ok()?);
    let digest: [u8; 32] = covered[8..].try_into().ok()?;
    let is_whole = covered.starts_with(MAGIC)
        && crc32fast::hash(covered) == u32::from_be_bytes(crc)
        && length as usize <= MAX_BLOB_BYTES;
    is_whole.then(|| (Digest::from_bytes(digest), length))
}

/// Finds the documents of a pack, in their order, and where the next one goes: behind the last byte, or
/// where a document begins that the pack ends in the middle of.
///
/// Where a document should begin and no header is, the reader is lost: from there on only documents that
/// are whole are believed, and nothing is cut off, since the bytes may be the inside of another document
/// and look like anything. Otherwise what the documents hold is not looked at.
pub(super) fn scan(pack: &[u8], mut found: impl FnMut(Digest, Place)) -> usize {
    let mut at = 0;
    let mut is_lost = false;
    while at < pack.len() {
        let document = header(&pack[at..]).and_then(|(digest, length)| {
            let begin = at + HEADER_BYTES;
            let content = pack.get(begin..begin + length as usize);
            let is_believed =
                !is_lost || content.is_some_and(|content| Digest::of(content) == digest);
            is_believed.then_some((digest, length, begin, content))
        });
        let Some((digest, length, begin, content)) = document else {
            is_lost = true;
            let rest = &pack[at + 1..];
            let Some(next) = rest.windows(MAGIC.len()).position(|it| it == MAGIC) else {
                break;
            };
            at += 1 + next;
            continue;
        };
        let Some(place) = u32::try_from(begin).ok().filter(|_| content.is_some()) else {
            return at;
        };
        found(digest, Place { at: place, length });
        at = begin + length as usize;
    }
    pack.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(documents: &[Vec<u8>]) -> (Vec<u8>, Vec<(Digest, Place)>) {
        let (mut pack, mut places) = (Vec::new(), Vec::new());
        push_all(&mut pack, documents, &mut places);
        (pack, places)
    }

    fn push_all(pack: &mut Vec<u8>, documents: &[Vec<u8>], places: &mut Vec<(Digest, Place)>) {
        for document in documents {
            let digest = Digest::of(document);
            places.push((digest, push(pack, 0, &digest, document).unwrap()));
        }
    }

    fn scanned(pack: &[u8]) -> (Vec<(Digest, Place)>, usize) {
        let mut found = Vec::new();
        let end = scan(pack, |digest, place| found.push((digest, place)));
        (found, end)
    }

    /// Those that are whole are found, whatever else is, and nothing is cut off.
    fn all_are_found(pack: &[u8], places: &[(Digest, Place)]) {
        let (found, end) = scanned(pack);
        assert!(places.iter().all(|place| found.contains(place)));
        assert_eq!(end, pack.len());
    }

    fn documents() -> impl Strategy<Value = Vec<Vec<u8>>> {
        // Also such as look like headers.
        let document = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            Just(b"DMB1".to_vec()),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(|it| pack(&[it]).0),
        ];
        prop::collection::vec(document, 0..6)
    }

    proptest! {
        #[test]
        fn all_documents_of_a_pack_are_found(documents in documents()) {
            let (bytes, places) = pack(&documents);
            prop_assert_eq!(scanned(&bytes), (places.clone(), bytes.len()));
            for ((_, place), document) in places.iter().zip(&documents) {
                let at = place.at as usize;
                prop_assert_eq!(&bytes[at..at + place.length as usize], &document[..]);
            }
        }

        #[test]
        fn a_pack_cut_anywhere_has_its_whole_documents_and_goes_on(
            documents in documents(), cut: prop::sample::Index, more in documents(),
        ) {
            let (mut bytes, places) = pack(&documents);
            bytes.truncate(cut.index(bytes.len() + 1));
            let mut whole: Vec<_> = places
                .into_iter()
                .filter(|(_, place)| (place.at + place.length) as usize <= bytes.len())
                .collect();
            let (found, end) = scanned(&bytes);
            prop_assert_eq!(&found, &whole);
            bytes.truncate(end);
            push_all(&mut bytes, &more, &mut whole);
            prop_assert_eq!(scanned(&bytes), (whole, bytes.len()));
        }

        #[test]
        fn a_damaged_header_costs_no_other_document(
            before in documents(), damaged in documents(), after in documents(),
            flipped: prop::sample::Index,
        ) {
            let (mut bytes, mut places) = pack(&before);
            let start = bytes.len();
            // With documents inside, as a lost reader comes upon them.
            let (inner, _) = pack(&damaged);
            push_all(&mut bytes, &[inner], &mut Vec::new());
            bytes[start + flipped.index(HEADER_BYTES)] ^= 0x55;
            push_all(&mut bytes, &after, &mut places);
            all_are_found(&bytes, &places);
        }

        #[test]
        fn what_only_looks_like_a_document_hides_none(
            after in documents(), length in 0..4_000_u32, flipped in 0..HEADER_BYTES,
        ) {
            // Inside one whose own header is damaged, a whole document, and behind it the header of one
            // that is not there.
            let mut inner = Vec::new();
            push_all(&mut inner, &[b"whole".to_vec()], &mut Vec::new());
            let end = inner.len() + HEADER_BYTES;
            push(&mut inner, 0, &Digest::of(b""), &vec![7; length as usize]).unwrap();
            inner.truncate(end);
            let (mut bytes, mut places) = (Vec::new(), Vec::new());
            push_all(&mut bytes, &[inner], &mut Vec::new());
            bytes[flipped] ^= 0x55;
            push_all(&mut bytes, &after, &mut places);
            all_are_found(&bytes, &places);
        }

        #[test]
        fn any_bytes_are_a_pack_of_something_or_nothing(bytes: Vec<u8>) {
            let (found, end) = scanned(&bytes);
            prop_assert!(end <= bytes.len());
            for (_, place) in found {
                prop_assert!((place.at + place.length) as usize <= bytes.len());
            }
        }
    }

    #[test]
    fn no_pack_grows_beyond_what_a_place_can_say() {
        let digest = Digest::of(b"x");
        assert_eq!(
            push(&mut Vec::new(), u64::from(u32::MAX), &digest, b"x"),
            None
        );
    }
}
