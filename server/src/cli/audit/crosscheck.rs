//! Log and certificates compared, both ways: what was issued is logged, what is logged is kept.

use std::collections::BTreeMap;

use dockmaster_proto::{
    api::certs::{CertificateDetail, CertificateSummary},
    id::Digest,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::replay::Logged;

/// How a certificate of the listing stands to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the entry at its index.
    Logged,
    /// Its entry is newer than the checkpoint: this time it cannot be said.
    Newer,
    /// It is not what the log says.
    Wrong(String),
}

/// Finds a listed certificate in a log of `size` entries.
pub(super) fn listed(
    certificate: &CertificateSummary,
    log: &BTreeMap<u64, Logged>,
    size: u64,
) -> Standing {
    let CertificateSummary {
        serial,
        index,
        der_sha256,
        ..
    } = certificate;
    if *index >= size {
        return Standing::Newer;
    }
    match log.get(index) {
        None => Standing::Wrong(format!(
            "certificate {serial} is not logged: entry {index} is not about a new certificate"
        )),
        Some(entry) if entry.serial != *serial => Standing::Wrong(format!(
            "certificate {serial} is not logged: entry {index} is about {}",
            entry.serial
        )),
        Some(entry) if entry.der_sha256 != *der_sha256 => Standing::Wrong(format!(
            "certificate {serial} has the digest {der_sha256}, but entry {index} says {}",
            entry.der_sha256
        )),
        Some(_) => Standing::Logged,
    }
}

/// Compares a certificate that the master keeps with its entry; tells what is wrong.
pub(super) fn kept(
    index: u64,
    entry: &Logged,
    detail: Option<&CertificateDetail>,
) -> Option<String> {
    let Logged {
        serial, der_sha256, ..
    } = entry;
    let Some(detail) = detail else {
        return Some(format!(
            "entry {index} is about certificate {serial}, which the master does not have"
        ));
    };
    let Ok(der) = CertificateDer::from_pem_slice(detail.pem.as_bytes()) else {
        return Some(format!(
            "what the master has as certificate {serial} is none"
        ));
    };
    let digest = Digest::of(&der);
    (digest != *der_sha256).then(|| {
        format!("certificate {serial} has the digest {digest}, but entry {index} says {der_sha256}")
    })
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::id::Serial;

    use super::*;
    use crate::cli::cert::example;

    fn log(serial: Serial, der: &[u8]) -> BTreeMap<u64, Logged> {
        let logged = Logged {
            event: "cert_issued".into(),
            serial,
            der_sha256: Digest::of(der),
        };
        BTreeMap::from([(5, logged)])
    }

    fn detail(pem: &str) -> CertificateDetail {
        CertificateDetail {
            summary: example(),
            pem: pem.into(),
            entry: String::new(),
            proof: String::new(),
        }
    }

    #[test]
    fn a_certificate_must_be_the_entry_at_its_index() {
        let certificate = example();
        let good = log(certificate.serial, b"der");
        assert_eq!(listed(&certificate, &good, 6), Standing::Logged);
        assert_eq!(listed(&certificate, &good, 5), Standing::Newer);
        for wrong in [
            BTreeMap::new(),
            log(Serial::from_bytes([0; 16]), b"der"),
            log(certificate.serial, b"other"),
        ] {
            assert!(
                matches!(listed(&certificate, &wrong, 6), Standing::Wrong(_)),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn an_entry_must_have_its_certificate() {
        // base64 of "der": PEM does not ask what the bytes are.
        let pem = "-----BEGIN CERTIFICATE-----\nZGVy\n-----END CERTIFICATE-----\n";
        let good = log(example().serial, b"der")[&5].clone();
        assert_eq!(kept(5, &good, Some(&detail(pem))), None);
        let other = log(example().serial, b"other")[&5].clone();
        assert!(
            kept(5, &other, Some(&detail(pem)))
                .unwrap()
                .contains("has the digest")
        );
        assert!(kept(5, &good, None).unwrap().contains("does not have"));
        assert!(
            kept(5, &good, Some(&detail("")))
                .unwrap()
                .contains("is none")
        );
    }
}
