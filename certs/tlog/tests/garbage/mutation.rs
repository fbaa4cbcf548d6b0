//! What can become of bytes on their way.

use prop::sample::Index;
use proptest::prelude::*;

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    FlipBit(Index, u32),
    Set(Index, u8),
    Cut(Index),
    Remove(Index, Index),
    Insert(Index, Vec<u8>),
    /// Right behind a separator, where a number or a name begins.
    Prefix(Index, u8),
    /// A piece once more, elsewhere.
    Repeat(Index, Index, Index),
    Swap(Index, Index),
    /// From here on it is another right input.
    Splice(Index, Index),
}

/// A few of them, one after the other.
pub(crate) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    prop::collection::vec(mutation(), 1..5)
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    // What the formats give a meaning to.
    let telling = prop::sample::select(b"\n \0+/=.x01\xff\xe2\x80\x94".as_slice());
    let byte = prop_oneof![any::<u8>(), telling.clone()];
    let piece = prop::collection::vec(byte.clone(), 1..40);
    prop_oneof![
        3 => (at(), 0..8_u32).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        3 => (at(), byte).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => at().prop_map(Mutation::Cut),
        2 => (at(), at()).prop_map(|(from, to)| Mutation::Remove(from, to)),
        2 => (at(), piece).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        3 => (at(), telling).prop_map(|(at, byte)| Mutation::Prefix(at, byte)),
        2 => (at(), at(), at()).prop_map(|(from, to, at)| Mutation::Repeat(from, to, at)),
        1 => (at(), at()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        2 => (at(), at()).prop_map(|(at, from)| Mutation::Splice(at, from)),
    ]
}

impl Mutation {
    /// Changes the input; `other` is one that could have stood in its place.
    pub(crate) fn apply(&self, input: &mut Vec<u8>, other: &[u8]) {
        let places = input.len() + 1;
        match self {
            Self::Insert(at, piece) => {
                let at = at.index(places);
                input.splice(at..at, piece.iter().copied());
            }
            Self::Prefix(at, byte) => {
                let behind = |at: usize| at == 0 || b" \n/".contains(&input[at - 1]);
                let begins: Vec<_> = (0..places).filter(|&at| behind(at)).collect();
                input.insert(*at.get(&begins), *byte);
            }
            Self::Splice(at, from) => {
                input.truncate(at.index(places));
                input.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            // The rest needs a byte to do it to.
            _ if input.is_empty() => {}
            Self::FlipBit(at, bit) => *at.get_mut(input) ^= 1_u8 << *bit,
            Self::Set(at, byte) => *at.get_mut(input) = *byte,
            Self::Cut(at) => input.truncate(at.index(places)),
            Self::Remove(from, to) => {
                input.drain(range(from, to, places));
            }
            Self::Repeat(from, to, at) => {
                let piece = input[range(from, to, places)].to_vec();
                let at = at.index(places);
                input.splice(at..at, piece);
            }
            Self::Swap(a, b) => {
                let (a, b) = (a.index(input.len()), b.index(input.len()));
                input.swap(a, b);
            }
        }
    }
}

fn range(a: &Index, b: &Index, places: usize) -> std::ops::Range<usize> {
    let (a, b) = (a.index(places), b.index(places));
    a.min(b)..a.max(b)
}
