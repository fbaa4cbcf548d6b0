//! The master's own certificate: it names every address under which the master is dialled, is
//! renewed by itself, and is in the ledger like any other.

mod verifier;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use dockmaster_certs::{
    infra::{MASTER_LIFETIME_MS, Terms},
    issue::{Issued, Validity},
    key::{KeyPair, random_serial},
};
use dockmaster_proto::{
    error::chain,
    event::{CertIssued, Event, Evidence},
    id::Name,
    time::UnixMs,
};
use ring::rand::SystemRandom;
use rustls::{ServerConfig, server::NoServerSessionStorage};
use tokio::sync::{Mutex, watch};

use self::verifier::PeerVerifier;
use crate::{
    authorities::{Authorities, Signing},
    env,
    journal::{Cause, Journal},
    quota::{Allowance, Quota},
};

/// Addresses that a certificate learned from connections at most: a machine with privacy addresses
/// must not make it grow without end.
const MAX_LEARNED: usize = 64;
/// Certificates for addresses that are new: more than a machine makes networks. Where every address
/// of a range is this machine's, a stranger could else have it sign without end.
const LEARNING: Allowance = Allowance {
    burst: 64,
    refill_ms: 10_000,
};

/// Why the master has no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No key could be made.
    #[error("no key for the master's certificate: {0}")]
    Key(String),
    /// The infrastructure authority refused.
    #[error("the master's certificate could not be issued: {0}")]
    Issue(String),
    /// The issuance could not be recorded.
    #[error("the master's certificate could not be recorded in the ledger")]
    Commit(#[from] dockmaster_ledger::CommitError),
    /// Too many new addresses.
    #[error("connections to too many new addresses of this machine; the next certificate is made in {} s, or list the addresses in dockmaster.yaml", .wait_ms.div_ceil(1000))]
    TooManyAddresses {
        /// Until the next.
        wait_ms: u64,
    },
    /// rustls refused the certificate or the trust bundle.
    #[error("the TLS configuration is not usable: {0}")]
    Tls(String),
}

/// Issues and holds the master's certificate and the TLS configuration made of it.
#[derive(Debug)]
pub struct MasterIdentity {
    name: Name,
    journal: Journal,
    authorities: Authorities,
    /// Addresses that the operator configured.
    configured: Vec<IpAddr>,
    current: RwLock<Option<Arc<Current>>>,
    /// Held while one is issued.
    issuing: Mutex<Quota<()>>,
}

#[derive(Debug)]
struct Current {
    tls: Arc<ServerConfig>,
    ips: BTreeSet<IpAddr>,
    term: Term,
}

/// How long a certificate is shown before another is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    renew_at: UnixMs,
    /// The authorities that it was made under.
    generation: u64,
}

impl Term {
    /// Until half of its life is over, so that there is time to try again.
    const fn of(not_before: UnixMs, not_after: UnixMs, generation: u64) -> Self {
        Self {
            renew_at: not_before.plus_ms(not_after.since(not_before) / 2),
            generation,
        }
    }

    /// Whether it has come, or the authorities are others.
    const fn is_over(self, now: UnixMs, generation: u64) -> bool {
        self.renew_at.0 <= now.0 || self.generation != generation
    }
}

impl MasterIdentity {
    /// An identity that holds no certificate yet; the first connection or [`Self::renew`] makes one.
    #[must_use]
    pub fn new(
        name: Name,
        configured: Vec<IpAddr>,
        journal: Journal,
        authorities: Authorities,
    ) -> Self {
        Self {
            name,
            journal,
            authorities,
            configured,
            current: RwLock::default(),
            issuing: Mutex::new(Quota::new(LEARNING)),
        }
    }

    /// The TLS configuration for a connection to this local address. When the certificate does not
    /// name the address yet (a network was made since), a new one is issued first: the kernel
    /// accepted the connection, so the address is this machine's.
    ///
    /// # Errors
    /// When a new certificate is needed and cannot be issued.
    pub async fn tls_for(&self, local: IpAddr) -> Result<Arc<ServerConfig>, IdentityError> {
        let local = local.to_canonical();
        if let Some(current) = self
            .current()
            .filter(|current| current.ips.contains(&local))
        {
            return Ok(current.tls.clone());
        }
        self.issue(Some(local)).await
    }

    /// Renews whenever the authorities have changed, until told to stop.
    pub async fn follow(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut changes = self.authorities.changes();
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            if let Err(error) = self.renew().await {
                tracing::error!(%error, "the master's certificate was not renewed; trying again");
            }
        }
    }

    /// Issues a new certificate when there is none or half of its life is over.
    ///
    /// # Errors
    /// When it cannot be issued; the old one goes on.
    pub async fn renew(&self) -> Result<(), IdentityError> {
        match self.current() {
            // A certificate that names no address serves nobody; the first connection makes one.
            None if self.configured.is_empty() => {}
            None => {
                self.issue(None).await?;
            }
            Some(current) if self.is_old(&current) => {
                self.issue(None).await?;
                tracing::info!("the master's certificate was renewed");
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn is_old(&self, current: &Current) -> bool {
        let generation = self.authorities.generation();
        current.term.is_over(env::now(), generation)
    }

    fn current(&self) -> Option<Arc<Current>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn issue(&self, local: Option<IpAddr>) -> Result<Arc<ServerConfig>, IdentityError> {
        let mut learning = self.issuing.lock().await;
        let known = self.current();
        // Another connection to the same new address may have been first.
        if let (Some(local), Some(current)) = (local, &known)
            && current.ips.contains(&local)
        {
            return Ok(current.tls.clone());
        }
        if local.is_some() {
            let taken = learning.take((), env::now());
            taken.map_err(|wait_ms| IdentityError::TooManyAddresses { wait_ms })?;
        }
        let mut ips: BTreeSet<IpAddr> =
            known.map_or_else(BTreeSet::new, |current| current.ips.clone());
        if ips.len() >= MAX_LEARNED {
            ips.clear();
        }
        ips.extend(&self.configured);
        ips.extend(local);
        let key = KeyPair::generate(&SystemRandom::new())
            .map_err(|error| IdentityError::Key(chain(&error)))?;
        let serial = random_serial(&SystemRandom::new())
            .map_err(|error| IdentityError::Key(chain(&error)))?;
        // Before the authorities: a change between the two makes another certificate, and no harm.
        let generation = self.authorities.generation();
        let signing = self.authorities.now();
        let validity = Validity::backdated(env::now(), MASTER_LIFETIME_MS)
            .within(signing.infrastructure.not_after());
        let ips_sorted: Vec<IpAddr> = ips.iter().copied().collect();
        let issued = signing
            .infrastructure
            .issue_master(
                key.public_key(),
                &self.name,
                &ips_sorted,
                Terms { serial, validity },
            )
            .map_err(|error| IdentityError::Issue(chain(&error)))?;
        let tls = Arc::new(tls_config(&key, &issued, &signing)?);
        self.record(&issued, &ips_sorted).await?;
        let current = Arc::new(Current {
            tls: tls.clone(),
            ips,
            term: Term::of(issued.not_before, issued.not_after, generation),
        });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
        Ok(tls)
    }

    async fn record(&self, issued: &Issued, ips: &[IpAddr]) -> Result<(), IdentityError> {
        let event = CertIssued {
            subject: issued.subject.clone(),
            container: None,
            host: None,
            addresses: Vec::new(),
            ips: ips.to_vec(),
            serial: issued.serial,
            issuer_key_id: issued.issuer_key_id.to_string(),
            not_before_ms: issued.not_before,
            not_after_ms: issued.not_after,
            spki_sha256: issued.spki_sha256,
            der_sha256: issued.der_sha256,
            evidence: vec![Evidence::Master],
            rule: "a master's own certificate".to_owned(),
            prev: None,
            policy_sha256: None,
        };
        let cause = Cause {
            actor: format!("/master/{}", self.name),
            request_id: env::request_id(),
        };
        self.journal
            .commit(
                &cause,
                vec![Event::CertIssued(event)],
                vec![issued.der.to_vec()],
            )
            .await?;
        Ok(())
    }
}

fn tls_config(
    key: &KeyPair,
    issued: &Issued,
    signing: &Signing,
) -> Result<ServerConfig, IdentityError> {
    let tls = |error: &dyn std::error::Error| IdentityError::Tls(chain(error));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(PeerVerifier::new(signing.bundle.clone(), &provider));
    let mut chain = vec![
        issued.der.clone(),
        signing.infrastructure.certificate().clone(),
    ];
    chain.extend(signing.cross.clone());
    let key = key.to_private_key_der();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| tls(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session would skip the verifier, so a revoked certificate would go on; and with
    // P-256 resumption saves next to nothing.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_from_half_of_its_life_on_and_under_other_authorities() {
        let term = Term::of(UnixMs(1_000), UnixMs(3_000), 7);
        assert!(!term.is_over(UnixMs(1_999), 7));
        assert!(term.is_over(UnixMs(2_000), 7));
        assert!(term.is_over(UnixMs(9_000), 7));
        assert!(term.is_over(UnixMs(1_999), 8));
    }
}
