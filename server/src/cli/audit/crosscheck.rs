//! Log and certificates compared, both ways: what was issued is logged, what is logged is kept.

use dockmaster_proto::{api::certs::CertificateSummary, id::Digest};
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

/// Compares a listed certificate with what a log of `size` entries has at its index.
pub(super) fn compare(
    certificate: &CertificateSummary,
    logged: Option<&Logged>,
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
    match logged {
        None => Standing::Wrong(format!(
            "certificate {serial} is not logged: entry {index} is not about a new certificate, or about one that is listed already"
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

/// Whether the master has a logged certificate itself; tells what is wrong.
pub(super) fn kept(certificate: &CertificateSummary) -> Option<String> {
    let CertificateSummary {
        serial,
        index,
        der_sha256,
        pem,
        ..
    } = certificate;
    if pem.is_empty() {
        return Some(format!(
            "entry {index} is about certificate {serial}, which the master does not have"
        ));
    }
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
        return Some(format!(
            "what the master has as certificate {serial} is none"
        ));
    };
    let digest = Digest::of(&der);
    (digest != *der_sha256).then(|| {
        format!("certificate {serial} has the digest {digest}, but entry {index} says {der_sha256}")
    })
}

/// An entry whose certificate the master does not list.
pub(super) fn lost(index: u64, entry: &Logged) -> String {
    format!(
        "entry {index} is about certificate {}, which the master does not have",
        entry.serial
    )
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::id::Serial;

    use super::*;
    use crate::cli::cert::example;

    fn logged(serial: Serial, der: &[u8]) -> Logged {
        Logged {
            event: "cert_issued".into(),
            serial,
            der_sha256: Digest::of(der),
        }
    }

    #[test]
    fn a_certificate_must_be_the_entry_at_its_index() {
        let certificate = example();
        let good = logged(certificate.serial, b"der");
        assert_eq!(compare(&certificate, Some(&good), 6), Standing::Logged);
        assert_eq!(compare(&certificate, Some(&good), 5), Standing::Newer);
        for wrong in [
            None,
            Some(logged(Serial::from_bytes([0; 16]), b"der")),
            Some(logged(certificate.serial, b"other")),
        ] {
            assert!(
                matches!(compare(&certificate, wrong.as_ref(), 6), Standing::Wrong(_)),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn an_entry_must_have_its_certificate() {
        let with = |pem: &str| CertificateSummary {
            pem: pem.into(),
            ..example()
        };
        // base64 of "der" and of "other": PEM does not ask what the bytes are.
        let good = "-----BEGIN CERTIFICATE-----\nZGVy\n-----END CERTIFICATE-----\n";
        let other = "-----BEGIN CERTIFICATE-----\nb3RoZXI=\n-----END CERTIFICATE-----\n";
        assert_eq!(kept(&with(good)), None);
        assert!(kept(&with(other)).unwrap().contains("has the digest"));
        assert!(kept(&with("")).unwrap().contains("does not have"));
        assert!(kept(&with("garbage")).unwrap().contains("is none"));
    }
}
