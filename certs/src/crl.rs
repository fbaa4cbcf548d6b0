//! Revocation lists (RFC 5280 section 5): made by an authority, and checked before they are kept.
//!
//! A list names every certificate of one authority that ended before its time, until that time is
//! over. The root's own list is empty and lasts as long as the root: an intermediate is not revoked
//! but replaced, and some relying parties (nginx, HAProxy) want a list for each authority of a chain.

use dockmaster_proto::{id::Serial, revocation::RevocationReason, time::UnixMs};
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason as RcgenReason,
    RevokedCertParams, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject as _};
use time::OffsetDateTime;

use crate::{
    authority::{Authority, AuthorityFacts, AuthorityFault, AuthorityKind},
    bundle::TrustBundle,
    der::{self, DerError, Reader},
    form::IssueError,
    key::{KeyId, PublicKey},
    oid, pem,
    validity::{BACKDATE_MS, Validity},
};

/// The largest list that is read, in bytes: some 200 000 certificates.
pub const MAX_LIST_LENGTH: usize = 12 << 20;
/// The most lists in one text.
const MAX_LISTS: usize = 16;

/// A certificate that ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number.
    pub serial: Serial,
    /// When.
    pub at: UnixMs,
    /// Why.
    pub reason: RevocationReason,
}

/// When a list is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTerms {
    /// Grows with each list of an authority.
    pub number: u64,
    /// The time now; the list counts from [`BACKDATE_MS`] before, for readers whose clock is behind.
    pub now: UnixMs,
    /// Until when the next one will be there.
    pub next_update: UnixMs,
}

impl Authority {
    /// Signs the list of its certificates that ended before their time; DER.
    ///
    /// # Errors
    /// When a time cannot be written, or signing fails.
    pub fn revocation_list(
        &self,
        revoked: impl IntoIterator<Item = Revoked>,
        terms: ListTerms,
    ) -> Result<CertificateRevocationListDer<'static>, IssueError> {
        let this_update = UnixMs(terms.now.0.saturating_sub(BACKDATE_MS));
        let bad = || {
            IssueError::BadValidity(Validity {
                not_before: this_update,
                not_after: terms.next_update,
            })
        };
        let at = |time: UnixMs| {
            let seconds = i64::try_from(time.seconds()).ok()?;
            OffsetDateTime::from_unix_timestamp(seconds).ok()
        };
        let revoked_certs = revoked
            .into_iter()
            .map(|revoked| {
                Some(RevokedCertParams {
                    serial_number: SerialNumber::from_slice(revoked.serial.as_bytes()),
                    revocation_time: at(revoked.at)?,
                    reason_code: reason(revoked.reason),
                    invalidity_date: None,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(bad)?;
        let params = CertificateRevocationListParams {
            this_update: at(this_update).ok_or_else(bad)?,
            next_update: at(terms.next_update).ok_or_else(bad)?,
            crl_number: SerialNumber::from_slice(&terms.number.to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::PreSpecified(self.key_id().as_bytes().to_vec()),
        };
        Ok(params.signed_by(self.issuer())?.der().clone())
    }
}

/// RFC 5280 section 5.3.1: "unspecified" is said by saying nothing.
const fn reason(reason: RevocationReason) -> Option<RcgenReason> {
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(RcgenReason::KeyCompromise),
        RevocationReason::AffiliationChanged => Some(RcgenReason::AffiliationChanged),
        RevocationReason::Superseded => Some(RcgenReason::Superseded),
        RevocationReason::CessationOfOperation => Some(RcgenReason::CessationOfOperation),
        RevocationReason::PrivilegeWithdrawn => Some(RcgenReason::PrivilegeWithdrawn),
    }
}

/// A list in PEM.
#[must_use]
pub fn to_pem(der: &[u8]) -> String {
    pem::encode("X509 CRL", der)
}

/// Why a list is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// No list, too many, or a list that is too large.
    #[error("expected 1 to {MAX_LISTS} revocation lists (PEM, X509 CRL) of reasonable size")]
    Count,
    /// It is not DER, or not of the profile.
    #[error("a revocation list cannot be read")]
    Unreadable(#[from] DerError),
    /// An authority's certificate is none.
    #[error("a certificate beside the revocation lists is no authority of Dockmaster")]
    Authority(#[from] AuthorityFault),
    /// No authority below the trust bundle has its issuer's name.
    #[error("a revocation list is of no authority that leads to the trust bundle")]
    UnknownIssuer,
    /// The signature is wrong.
    #[error("the signature of a revocation list is wrong")]
    Signature,
}

/// A list whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedList {
    /// The authority.
    pub issuer: KeyId,
    /// The list's number.
    pub number: u64,
    /// How many certificates it names.
    pub revoked: usize,
}

/// Checks the lists of a PEM text: each is signed by a root of the bundle, or by one of these
/// authorities that a root of the bundle signed.
///
/// # Errors
/// When that does not hold for one of them.
pub fn check(
    text: &str,
    authorities: &[CertificateDer<'_>],
    bundle: &TrustBundle,
) -> Result<Vec<CheckedList>, ListError> {
    if text.len() > 2 * MAX_LIST_LENGTH {
        return Err(ListError::Count);
    }
    let roots = bundle
        .roots()
        .iter()
        .map(|root| AuthorityFacts::parse(root))
        .collect::<Result<Vec<_>, _>>()?;
    let mut issuers = Vec::new();
    for certificate in authorities.iter().take(MAX_LISTS) {
        let facts = AuthorityFacts::parse(certificate)?;
        // One of another root (it was dropped, say) counts for nothing.
        if facts.kind != AuthorityKind::Root
            && roots.iter().any(|root| has_signed(root, certificate))
        {
            issuers.push(facts);
        }
    }
    issuers.extend(roots);
    let lists = CertificateRevocationListDer::pem_slice_iter(text.as_bytes())
        .take(MAX_LISTS + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| ListError::Count)?;
    if lists.is_empty() || lists.len() > MAX_LISTS {
        return Err(ListError::Count);
    }
    lists.iter().map(|list| check_one(list, &issuers)).collect()
}

/// Whether a root of the bundle signed the certificate of this authority.
#[must_use]
pub fn leads_to(authority: &CertificateDer<'_>, bundle: &TrustBundle) -> bool {
    bundle
        .roots()
        .iter()
        .any(|root| AuthorityFacts::parse(root).is_ok_and(|root| has_signed(&root, authority)))
}

/// Whether a certificate is that of a root of ours.
#[must_use]
pub fn is_root(certificate: &CertificateDer<'_>) -> bool {
    AuthorityFacts::parse(certificate).is_ok_and(|facts| facts.kind == AuthorityKind::Root)
}

/// A signed structure: what is signed, and the signature.
fn signed(der: &[u8]) -> Result<(der::Value<'_>, &[u8]), DerError> {
    let mut outer = Reader::new(der);
    let mut parts = outer.enter(der::SEQUENCE)?;
    outer.finish()?;
    let body = parts.expect(der::SEQUENCE)?;
    if parts.any()?.whole != oid::ECDSA_SHA256 {
        return Err(DerError::Value("the signature algorithm"));
    }
    let signature = parts.expect(der::BIT_STRING)?.content;
    parts.finish()?;
    match signature {
        // No unused bits.
        [0, signature @ ..] => Ok((body, signature)),
        _ => Err(DerError::Value("the signature")),
    }
}

fn has_signed(authority: &AuthorityFacts, certificate: &[u8]) -> bool {
    let Ok((body, signature)) = signed(certificate) else {
        return false;
    };
    PublicKey::from_spki(&authority.spki).is_some_and(|key| key.verifies(body.whole, signature))
}

fn check_one(list: &[u8], issuers: &[AuthorityFacts]) -> Result<CheckedList, ListError> {
    let (body, signature) = signed(list)?;
    let mut fields = Reader::new(body.content);
    if fields.integer()? != 1 {
        return Err(DerError::Value("the version of a revocation list").into());
    }
    if fields.any()?.whole != oid::ECDSA_SHA256 {
        return Err(DerError::Value("the signature algorithm").into());
    }
    let name = fields.expect(der::SEQUENCE)?.whole;
    let issuer = issuers
        .iter()
        .find(|issuer| issuer.subject_der == name)
        .ok_or(ListError::UnknownIssuer)?;
    let key = PublicKey::from_spki(&issuer.spki).ok_or(ListError::UnknownIssuer)?;
    if !key.verifies(body.whole, signature) {
        return Err(ListError::Signature);
    }
    // thisUpdate and nextUpdate.
    fields.any()?;
    fields.any()?;
    let mut next = fields.any()?;
    let mut revoked = 0;
    if next.tag == der::SEQUENCE {
        let mut entries = Reader::new(next.content);
        while !entries.is_empty() {
            entries.expect(der::SEQUENCE)?;
            revoked += 1;
        }
        next = fields.any()?;
    }
    fields.finish()?;
    Ok(CheckedList {
        issuer: issuer.key_id,
        number: number(next)?,
        revoked,
    })
}

/// The CRL number among a list's extensions.
fn number(extensions: der::Value<'_>) -> Result<u64, DerError> {
    if extensions.tag != der::CONTEXT_0 {
        return Err(DerError::Value("the extensions of a revocation list"));
    }
    let mut extensions = Reader::new(extensions.content).enter(der::SEQUENCE)?;
    while !extensions.is_empty() {
        let mut extension = extensions.enter(der::SEQUENCE)?;
        if extension.expect(der::OID)?.content == oid::extension::CRL_NUMBER {
            let value = extension.expect(der::OCTET_STRING)?.content;
            return Reader::new(value).integer();
        }
    }
    Err(DerError::Value("the number of a revocation list"))
}

#[cfg(test)]
mod tests;
