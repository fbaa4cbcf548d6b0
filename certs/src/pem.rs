//! Textual encoding (RFC 7468).

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A certificate in PEM.
#[must_use]
pub fn certificate(der: &[u8]) -> String {
    encode("CERTIFICATE", der)
}

/// A private key (PKCS#8) in PEM. It is a secret: write it with mode 0600.
#[must_use]
pub fn private_key(pkcs8: &[u8]) -> String {
    encode("PRIVATE KEY", pkcs8)
}

/// One PEM block: lines of 64 characters, each with a line feed, the last one too.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut out = String::with_capacity(base64.len() + base64.len() / 64 + 2 * label.len() + 40);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "-----BEGIN {label}-----");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so every index is a boundary.
        let (line, more) = rest.split_at(rest.len().min(64));
        let _ = writeln!(out, "{line}");
        rest = more;
    }
    let _ = writeln!(out, "-----END {label}-----");
    out
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    #[test]
    fn a_block_of_any_length_reads_back_as_written() {
        for length in [0, 1, 47, 48, 49, 96, 700] {
            let der = vec![0xa5; length];
            let pem = encode("CERTIFICATE", &der);
            assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
            assert_eq!(
                CertificateDer::from_pem_slice(pem.as_bytes())
                    .unwrap()
                    .as_ref(),
                der
            );
        }
    }
}
