//! The cryptography of the dialer: only what a master of ours speaks. All that rustls brings would be
//! linked into every agent, and an agent lies in every image.

use std::sync::Arc;

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    crypto::{
        CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
        ring::{cipher_suite, kx_group},
    },
    pki_types::{PrivateKeyDer, SignatureVerificationAlgorithm},
    sign::{Signer, SigningKey},
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
        mapping: &[(SCHEME, &[P256])],
    }
};

#[derive(Debug)]
struct Ring;

impl SecureRandom for Ring {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        use ring::rand::SecureRandom as _;
        SystemRandom::new().fill(bytes).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for Ring {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let unusable =
            || Error::General("the private key is no ECDSA P-256 key in PKCS#8".to_owned());
        let PrivateKeyDer::Pkcs8(der) = &key else {
            return Err(unusable());
        };
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            der.secret_pkcs8_der(),
            &SystemRandom::new(),
        );
        Ok(Arc::new(P256(Arc::new(key.map_err(|_| unusable())?))))
    }
}

/// A private key, and what signs with it.
#[derive(Debug, Clone)]
struct P256(Arc<EcdsaKeyPair>);

const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

impl SigningKey for P256 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SCHEME)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P256 {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.0.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| Error::General("signing failed".to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}
