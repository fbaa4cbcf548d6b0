//! rustls-webpki, which verifies for rustls.

use std::{fs, path::Path, time::SystemTime};

use dockmaster_tests::checkout;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Verdict, Verifier, minor};
use crate::questions::{Question, Role};

struct Webpki;

#[expect(clippy::unnecessary_wraps, reason = "the others may be missing")]
pub(super) fn find() -> Option<Box<dyn Verifier>> {
    Some(Box::new(Webpki))
}

impl Verifier for Webpki {
    fn name(&self) -> String {
        let lock = fs::read_to_string(checkout().join("Cargo.lock")).unwrap();
        let (_, package) = lock
            .split_once("name = \"rustls-webpki\"\nversion = \"")
            .unwrap();
        format!(
            "rustls-webpki {}",
            minor(package.split('"').next().unwrap())
        )
    }

    fn ask(&self, question: &Question) -> Verdict {
        let chain = certificates(&question.file("chain.pem"));
        let roots = certificates(&question.file("bundle.pem"));
        let anchors: Vec<_> = roots
            .iter()
            .map(|root| anchor_from_trusted_cert(root).unwrap())
            .collect();
        match verify(question.role, &chain, &anchors) {
            Ok(()) => Verdict::accepted(),
            Err(error) => Verdict::refused(error.to_string()),
        }
    }
}

fn verify(
    role: Role,
    chain: &[CertificateDer<'_>],
    anchors: &[rustls::pki_types::TrustAnchor<'_>],
) -> Result<(), webpki::Error> {
    let leaf = EndEntityCert::try_from(&chain[0])?;
    let usage = match role {
        Role::Server(_) => KeyUsage::server_auth(),
        Role::Client => KeyUsage::client_auth(),
    };
    #[expect(clippy::disallowed_methods, reason = "as of now, like the others")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        anchors,
        &chain[1..],
        UnixTime::since_unix_epoch(now.unwrap()),
        usage,
        None,
        None,
    )?;
    match role {
        Role::Server(name) => {
            leaf.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())
        }
        Role::Client => Ok(()),
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(path).unwrap();
    certificates.map(Result::unwrap).collect()
}
