//! Keys: ECDSA on P-256 and nothing else.

use std::fmt;

use dockmaster_proto::id::{Digest, Serial};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};

use crate::{oid, pem};

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The random source failed.
    #[error("the system's random source gave nothing; a key cannot be made without it")]
    NoRandomness,
    /// The text has no PKCS#8 block.
    #[error(
        "no PRIVATE KEY block (PKCS#8, PEM) found; expected the key file as Dockmaster wrote it"
    )]
    NotPem,
    /// The block is not a P-256 key.
    #[error("the private key is not an ECDSA P-256 key in PKCS#8 ({0})")]
    Rejected(String),
}

/// A private key with its public key. `Debug` shows only the public half.
pub struct KeyPair {
    key: EcdsaKeyPair,
    pkcs8: Vec<u8>,
    public: PublicKey,
    /// Signing draws its nonce here; the system's source holds no state.
    random: SystemRandom,
}

impl KeyPair {
    /// A new key.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, KeyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, random)
            .map_err(|_| KeyError::NoRandomness)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// Reads a key in PKCS#8.
    ///
    /// # Errors
    /// When it is not a P-256 key, or its public half does not belong to its private half.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random)
            .map_err(|error| KeyError::Rejected(error.to_string()))?;
        let public = PublicKey::from_point(key.public_key().as_ref())
            .ok_or_else(|| KeyError::Rejected("compressed point".into()))?;
        Ok(Self {
            key,
            pkcs8: der.to_vec(),
            public,
            random,
        })
    }

    /// Reads the first PKCS#8 block of a PEM text.
    ///
    /// # Errors
    /// When there is none or it is not a P-256 key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::NotPem)?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    /// The private key as a PKCS#8 PEM block. It is a secret: write it with mode 0600.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode("PRIVATE KEY", &self.pkcs8)
    }

    /// The private key as TLS libraries take it.
    #[must_use]
    pub fn to_private_key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pkcs8.clone()).into()
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// An ECDSA signature over SHA-256, in DER.
    pub(crate) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.key
            .sign(&self.random, message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| KeyError::NoRandomness)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl rcgen::PublicKeyData for KeyPair {
    fn der_bytes(&self) -> &[u8] {
        self.public.point()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for KeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signature(message)
            .map_err(|_| rcgen::Error::RingUnspecified)
    }
}

/// The length of a P-256 SubjectPublicKeyInfo in DER.
const SPKI_LENGTH: usize = 91;

/// A P-256 public key whose holder has shown to have the private key: it comes from a [`KeyPair`]
/// in our own hands or from a [`crate::csr::VerifiedCsr`], and from nowhere else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    spki: [u8; SPKI_LENGTH],
}

impl PublicKey {
    pub(crate) fn from_spki(der: &[u8]) -> Option<Self> {
        let spki: [u8; SPKI_LENGTH] = der.try_into().ok()?;
        let (prefix, point) = spki.split_at(oid::P256_SPKI_PREFIX.len());
        (prefix == oid::P256_SPKI_PREFIX && point[0] == 0x04).then_some(Self { spki })
    }

    fn from_point(point: &[u8]) -> Option<Self> {
        Self::from_spki(&[oid::P256_SPKI_PREFIX, point].concat())
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of the DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_sha256(&self) -> Digest {
        Digest::of(&self.spki)
    }

    /// The key identifier: the first 160 bits of [`Self::spki_sha256`] (RFC 7093 section 2).
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let mut id = [0; 20];
        id.copy_from_slice(&self.spki_sha256().as_bytes()[..20]);
        KeyId(id)
    }

    /// Whether this key made this signature.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.point())
            .verify(message, signature)
            .is_ok()
    }

    fn point(&self) -> &[u8] {
        &self.spki[oid::P256_SPKI_PREFIX.len()..]
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(sha256:{})", self.spki_sha256())
    }
}

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.point()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// A key identifier as certificates carry it (RFC 5280 section 4.2.1.2); 40 hex digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 20]);

impl KeyId {
    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A new certificate serial number: 127 random bits under a clear highest bit, never zero.
///
/// # Errors
/// When the random source fails.
pub fn random_serial(random: &dyn SecureRandom) -> Result<Serial, KeyError> {
    let mut bytes = [0; 16];
    random
        .fill(&mut bytes)
        .map_err(|_| KeyError::NoRandomness)?;
    bytes[0] &= 0x7f;
    if bytes == [0; 16] {
        // Once in 2^127: a working source does not do this.
        return Err(KeyError::NoRandomness);
    }
    Ok(Serial::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_its_pem() {
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        let again = KeyPair::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        let signature = again.signature(b"message").unwrap();
        assert!(key.public_key().verifies(b"message", &signature));
        assert!(!key.public_key().verifies(b"massage", &signature));
    }

    #[test]
    fn debug_output_has_no_secret() {
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public_key().spki_sha256().to_string()));
        assert!(shown.len() < 160, "{shown}");
    }

    #[test]
    fn other_curves_and_other_files_are_no_keys() {
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(matches!(
            KeyPair::from_pem(&p384.serialize_pem()),
            Err(KeyError::Rejected(_))
        ));
        assert_eq!(KeyPair::from_pem("hello").unwrap_err(), KeyError::NotPem);
    }

    #[test]
    fn serials_are_positive_and_differ() {
        let random = SystemRandom::new();
        let serials: std::collections::HashSet<_> =
            (0..64).map(|_| random_serial(&random).unwrap()).collect();
        assert_eq!(serials.len(), 64);
        assert!(serials.iter().all(|serial| serial.as_bytes()[0] < 0x80));
    }
}
