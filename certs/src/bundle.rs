//! The trust bundle: the roots and the log's verifier key, as one PEM text that agents pin.
//!
//! ```text
//! # dockmaster-log-key: NAME+HASH+KEY
//! -----BEGIN CERTIFICATE-----
//! ...
//! ```
//! The pin is the SHA-256 of the text, so the text has exactly one form: what [`TrustBundle::parse`]
//! accepts, [`TrustBundle::to_pem`] writes to the byte. PEM readers skip the first line, so the text
//! serves as a CA file too.

use dockmaster_proto::id::{TrustDomain, TrustPin};
use rustls_pki_types::{CertificateDer, TrustAnchor, pem::PemObject as _};

use crate::{
    authority::{AuthorityFacts, AuthorityFault, AuthorityKind},
    pem,
};

/// The largest bundle that is read, in bytes.
pub const MAX_BUNDLE_LENGTH: usize = 64 * 1024;
/// The most roots in a bundle; more than two only while authorities are being rotated.
pub const MAX_ROOTS: usize = 8;

const LOG_KEY_PREFIX: &str = "# dockmaster-log-key: ";
const MAX_LOG_KEY_LENGTH: usize = 512;

/// Why a text or a set of roots is no trust bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// More bytes than any bundle has.
    #[error("the trust bundle has {0} bytes; at most {MAX_BUNDLE_LENGTH} are read")]
    TooLarge(usize),
    /// The first line is missing or no verifier key.
    #[error(
        "the trust bundle's first line must be \"# dockmaster-log-key: VERIFIER-KEY\"; get the bundle anew from /v1/trust"
    )]
    LogKey,
    /// No root, or too many.
    #[error("the trust bundle has {0} root certificates; expected 1 to {MAX_ROOTS}")]
    Count(usize),
    /// A certificate that is no root of ours.
    #[error("certificate {number} of the trust bundle is no root of Dockmaster")]
    NotARoot {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it; nothing if it is an intermediate.
        #[source]
        fault: Option<AuthorityFault>,
    },
    /// Roots of several installations.
    #[error("the trust bundle mixes the trust domains {first} and {other}")]
    Mixed {
        /// The first root's.
        first: TrustDomain,
        /// Another root's.
        other: TrustDomain,
    },
    /// Not the one form in which a bundle is written.
    #[error(
        "the trust bundle is not written as Dockmaster writes it (the pin covers every byte); get it anew from /v1/trust"
    )]
    NotCanonical,
}

/// The roots of an installation and the verifier key of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    roots: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    trust_domain: TrustDomain,
    log_key: String,
}

impl TrustBundle {
    /// A bundle of these roots and this verifier key (C2SP signed-note).
    ///
    /// # Errors
    /// When a certificate is no root of ours, the roots are of several trust domains, or the key is
    /// not one line of printable ASCII.
    pub fn new(roots: Vec<CertificateDer<'static>>, log_key: &str) -> Result<Self, BundleError> {
        let printable = log_key.bytes().all(|byte| byte.is_ascii_graphic());
        if log_key.is_empty() || log_key.len() > MAX_LOG_KEY_LENGTH || !printable {
            return Err(BundleError::LogKey);
        }
        if roots.len() > MAX_ROOTS {
            return Err(BundleError::Count(roots.len()));
        }
        let mut anchors = Vec::with_capacity(roots.len());
        let mut trust_domain: Option<TrustDomain> = None;
        for (index, root) in roots.iter().enumerate() {
            let not_a_root = |fault| BundleError::NotARoot {
                number: index + 1,
                fault,
            };
            let facts = AuthorityFacts::parse(root).map_err(|fault| not_a_root(Some(fault)))?;
            if facts.kind != AuthorityKind::Root {
                return Err(not_a_root(None));
            }
            let anchor = webpki::anchor_from_trusted_cert(root)
                .map_err(|_| not_a_root(Some(AuthorityFault::Unreadable)))?;
            anchors.push(anchor.to_owned());
            match &trust_domain {
                Some(first) if *first != facts.trust_domain => {
                    return Err(BundleError::Mixed {
                        first: first.clone(),
                        other: facts.trust_domain,
                    });
                }
                Some(_) => {}
                None => trust_domain = Some(facts.trust_domain),
            }
        }
        Ok(Self {
            trust_domain: trust_domain.ok_or(BundleError::Count(0))?,
            roots,
            anchors,
            log_key: log_key.to_owned(),
        })
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// When the text is larger than [`MAX_BUNDLE_LENGTH`], is not in the one form of a bundle, or its
    /// contents are not what [`Self::new`] accepts.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        if text.len() > MAX_BUNDLE_LENGTH {
            return Err(BundleError::TooLarge(text.len()));
        }
        let (first, blocks) = text.split_once('\n').ok_or(BundleError::LogKey)?;
        let log_key = first
            .strip_prefix(LOG_KEY_PREFIX)
            .ok_or(BundleError::LogKey)?;
        let roots = CertificateDer::pem_slice_iter(blocks.as_bytes())
            .take(MAX_ROOTS + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| BundleError::NotCanonical)?;
        let bundle = Self::new(roots, log_key)?;
        if bundle.to_pem() == text {
            Ok(bundle)
        } else {
            Err(BundleError::NotCanonical)
        }
    }

    /// Whether this bundle may take the place of another one that was trusted before: of the same log
    /// and trust domain, with a root in common. That the sender is a master by the old one is the
    /// caller's to know.
    #[must_use]
    pub fn follows(&self, old: &Self) -> bool {
        self.log_key == old.log_key
            && self.trust_domain == old.trust_domain
            && self.roots.iter().any(|root| old.roots.contains(root))
    }

    /// The text of the bundle.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let blocks = self
            .roots
            .iter()
            .map(|root| pem::encode("CERTIFICATE", root));
        format!("{LOG_KEY_PREFIX}{}\n", self.log_key) + &blocks.collect::<String>()
    }

    /// The pin that agents hold.
    #[must_use]
    pub fn pin(&self) -> TrustPin {
        TrustPin::of(&self.to_pem())
    }

    /// The roots.
    #[must_use]
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// The roots as TLS libraries take them, for a root store.
    #[must_use]
    pub fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The trust domain of all the roots.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The log's verifier key.
    #[must_use]
    pub fn log_key(&self) -> &str {
        &self.log_key
    }
}

#[cfg(test)]
mod tests;
