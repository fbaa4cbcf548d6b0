//! Certificates that ended before their time and whose time is not over yet.

use std::collections::{BTreeMap, btree_map::Entry as Slot};

use dockmaster_proto::{
    event::CertRevoked,
    id::{ContainerId, Serial},
    revocation::RevocationReason,
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

use super::CurrentCertificate;

/// How long a certificate stays listed after its time: a relying party's clock may be behind, and
/// RFC 5280 section 3.3 has it on one list that is made after its end.
pub(crate) const GRACE_MS: u64 = 10 * 60 * 1000;

/// A certificate that ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedCertificate {
    /// Its serial number.
    pub serial: Serial,
    /// The key identifier of the authority that signed it, in hex.
    pub issuer_key_id: String,
    /// When it ended.
    pub at_ms: UnixMs,
    /// Why.
    pub reason: RevocationReason,
    /// Until when it would have been valid.
    pub not_after_ms: UnixMs,
}

impl RevokedCertificate {
    /// The end of a certificate.
    #[must_use]
    pub fn new(certificate: CurrentCertificate, at_ms: UnixMs, reason: RevocationReason) -> Self {
        Self {
            serial: certificate.serial,
            issuer_key_id: certificate.issuer_key_id,
            at_ms,
            reason,
            not_after_ms: certificate.not_after_ms,
        }
    }

    /// Whether its time is over, so that no list has to name it.
    #[must_use]
    pub const fn is_over(&self, now: UnixMs) -> bool {
        self.not_after_ms.plus_ms(GRACE_MS).0 <= now.0
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Revocations {
    /// By their end, so that those whose time is over go first.
    by_end: BTreeMap<(UnixMs, Serial), RevokedCertificate>,
    /// How many came in this life of the master.
    count: u64,
}

impl Revocations {
    /// Takes one up. One that is known stays as it is: the first reason counts.
    pub(super) fn insert(&mut self, revoked: RevokedCertificate) {
        let key = (revoked.not_after_ms, revoked.serial);
        if let Slot::Vacant(slot) = self.by_end.entry(key) {
            slot.insert(revoked);
            self.count += 1;
        }
    }

    /// Forgets those whose time is over.
    pub(super) fn forget(&mut self, now: UnixMs) {
        while let Some(first) = self.by_end.first_entry() {
            if !first.get().is_over(now) {
                return;
            }
            first.remove();
        }
    }

    /// All, by their end.
    pub fn iter(&self) -> impl Iterator<Item = &RevokedCertificate> {
        self.by_end.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_end.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_end.is_empty()
    }

    /// Another number whenever one came.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.count
    }
}

/// Why the certificates of an event ended, as a list says it. Entries of older versions have words only.
pub(crate) fn reason(event: &CertRevoked) -> RevocationReason {
    event.code.unwrap_or(match event.reason.as_str() {
        "lease closed" | "container ended" => RevocationReason::CessationOfOperation,
        "superseded" => RevocationReason::Superseded,
        _ => RevocationReason::Unspecified,
    })
}

/// A container that gets no certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// The container.
    pub container: ContainerId,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who banned it.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked(serial: u8, not_after_ms: u64) -> RevokedCertificate {
        RevokedCertificate {
            serial: Serial::from_bytes([serial; 16]),
            issuer_key_id: String::new(),
            at_ms: UnixMs(1),
            reason: RevocationReason::Superseded,
            not_after_ms: UnixMs(not_after_ms),
        }
    }

    #[test]
    fn a_certificate_is_listed_until_its_time_is_well_over() {
        let mut revocations = Revocations::default();
        revocations.insert(revoked(1, 2000));
        revocations.insert(revoked(2, 3000));
        revocations.forget(UnixMs(2000 + GRACE_MS - 1));
        assert_eq!(revocations.len(), 2);
        revocations.forget(UnixMs(2000 + GRACE_MS));
        assert_eq!(revocations.iter().collect::<Vec<_>>(), [&revoked(2, 3000)]);
    }

    #[test]
    fn the_first_reason_counts_and_a_repetition_changes_nothing() {
        let mut revocations = Revocations::default();
        revocations.insert(revoked(1, 2000));
        let version = revocations.version();
        revocations.insert(RevokedCertificate {
            reason: RevocationReason::KeyCompromise,
            ..revoked(1, 2000)
        });
        assert_eq!(revocations.version(), version);
        assert_eq!(
            revocations.iter().next().map(|revoked| revoked.reason),
            Some(RevocationReason::Superseded)
        );
    }
}
