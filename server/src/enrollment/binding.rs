//! What binds a certificate request to its connection, and that each request counts once.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use dockmaster_proto::id::Digest;

/// Keys that one connection may have certified: far more than an honest agent, which opens a new
/// connection with each new certificate.
const MAX_KEYS: usize = 64;

/// A connection's RFC 9266 `tls-exporter` value, and the keys that were certified on it. A request
/// is good on its own connection only, and there only once: who repeats it gets no second
/// certificate for one key.
#[derive(Debug)]
pub struct Binding {
    exporter: [u8; 32],
    certified: Mutex<HashSet<Digest>>,
}

/// Why a request does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// The key has its certificate, or is about to have it.
    #[error("its key has been certified on this connection already")]
    Repeated,
    /// Too many keys.
    #[error("this connection has had {MAX_KEYS} keys certified, which is all that one may")]
    Full,
}

impl Binding {
    /// The binding of a new connection.
    #[must_use]
    pub fn new(exporter: [u8; 32]) -> Self {
        Self {
            exporter,
            certified: Mutex::default(),
        }
    }

    /// The `tls-exporter` value.
    #[must_use]
    pub const fn exporter(&self) -> &[u8; 32] {
        &self.exporter
    }

    /// Sets a key aside as certified, for good.
    ///
    /// # Errors
    /// When the key was certified before, or too many were.
    pub fn certify_once(&self, key: Digest) -> Result<(), BindingError> {
        self.claim(key).map(Claim::keep)
    }

    /// Sets a key aside as certified. When the claim is dropped without [`Claim::keep`], no
    /// certificate came of it and the key may be tried again.
    ///
    /// # Errors
    /// When the key was certified before, or too many were.
    pub(crate) fn claim(&self, key: Digest) -> Result<Claim<'_>, BindingError> {
        let mut certified = self
            .certified
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if certified.contains(&key) {
            return Err(BindingError::Repeated);
        }
        if certified.len() >= MAX_KEYS {
            return Err(BindingError::Full);
        }
        certified.insert(key);
        Ok(Claim {
            binding: self,
            key: Some(key),
        })
    }
}

/// A key that is being certified.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    binding: &'a Binding,
    key: Option<Digest>,
}

impl Claim<'_> {
    /// The certificate exists.
    pub(crate) fn keep(mut self) {
        self.key = None;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.binding
                .certified
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[test]
    fn a_key_is_certified_once_also_while_it_is_being_certified() {
        let binding = Binding::new([0; 32]);
        let first = binding.claim(key(1)).unwrap();
        assert_eq!(binding.claim(key(1)).unwrap_err(), BindingError::Repeated);
        first.keep();
        assert_eq!(binding.claim(key(1)).unwrap_err(), BindingError::Repeated);
        binding.claim(key(2)).unwrap().keep();
    }

    #[test]
    fn a_key_whose_certificate_came_to_nothing_may_be_tried_again() {
        let binding = Binding::new([0; 32]);
        drop(binding.claim(key(1)).unwrap());
        binding.claim(key(1)).unwrap().keep();
    }

    #[test]
    fn a_connection_remembers_no_more_than_it_may() {
        let binding = Binding::new([0; 32]);
        for number in 0..MAX_KEYS {
            let number = u8::try_from(number).unwrap();
            binding.claim(key(number)).unwrap().keep();
        }
        assert_eq!(binding.claim(key(255)).unwrap_err(), BindingError::Full);
    }
}
