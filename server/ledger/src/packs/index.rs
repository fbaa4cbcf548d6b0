//! The index of a pack that takes no more documents: their places by digest, to be searched on disk.
//!
//! ```text
//! magic "DMI1" | count u32 | (digest 32 | at u32 | length u32)*, by digest | CRC-32 u32 over all before it
//! ```
//! All integers are big-endian. It can be made again from its pack at any time.

use std::collections::BTreeMap;
use std::io;

use super::record::Place;
use crate::digest::Digest;

const MAGIC: &[u8; 4] = b"DMI1";
const HEAD_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;
const ENTRY_BYTES: usize = DIGEST_BYTES + 8;
const CRC_BYTES: usize = 4;

/// The bytes of an index.
pub(super) fn encode(places: &BTreeMap<Digest, Place>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + places.len() * ENTRY_BYTES + CRC_BYTES);
    out.extend_from_slice(MAGIC);
    // A pack is smaller than 4 GiB, and each document takes some of it.
    out.extend_from_slice(&(places.len() as u32).to_be_bytes());
    for (digest, place) in places {
        out.extend_from_slice(digest.as_bytes());
        out.extend_from_slice(&place.at.to_be_bytes());
        out.extend_from_slice(&place.length.to_be_bytes());
    }
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

/// The places in an index; none when the bytes are not those of an index.
pub(super) fn decode(index: &[u8]) -> Option<BTreeMap<Digest, Place>> {
    let count = check(index)? as usize;
    let entries = index[HEAD_BYTES..].chunks_exact(ENTRY_BYTES).take(count);
    entries.map(entry).collect()
}

/// One entry.
fn entry(bytes: &[u8]) -> Option<(Digest, Place)> {
    let (digest, place) = bytes.split_at_checked(DIGEST_BYTES)?;
    let (at, length) = place.split_at_checked(4)?;
    let place = Place {
        at: u32::from_be_bytes(at.try_into().ok()?),
        length: u32::from_be_bytes(length.try_into().ok()?),
    };
    Some((Digest::from_bytes(digest.try_into().ok()?), place))
}

/// How many documents an index has; none when the bytes are not those of an index.
pub(super) fn check(index: &[u8]) -> Option<u32> {
    let (covered, crc) = index.split_at_checked(index.len().checked_sub(CRC_BYTES)?)?;
    let count = u32::from_be_bytes(covered.get(4..HEAD_BYTES)?.try_into().ok()?);
    let is_whole = covered.starts_with(MAGIC)
        && covered.len() == HEAD_BYTES + count as usize * ENTRY_BYTES
        && crc32fast::hash(covered).to_be_bytes() == crc;
    is_whole.then_some(count)
}

/// Looks a document up in an index of `count`; `read` gives bytes of it from an offset on.
pub(super) fn find(
    count: u32,
    digest: &Digest,
    read: impl Fn(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<Option<Place>> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut bytes = [0; ENTRY_BYTES];
        let at = HEAD_BYTES as u64 + u64::from(middle) * ENTRY_BYTES as u64;
        read(at, &mut bytes)?;
        let Some((found, place)) = entry(&bytes) else {
            return Ok(None);
        };
        match found.cmp(digest) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Ok(Some(place)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(numbers: impl IntoIterator<Item = u32>) -> BTreeMap<Digest, Place> {
        numbers
            .into_iter()
            .map(|at| (Digest::of(&at.to_be_bytes()), Place { at, length: !at }))
            .collect()
    }

    fn look_up(bytes: &[u8], digest: &Digest) -> Option<Place> {
        let count = check(bytes).unwrap();
        let read = |at: u64, entry: &mut [u8]| {
            let at = usize::try_from(at).unwrap();
            entry.copy_from_slice(&bytes[at..at + entry.len()]);
            Ok(())
        };
        find(count, digest, read).unwrap()
    }

    #[test]
    fn what_is_in_it_is_found_and_nothing_else() {
        for size in (0..70).chain([1000]) {
            let places = index(0..size);
            let bytes = encode(&places);
            assert_eq!(decode(&bytes).as_ref(), Some(&places));
            for (digest, place) in &places {
                assert_eq!(look_up(&bytes, digest), Some(*place));
            }
            for other in size..size + 20 {
                assert_eq!(look_up(&bytes, &Digest::of(&other.to_be_bytes())), None);
            }
        }
    }

    proptest! {
        #[test]
        fn a_damaged_index_is_none(at: prop::sample::Index, bit in 0..8_u32, cut: prop::sample::Index) {
            let bytes = encode(&index(0..20));
            let mut damaged = bytes.clone();
            damaged[at.index(bytes.len())] ^= 1 << bit;
            prop_assert_eq!(check(&damaged), None);
            prop_assert_eq!(check(&bytes[..cut.index(bytes.len())]), None);
        }

        #[test]
        fn any_bytes_are_checked_without_a_panic(bytes: Vec<u8>) {
            let _ = check(&bytes);
        }
    }
}
