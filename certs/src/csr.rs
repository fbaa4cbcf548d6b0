//! Certificate requests (PKCS#10, RFC 2986).
//!
//! A request proves two things: its sender holds the private key, and it was made for this very TLS
//! connection (the challengePassword attribute carries the base64 of the `tls-exporter` value of
//! RFC 9266, as RFC 7030 section 3.5 does it with `tls-unique`). Whatever else it says, names above
//! all, is skipped unread: what a certificate contains is the master's business.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dockmaster_proto::id::Digest;

use crate::{
    der::{self, DerError, Reader},
    key::{KeyError, KeyPair, PublicKey},
    oid,
};

/// The largest request that is looked at, in bytes.
pub const MAX_REQUEST_LENGTH: usize = 8 * 1024;

/// Why a request is not acceptable. Every one of these is the requester's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More bytes than any honest request has.
    #[error("the certificate request has {0} bytes; at most {MAX_REQUEST_LENGTH} are read")]
    TooLarge(usize),
    /// Not the DER of a request.
    #[error("the certificate request is not a PKCS#10 request in DER")]
    Malformed(#[from] DerError),
    /// Another kind of key.
    #[error(
        "the key in the certificate request is not an ECDSA P-256 key; no other kind is certified"
    )]
    WrongKey,
    /// Another kind of signature.
    #[error("the certificate request is not signed with ECDSA and SHA-256")]
    WrongSignatureAlgorithm,
    /// The signature does not fit.
    #[error(
        "the certificate request's signature is not by its own key, so nothing shows that the requester holds it"
    )]
    NoPossession,
    /// No binding to a connection.
    #[error(
        "the certificate request has no challengePassword attribute that binds it to this connection"
    )]
    NoBinding,
    /// Bound to another connection.
    #[error(
        "the certificate request was made for another connection; make a new one for each connection"
    )]
    WrongBinding,
}

/// A request whose sender holds its key and made it for the connection that it came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCsr {
    key: PublicKey,
    sha256: Digest,
}

impl VerifiedCsr {
    /// Reads and verifies a request. `expected_binding` is the TLS exporter value of the connection
    /// that it came by: label `EXPORTER-Channel-Binding`, empty context, 32 bytes (RFC 9266).
    ///
    /// # Errors
    /// When the request is larger than [`MAX_REQUEST_LENGTH`], is not DER to its last byte, has a key
    /// other than P-256, is not signed by that key, or is not bound to the connection.
    pub fn parse(der: &[u8], expected_binding: &[u8; 32]) -> Result<Self, CsrError> {
        if der.len() > MAX_REQUEST_LENGTH {
            return Err(CsrError::TooLarge(der.len()));
        }
        let mut outer = Reader::new(der);
        let mut request = outer.enter(der::SEQUENCE)?;
        outer.finish()?;
        let info = request.expect(der::SEQUENCE)?;
        let algorithm = request.expect(der::SEQUENCE)?;
        let signature = request.expect(der::BIT_STRING)?;
        request.finish()?;

        let mut fields = Reader::new(info.content);
        if fields.integer()? != 0 {
            return Err(DerError::Value("the version").into());
        }
        let _subject = fields.expect(der::SEQUENCE)?;
        let spki = fields.expect(der::SEQUENCE)?;
        let attributes = fields.enter(der::CONTEXT_0)?;
        fields.finish()?;

        let key = PublicKey::from_spki(spki.whole).ok_or(CsrError::WrongKey)?;
        if algorithm.whole != oid::ECDSA_SHA256 {
            return Err(CsrError::WrongSignatureAlgorithm);
        }
        let [0, signature @ ..] = signature.content else {
            return Err(DerError::Value("the signature").into());
        };
        // The cheap check first: a replayed request costs no signature verification.
        check_binding(attributes, expected_binding)?;
        if !key.verifies(info.whole, signature) {
            return Err(CsrError::NoPossession);
        }
        Ok(Self {
            key,
            sha256: Digest::of(der),
        })
    }

    /// The key whose possession the request proved.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256 of the request as it was received.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        self.sha256
    }
}

/// Finds the one challengePassword among the attributes and compares it.
fn check_binding(mut attributes: Reader<'_>, expected: &[u8; 32]) -> Result<(), CsrError> {
    let mut binding = None;
    while !attributes.is_empty() {
        let mut attribute = attributes.enter(der::SEQUENCE)?;
        let kind = attribute.expect(der::OID)?.content;
        let mut values = attribute.enter(der::SET)?;
        attribute.finish()?;
        if kind != oid::CHALLENGE_PASSWORD_DER {
            continue;
        }
        let value = values.any()?;
        values.finish()?;
        if ![der::PRINTABLE_STRING, der::UTF8_STRING, der::IA5_STRING].contains(&value.tag) {
            return Err(DerError::Value("the type of challengePassword").into());
        }
        if binding.replace(value.content).is_some() {
            return Err(DerError::Value("a second challengePassword").into());
        }
    }
    match binding {
        None => Err(CsrError::NoBinding),
        Some(text) if text == STANDARD.encode(expected).as_bytes() => Ok(()),
        Some(_) => Err(CsrError::WrongBinding),
    }
}

/// The DER of a request for this key, bound to the connection whose TLS exporter value is `binding`.
/// It has an empty subject: the master decides all names.
///
/// # Errors
/// When the system's random source fails.
pub fn create_request(key: &KeyPair, binding: &[u8; 32]) -> Result<Vec<u8>, KeyError> {
    let challenge = der::value(der::PRINTABLE_STRING, STANDARD.encode(binding).as_bytes());
    let attribute = der::constructed(
        der::SEQUENCE,
        &[
            der::value(der::OID, oid::CHALLENGE_PASSWORD_DER),
            der::value(der::SET, &challenge),
        ],
    );
    let info = der::constructed(
        der::SEQUENCE,
        &[
            der::integer(0),
            der::value(der::SEQUENCE, &[]),
            key.public_key().spki().to_vec(),
            der::value(der::CONTEXT_0, &attribute),
        ],
    );
    signed(key, info)
}

/// A request with this `CertificationRequestInfo`.
pub(crate) fn signed(key: &KeyPair, info: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    let mut signature = vec![0];
    signature.extend(key.signature(&info)?);
    Ok(der::constructed(
        der::SEQUENCE,
        &[
            info,
            oid::ECDSA_SHA256.to_vec(),
            der::value(der::BIT_STRING, &signature),
        ],
    ))
}

#[cfg(test)]
mod tests;
