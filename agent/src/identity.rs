//! The container's identity: a key made here, a certificate for it, and the proof that it was logged.

mod seen;

use std::time::Duration;

use dockmaster_certs::{bundle::TrustBundle, csr::create_request, key::KeyPair};
use dockmaster_client::{Call, ClientError, Connection, Identity};
use dockmaster_proto::{
    api::{
        identity::{CertificateRequest, HeldAnswer, IssuedCertificate},
        tokens::Redemption,
    },
    error::chain,
    id::{ContainerId, Digest, Serial},
    route::Route,
    time::UnixMs,
};
use dockmaster_tlog::{note::VerifierKey, proof::TlogProof};
use http::StatusCode;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;
use webpki::EndEntityCert;

pub use self::seen::{Fork, SeenHead};

use crate::{
    join::Kept,
    rundir::{self, RunDir, RunDirError},
    say,
};

/// From here on a difference of clocks is told.
const MAX_SKEW_MS: u64 = 5 * 60 * 1000;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The master did not issue one.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No key could be made.
    #[error("no key can be made: {0}")]
    Key(#[from] dockmaster_certs::key::KeyError),
    /// What was issued is not what was asked for, or it is not shown to be logged.
    #[error("the certificate that the master issued is not used: {0}")]
    Refused(String),
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Enrolled {
    /// What the connection shows.
    pub identity: Identity,
    /// The trust bundle that came with it.
    pub bundle: TrustBundle,
    /// Everything that the master said.
    pub issued: IssuedCertificate,
    /// The head of the log that proves the issuance.
    pub head: SeenHead,
    /// That this head contradicts the one that was seen before.
    pub fork: Option<Fork>,
}

impl Enrolled {
    /// Writes it all to the run dir.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, run: &RunDir) -> Result<(), RunDirError> {
        // First: with it the machine can go on, whatever becomes of the rest.
        if self.by_token() {
            let text = Kept::text(&self.identity);
            run.write_durably(rundir::MACHINE, text.as_bytes())?;
            // What cannot be removed does no harm: it is the key that the certificate has already.
            let _ = run.remove(rundir::JOIN_KEY);
        } else {
            // A host vouches now: what a token gave once is not to be asked with for ever.
            let _ = run.remove(rundir::MACHINE);
        }
        run.write(rundir::BUNDLE, self.issued.bundle.as_bytes())?;
        run.write(rundir::ENTRY, self.issued.entry.as_bytes())?;
        run.write(rundir::PROOF, self.issued.proof.as_bytes())?;
        // Who waits for the certificate finds its key there.
        run.write(rundir::KEY, self.identity.key.as_bytes())?;
        run.write(rundir::CERTIFICATE, self.identity.chain.as_bytes())
    }

    /// Whether it rests on a join token: then no other start gets one without a token, and this one is
    /// kept.
    fn by_token(&self) -> bool {
        let entry: Option<Issuance> = serde_json::from_str(&self.issued.entry).ok();
        entry.is_some_and(|entry| entry.evidence.iter().any(|piece| piece.kind == "token"))
    }
}

/// What a master answers that does not refuse.
#[derive(Debug)]
pub enum Asked {
    /// The certificate.
    Issued(Box<Enrolled>),
    /// An operator has to approve first.
    Held(HeldAnswer),
}

/// What is asked for.
#[derive(Debug)]
pub struct Ask<'a> {
    /// By which route.
    pub route: Route,
    /// For which key.
    pub key: &'a KeyPair,
    /// The newest head of the log that is known here.
    pub seen: Option<&'a SeenHead>,
    /// How long the master may hold the question while the request waits for an operator.
    pub wait: Duration,
    /// The join token, where no engine vouches for this machine.
    pub token: Option<Redemption>,
}

/// Asks for a certificate, on a connection to a master that is trusted already, and checks what
/// comes back.
///
/// # Errors
/// [`IdentityError`].
pub async fn request(
    connection: &mut Connection,
    trusted: &TrustBundle,
    ask: Ask<'_>,
    now: impl Fn() -> UnixMs,
) -> Result<Asked, IdentityError> {
    let Ask {
        route,
        key,
        seen,
        wait,
        token,
    } = ask;
    let request = CertificateRequest {
        csr: create_request(key, connection.exporter())?,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        seen: seen.map(|seen| seen.note().to_owned()),
        token,
    };
    let mut call = Call::new(route).json(&request);
    if !wait.is_zero() {
        call = call.wait(wait);
    }
    let reply = connection.send(&call).await?;
    if reply.status == StatusCode::ACCEPTED {
        let held: HeldAnswer = connection.read(&reply)?;
        warn_of_skew(held.master_time_ms, now());
        return Ok(Asked::Held(held));
    }
    let issued: IssuedCertificate = connection.read(&reply)?;
    warn_of_skew(issued.master_time_ms, now());
    let head = verify(&issued, &key.public_key().spki_sha256(), trusted.log_key())
        .map_err(IdentityError::Refused)?;
    let fork = seen.and_then(|seen| seen.goes_on_to(&head, &issued.consistency).err());
    let bundle = TrustBundle::parse(&issued.bundle)
        .map_err(|error| IdentityError::Refused(error.to_string()))?;
    Ok(Asked::Issued(Box::new(Enrolled {
        identity: Identity {
            chain: issued.chain.clone(),
            key: key.to_pem(),
        },
        bundle,
        issued,
        head,
        fork,
    })))
}

/// What the agent has to know of a ledger entry `cert_issued` or `cert_renewed`
/// ([`dockmaster_proto::event::CertIssued`]). Readers of all events are not carried in every image.
#[derive(Deserialize)]
struct Issuance {
    event: String,
    container: ContainerId,
    serial: Serial,
    spki_sha256: Digest,
    der_sha256: Digest,
    #[serde(default)]
    evidence: Vec<Piece>,
}

/// A piece of evidence ([`dockmaster_proto::event::Evidence`]).
#[derive(Deserialize)]
struct Piece {
    kind: String,
}

/// Checks that a certificate is for our key, that the ledger entry is about this very certificate, and
/// that the entry is in the log that the trust bundle names. Gives the head that proves it.
fn verify(
    issued: &IssuedCertificate,
    spki_sha256: &Digest,
    log_key: &str,
) -> Result<SeenHead, String> {
    let leaf = CertificateDer::from_pem_slice(issued.chain.as_bytes())
        .map_err(|_| "its chain has no certificate in PEM".to_owned())?;
    let parsed =
        EndEntityCert::try_from(&leaf).map_err(|error| format!("it cannot be read ({error})"))?;
    if Digest::of(&parsed.subject_public_key_info()) != *spki_sha256 {
        return Err("it is for another key than the one made here".to_owned());
    }
    let entry: Issuance = serde_json::from_str(&issued.entry)
        .map_err(|error| format!("its ledger entry is of no issuance ({error})"))?;
    let speaks_of_it = ["cert_issued", "cert_renewed"].contains(&entry.event.as_str())
        && entry.der_sha256 == Digest::of(&leaf)
        && entry.spki_sha256 == *spki_sha256
        && entry.serial == issued.serial
        && entry.container == issued.container_id;
    if !speaks_of_it {
        return Err("its ledger entry is about another certificate".to_owned());
    }
    let key = VerifierKey::parse(log_key)
        .map_err(|error| format!("the log key of the trust bundle cannot be read ({error})"))?;
    let proof = TlogProof::parse(&issued.proof).map_err(|error| chain(&error))?;
    proof
        .verify(issued.entry.as_bytes(), &key)
        .map_err(|error| format!("it is not shown to be in the log: {}", chain(&error)))?;
    SeenHead::open(&proof.checkpoint, &key)
}

/// What is to be said of a clock that is off too far, and of what follows.
#[must_use]
pub fn skew(master: UnixMs, own: UnixMs) -> Option<String> {
    let (apart, word) = if own > master {
        (own.since(master), "ahead of")
    } else {
        (master.since(own), "behind")
    };
    (apart > MAX_SKEW_MS).then(|| {
        format!(
            "WARNING: this container's clock is {} s {word} the master's; certificates may count as expired or not yet valid: set the host's clock",
            apart / 1000
        )
    })
}

fn warn_of_skew(master: UnixMs, own: UnixMs) {
    if let Some(warning) = skew(master, own) {
        say!("{warning}");
    }
}

#[cfg(test)]
mod tests;
