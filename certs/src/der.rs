//! The little DER (X.690) that is written and read by hand: requests and our private extension.
//!
//! The reader is strict: definite, minimal lengths, one-byte tags, nothing left over. What it reads
//! is at most as large as its caller allowed.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// `[0]`, constructed.
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// Why bytes are not the DER that they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// The bytes end inside a value.
    #[error("the DER ends inside a value")]
    Truncated,
    /// A length or a tag is written in a form that DER forbids or that this profile never uses.
    #[error("a tag or length is not written as DER writes it")]
    NotDer,
    /// Another value was expected.
    #[error("expected tag {expected:#04x}, found {found:#04x}")]
    Unexpected {
        /// The tag that the format prescribes here.
        expected: u8,
        /// The tag that is there.
        found: u8,
    },
    /// Bytes follow the last value.
    #[error("bytes follow the last value")]
    Trailing,
    /// A value is well-formed, but none that the format allows.
    #[error("{0} is not what it should be")]
    Value(&'static str),
}

/// One value: tag, length, content.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 4);
    out.push(tag);
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match significant {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            // At most eight bytes of length, so the count fits the low bits.
            out.push(0x80 | long.len() as u8);
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A value that is made of other values.
pub(crate) fn constructed(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    value(tag, &parts.concat())
}

/// A non-negative INTEGER.
pub(crate) fn integer(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(7);
    let mut content = bytes[zeros..].to_vec();
    if content[0] >= 0x80 {
        content.insert(0, 0);
    }
    value(INTEGER, &content)
}

/// Reads one value after another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// A value as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Tag and length included.
    pub(crate) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value, whatever it is.
    pub(crate) fn any(&mut self) -> Result<Value<'a>, DerError> {
        let (tag, length, header) = match *self.rest {
            [tag, length, ..] if length < 0x80 => (tag, usize::from(length), 2),
            [tag, 0x81, length, ..] if length >= 0x80 => (tag, usize::from(length), 3),
            [tag, 0x82, high, low, ..] if high > 0 => {
                (tag, usize::from(u16::from_be_bytes([high, low])), 4)
            }
            // A revocation list, which alone is that long.
            [tag, 0x83, high, middle, low, ..] if high > 0 => {
                let length = u32::from_be_bytes([0, high, middle, low]);
                (
                    tag,
                    usize::try_from(length).map_err(|_| DerError::NotDer)?,
                    5,
                )
            }
            [_, 0x81] | [_, 0x82] | [_, 0x82, _] | [_] | [] => return Err(DerError::Truncated),
            _ => return Err(DerError::NotDer),
        };
        if tag & 0x1f == 0x1f {
            return Err(DerError::NotDer);
        }
        let (whole, rest) = self
            .rest
            .split_at_checked(header + length)
            .ok_or(DerError::Truncated)?;
        self.rest = rest;
        Ok(Value {
            tag,
            content: &whole[header..],
            whole,
        })
    }

    /// The next value, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Value<'a>, DerError> {
        let value = self.any()?;
        if value.tag == tag {
            Ok(value)
        } else {
            Err(DerError::Unexpected {
                expected: tag,
                found: value.tag,
            })
        }
    }

    /// The next value, opened for reading.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Self, DerError> {
        self.expect(tag).map(|value| Self::new(value.content))
    }

    /// A non-negative INTEGER of at most 64 bits.
    pub(crate) fn integer(&mut self) -> Result<u64, DerError> {
        let content = self.expect(INTEGER)?.content;
        let magnitude = match content {
            [] => return Err(DerError::NotDer),
            [0, next, ..] if *next < 0x80 => return Err(DerError::NotDer),
            [0, rest @ ..] => rest,
            [first, ..] if *first >= 0x80 => return Err(DerError::Value("a negative number")),
            all => all,
        };
        if magnitude.len() > 8 {
            return Err(DerError::Value("a number above 64 bits"));
        }
        Ok(magnitude
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A UTF8String.
    pub(crate) fn utf8(&mut self) -> Result<&'a str, DerError> {
        std::str::from_utf8(self.expect(UTF8_STRING)?.content)
            .map_err(|_| DerError::Value("a text that is not UTF-8"))
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(self) -> Result<(), DerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DerError::Trailing)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_shortest_form_of_a_length_is_read() {
        for bytes in [
            &[0x04, 0x81, 0x01, 0xff][..],
            &[0x04, 0x82, 0x00, 0x01, 0xff],
            &[0x04, 0x80, 0xff, 0x00, 0x00],
            &[0x1f, 0x01, 0xff],
            &[0x04, 0x83, 0x00, 0x00, 0x01, 0xff],
        ] {
            assert_eq!(
                Reader::new(bytes).any().unwrap_err(),
                DerError::NotDer,
                "{bytes:x?}"
            );
        }
        for bytes in [&[][..], &[0x04], &[0x04, 0x02, 0xff], &[0x04, 0x82, 0x01]] {
            assert_eq!(
                Reader::new(bytes).any().unwrap_err(),
                DerError::Truncated,
                "{bytes:x?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_number_reads_back_as_written(number: u64) {
            let der = integer(number);
            let mut reader = Reader::new(&der);
            prop_assert_eq!(reader.integer(), Ok(number));
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn a_value_reads_back_as_written(
            content in prop::collection::vec(any::<u8>(), 0..700),
            more in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let mut der = value(OCTET_STRING, &content);
            let length = der.len();
            der.extend_from_slice(&more);
            let mut reader = Reader::new(&der);
            let read = reader.any().unwrap();
            prop_assert_eq!(read.content, &content[..]);
            prop_assert_eq!(read.whole.len(), length);
            prop_assert_eq!(reader.finish().is_ok(), more.is_empty());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.any().is_ok() {}
            let _ = Reader::new(&bytes).integer();
        }
    }
}
