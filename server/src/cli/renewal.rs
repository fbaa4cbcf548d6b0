//! The operator's own certificate and trust bundle: brought up to date by whatever command is run, so
//! that nobody has to think of it.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use dockmaster_certs::{
    bundle::TrustBundle,
    csr::create_request,
    identity::{LeafTerms, leaf_terms},
    key::KeyPair,
};
use dockmaster_client::{Call, Connection, Context};
use dockmaster_proto::{
    api::identity::{CertificateRequest, OperatorCertificate, Trust},
    route::Route,
    time::UnixMs,
};
use ring::rand::SystemRandom;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{error::chain, output};

/// Brings the context up to date with what its master says, and writes it back; gives the new one.
/// What does not work is told, and the old one serves on.
pub(super) async fn refresh(
    path: &Path,
    context: &Context,
    connection: &mut Connection,
) -> Option<Context> {
    // A master of an older release, or one that cannot answer: the command itself will tell.
    let trust: Trust = connection.call(&Call::new(Route::Trust)).await.ok()?;
    let mut new = context.clone();
    if follows(&context.bundle, &trust.bundle) {
        new.bundle.clone_from(&trust.bundle);
    }
    let leaf = CertificateDer::from_pem_slice(context.certificate.as_bytes()).ok()?;
    let terms = leaf_terms(&leaf).ok()?;
    if is_due(&terms, &trust.operator_issuer, trust.master_time_ms) {
        match renew(connection).await {
            Ok((issued, key)) => {
                new.certificate = issued.chain;
                new.key = key;
                output::note(&format!(
                    "your certificate was renewed, until {}",
                    issued.not_after_ms
                ));
            }
            Err(why) => output::note(&format!("your certificate was not renewed: {why}")),
        }
    }
    if new == *context {
        return None;
    }
    match write(path, &new) {
        Ok(()) => Some(new),
        Err(error) => {
            output::note(&format!(
                "{} cannot be brought up to date: {error}; copy it to where you may write",
                path.display()
            ));
            None
        }
    }
}

/// Half of its life is over, or another authority signs now.
fn is_due(terms: &LeafTerms, issuer: &str, now: UnixMs) -> bool {
    let half = terms.not_before.0 + terms.not_after.since(terms.not_before) / 2;
    half <= now.0 || (!issuer.is_empty() && terms.issuer_key_id != issuer)
}

/// Whether a bundle may take the place of another: the master that gave it leads to a root of the old
/// one, and both are of one log and share a root.
fn follows(old: &str, new: &str) -> bool {
    let (Ok(old), Ok(new)) = (TrustBundle::parse(old), TrustBundle::parse(new)) else {
        return false;
    };
    old != new && new.follows(&old)
}

async fn renew(connection: &mut Connection) -> Result<(OperatorCertificate, String), String> {
    let key = KeyPair::generate(&SystemRandom::new()).map_err(|error| chain(&error))?;
    let csr = create_request(&key, connection.exporter()).map_err(|error| chain(&error))?;
    let request = CertificateRequest {
        csr,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        seen: None,
        token: None,
    };
    let call = Call::new(Route::OperatorRenew).json(&request);
    let issued = connection
        .call(&call)
        .await
        .map_err(|error| chain(&error))?;
    Ok((issued, key.to_pem()))
}

/// Replaces the file in one step, for the same readers.
fn write(path: &Path, context: &Context) -> io::Result<()> {
    let text = context.to_yaml().map_err(io::Error::other)?;
    // A link stays one: what it leads to is replaced.
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.mode() & 0o777;
    let staged = path.with_extension("yaml.new");
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode & 0o600)
            .open(&staged)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&staged, &path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&staged);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> LeafTerms {
        LeafTerms {
            not_before: UnixMs(1000),
            not_after: UnixMs(3000),
            issuer_key_id: "aa".into(),
        }
    }

    #[test]
    fn a_certificate_is_renewed_at_half_its_life_or_when_another_authority_signs() {
        assert!(!is_due(&terms(), "aa", UnixMs(1999)));
        assert!(is_due(&terms(), "aa", UnixMs(2000)));
        assert!(is_due(&terms(), "bb", UnixMs(1500)));
        assert!(!is_due(&terms(), "", UnixMs(1500)), "an older master");
    }

    #[test]
    fn a_context_is_replaced_whole_and_keeps_its_readers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.yaml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        let context = Context {
            master: "127.0.0.1:8140".parse().unwrap(),
            bundle: "b".into(),
            certificate: "c".into(),
            key: "k".into(),
        };
        write(&path, &context).unwrap();
        assert_eq!(Context::load(&path).unwrap(), context);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
