//! Where a template writes to: memory, up to a limit.

use std::io;

use super::MAX_OUTPUT;

#[derive(Default)]
pub(super) struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl Bounded {
    /// Whether more was written than fits.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    /// What was written; none when it is no text.
    pub(super) fn into_text(self) -> Option<String> {
        String::from_utf8(self.bytes).ok()
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT {
            self.full = true;
            return Err(io::Error::other("the output is too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
