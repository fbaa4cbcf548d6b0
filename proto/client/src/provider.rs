//! The cryptography of the dialer: only what a master of ours speaks. All that rustls brings would be
//! linked into every agent, and an agent lies in every image.

use std::sync::Arc;

use rustls::{
    Error, SignatureScheme,
    crypto::{
        CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
        ring::{cipher_suite, kx_group, sign},
    },
    pki_types::{PrivateKeyDer, SignatureVerificationAlgorithm},
    sign::SigningKey,
};
use webpki::ring::ECDSA_P256_SHA256;

/// TLS 1.3 with AES-128-GCM or ChaCha20-Poly1305, X25519 or P-256, certificates with ECDSA P-256.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        signature_verification_algorithms: ALGORITHMS,
        secure_random: &Ring,
        key_provider: &Ring,
    })
}

/// The profile of the certificates knows one algorithm.
const ALGORITHMS: WebPkiSupportedAlgorithms = {
    const P256: &dyn SignatureVerificationAlgorithm = ECDSA_P256_SHA256;
    WebPkiSupportedAlgorithms {
        all: &[P256],
        mapping: &[(SignatureScheme::ECDSA_NISTP256_SHA256, &[P256])],
    }
};

#[derive(Debug)]
struct Ring;

impl SecureRandom for Ring {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        use ring::rand::SecureRandom as _;
        ring::rand::SystemRandom::new()
            .fill(bytes)
            .map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for Ring {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        sign::any_ecdsa_type(&key)
    }
}
