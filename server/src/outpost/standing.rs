//! How a host stands with its master: its context file, kept current.

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
    time::Duration,
};

use dockmaster_certs::{csr::create_request, identity::peer_identity, key::KeyPair};
use dockmaster_client::{Call, ClientError, Context, Dialer};
use dockmaster_proto::{
    api::hosts::{HostCertificate, HostRenewal},
    error::chain,
    id::Name,
    route::Route,
    spiffe::Principal,
    time::UnixMs,
};
use ring::rand::SystemRandom;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

use super::{OutpostError, is_final};
use crate::{env, files};

/// A certificate found at the start is renewed when less than this is left of it: half of its life.
const RENEW_BEFORE_MS: u64 = 15 * 86_400_000;
/// How often it is looked at the clock, and how long after a failure it is tried again.
const LOOK: Duration = Duration::from_secs(60);

/// The context, and the dialer made of it.
#[derive(Debug)]
pub(super) struct Standing {
    path: PathBuf,
    host: Name,
    now: RwLock<Now>,
    /// The master wants the certificate renewed.
    wanted: Notify,
}

#[derive(Debug)]
struct Now {
    context: Context,
    dialer: Dialer,
    renew_at: UnixMs,
}

impl Standing {
    /// Reads the context file.
    pub(super) fn load(path: &Path) -> Result<Self, OutpostError> {
        let context = Context::load(path)?;
        let dialer = context.dialer()?;
        let not_a_host = |why: String| OutpostError::NotAHost {
            path: path.to_owned(),
            why,
        };
        let leaf = CertificateDer::from_pem_slice(context.certificate.as_bytes())
            .map_err(|error| not_a_host(chain(&error)))?;
        let identity = peer_identity(&leaf).map_err(|error| not_a_host(chain(&error)))?;
        let host = match identity.id.principal {
            Principal::Host(name) => name,
            other => return Err(not_a_host(format!("it is that of {other}"))),
        };
        let now = Now {
            context,
            dialer,
            renew_at: UnixMs(identity.not_after.0.saturating_sub(RENEW_BEFORE_MS)),
        };
        Ok(Self {
            path: path.to_owned(),
            host,
            now: RwLock::new(now),
            wanted: Notify::new(),
        })
    }

    /// The host's name.
    pub(super) const fn host(&self) -> &Name {
        &self.host
    }

    /// Dials the master with the certificate of the moment.
    pub(super) fn dialer(&self) -> Dialer {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.dialer.clone()
    }

    /// Something below half of a wait that differs from host to host: a master that comes back is
    /// not dialled by all at once.
    pub(super) fn jitter(&self, wait: Duration) -> Duration {
        let sum = self.host.as_str().bytes().fold(7_u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        wait / 2 * (sum % 100) / 100
    }

    /// The master says that it is time: it signs by another authority now.
    pub(super) fn renew_now(&self) {
        self.wanted.notify_one();
    }

    /// Renews the certificate whenever half of its life is over, when the master asks for it, and at SIGHUP. Returns when the master wants
    /// nothing more of this host.
    pub(super) async fn keep_current(&self) -> OutpostError {
        let mut asked = match signal(SignalKind::hangup()) {
            Ok(asked) => asked,
            Err(error) => return OutpostError::Signals(error),
        };
        let mut is_asked = false;
        loop {
            let renew_at = {
                let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
                now.renew_at
            };
            if is_asked || renew_at <= env::now() {
                match self.renew().await {
                    Ok(()) => {
                        tracing::info!(host = %self.host, "the host's certificate was renewed");
                    }
                    Err(OutpostError::Client(ClientError::Problem(problem)))
                        if is_final(&problem) =>
                    {
                        return OutpostError::Refused(problem);
                    }
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "the host's certificate was not renewed; trying again");
                    }
                }
            }
            is_asked = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                asked = asked.recv() => asked.is_some(),
                () = self.wanted.notified() => true,
            };
        }
    }

    async fn renew(&self) -> Result<(), OutpostError> {
        let unmade = |error: &dyn std::error::Error| {
            OutpostError::Client(ClientError::Credentials {
                what: "a new key",
                why: chain(error),
            })
        };
        let key = KeyPair::generate(&SystemRandom::new()).map_err(|error| unmade(&error))?;
        let mut connection = self.dialer().dial().await?;
        let renewal = HostRenewal {
            csr: create_request(&key, connection.exporter()).map_err(|error| unmade(&error))?,
        };
        let call = Call::new(Route::HostRenew).json(&renewal);
        let issued: HostCertificate = connection.call(&call).await?;
        let master = {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            now.context.master
        };
        let context = Context {
            master,
            bundle: issued.bundle,
            certificate: issued.chain,
            key: key.to_pem(),
        };
        let dialer = context.dialer()?;
        // Before it is used: the master honours the last two, and a start must find one of them.
        let text = context.to_host_yaml().map_err(|error| unmade(&error))?;
        files::replace(&self.path, text.as_bytes()).map_err(|error| unmade(&error))?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Now {
            context,
            dialer,
            renew_at: issued.renew_at_ms,
        };
        Ok(())
    }
}
