//! Object identifiers of the profile.
//!
//! Our own arc stands under 1.3.6.1.4.1.32473, the enterprise number that RFC 5612 reserves for
//! examples, so that it can never collide with somebody's registered arc; the sub-arc 8140 is ours.
//! It is a placeholder until a number is registered, and this module is the only place to change.
//! An arc under 2.25 (a UUID) was rejected: its 128-bit component is more than several X.509
//! parsers in wide use can read, and they then refuse the whole certificate.

/// What a host attested of a container, in its certificate: see `profile::extension`.
pub(crate) const CONTAINER_EXTENSION: &[u64] = &[1, 3, 6, 1, 4, 1, 32473, 8140, 1];
/// The same, as the content of a DER OBJECT IDENTIFIER.
pub(crate) const CONTAINER_EXTENSION_DER: &[u8] = b"\x2b\x06\x01\x04\x01\x81\xfd\x59\xbf\x4c\x01";
/// What an operator may do: SEQUENCE {version INTEGER (1), role UTF8String}.
pub(crate) const ROLE_EXTENSION: &[u64] = &[1, 3, 6, 1, 4, 1, 32473, 8140, 2];
/// The same, as the content of a DER OBJECT IDENTIFIER.
pub(crate) const ROLE_EXTENSION_DER: &[u8] = b"\x2b\x06\x01\x04\x01\x81\xfd\x59\xbf\x4c\x02";

/// `serialNumber` in a distinguished name (X.520).
pub(crate) const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];
/// The same, as the content of a DER OBJECT IDENTIFIER.
pub(crate) const SERIAL_NUMBER_DER: &[u8] = b"\x55\x04\x05";

/// The PKCS#9 attribute challengePassword, as the content of a DER OBJECT IDENTIFIER.
pub(crate) const CHALLENGE_PASSWORD_DER: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07";

/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 section 3.2): the whole DER value.
pub(crate) const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";

/// What precedes the 65-byte uncompressed point in the DER SubjectPublicKeyInfo of a P-256 key
/// (RFC 5480 section 2).
pub(crate) const P256_SPKI_PREFIX: &[u8; 26] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// Extensions of RFC 5280 that the profile uses, as contents of DER OBJECT IDENTIFIERs.
pub(crate) mod extension {
    pub(crate) const SUBJECT_KEY_ID: &[u8] = b"\x55\x1d\x0e";
    pub(crate) const CRL_NUMBER: &[u8] = b"\x55\x1d\x14";
    pub(crate) const KEY_USAGE: &[u8] = b"\x55\x1d\x0f";
    pub(crate) const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11";
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
    pub(crate) const AUTHORITY_KEY_ID: &[u8] = b"\x55\x1d\x23";
    pub(crate) const EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1d\x25";
}
