//! Revocation lists: made when something was revoked, off the threads that answer requests, and
//! handed out as they are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use dockmaster_certs::{
    crl::{self, ListTerms, Revoked},
    issue::IssueError,
};
use dockmaster_proto::{error::chain, id::Digest, time::UnixMs};
use tokio::sync::watch;

use crate::{
    authorities::{Authorities, Signing},
    env,
    journal::Journal,
    state::RevokedCertificate,
};

/// A list says that the next one will be there after this time: longer than a master should be away,
/// since a strict relying party trusts nobody without a list that is in its time.
pub const NEXT_UPDATE_MS: u64 = 24 * 3_600_000;
/// A list without a change is made again after this time.
const REMAKE_AFTER_MS: u64 = NEXT_UPDATE_MS / 4;
/// The shortest time between two lists: with a hundred thousand certificates one costs a part of a
/// second of one core.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked whether the list has grown old.
const LOOK: Duration = Duration::from_secs(60);
/// How long an urgent revocation waits for its list.
const CAUGHT_UP: Duration = Duration::from_secs(30);
/// From here on a list is a burden to whoever fetches it.
const MANY: usize = 100_000;

/// How often a relying party should fetch the list, at the least.
const MIN_AGE_S: u64 = 60;
/// Bytes per second that all agents together should fetch.
const FETCH_RATE: u64 = 10_000_000;

/// The lists as they are served.
#[derive(Debug, Clone)]
pub struct Published {
    /// The list of the container authority in use, in DER.
    pub der: Bytes,
    /// The lists of all container authorities that count, and those of the roots, in PEM.
    pub pem: Bytes,
    /// Names this content.
    pub etag: String,
    /// For so many seconds nobody has to ask again.
    pub max_age_s: u64,
    basis: Basis,
}

/// What a list was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Basis {
    revocations: u64,
    authorities: u64,
    at: UnixMs,
    number: u64,
}

/// Makes the lists.
#[derive(Debug)]
pub struct ListMaker {
    journal: Journal,
    authorities: Authorities,
    published: watch::Sender<Arc<Published>>,
    /// How often an operator revoked something.
    urgent: AtomicU64,
}

impl ListMaker {
    /// A maker that has made the first lists.
    ///
    /// # Errors
    /// When they cannot be signed.
    pub fn new(journal: Journal, authorities: Authorities) -> Result<Self, IssueError> {
        let first = make(&journal, &authorities, 0)?;
        Ok(Self {
            journal,
            authorities,
            published: watch::Sender::new(Arc::new(first)),
            urgent: AtomicU64::new(0),
        })
    }

    /// The newest lists.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.published.borrow().clone()
    }

    /// Another number whenever an operator revoked something and the list that says so is there:
    /// agents are then told at once, and otherwise fetch the list as often as it says itself.
    #[must_use]
    pub fn urgent(&self) -> u64 {
        self.urgent.load(Ordering::Relaxed)
    }

    /// Returns when all that is revoked now is on the list, or cannot be for the moment.
    pub async fn caught_up(&self) {
        let version = self.journal.state().revocations().version();
        let mut published = self.published.subscribe();
        let listed = published.wait_for(|lists| lists.basis.revocations >= version);
        let _ = tokio::time::timeout(CAUGHT_UP, listed).await;
    }

    /// Has [`Self::urgent`] be another number.
    pub fn alert(&self) {
        self.urgent.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes lists whenever they have changed or grown old, until told to stop.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let (mut entries, mut authorities) = (self.journal.changes(), self.authorities.changes());
        loop {
            // Before the look: what comes after it wakes us.
            entries.mark_unchanged();
            authorities.mark_unchanged();
            if self.is_stale(*authorities.borrow()) {
                self.clone().remake().await;
                tokio::time::sleep(PAUSE).await;
            }
            tokio::select! {
                changed = entries.changed() => if changed.is_err() { return },
                _ = authorities.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    fn is_stale(&self, authorities: u64) -> bool {
        let basis = self.published().basis;
        basis.revocations != self.journal.state().revocations().version()
            || basis.authorities != authorities
            || env::now().since(basis.at) > REMAKE_AFTER_MS
            // The clock was set back: relying parties would wait for the list to begin to count.
            || basis.at > env::now()
    }

    async fn remake(self: Arc<Self>) {
        let maker = self.clone();
        let last = self.published().basis.number;
        let made =
            tokio::task::spawn_blocking(move || make(&maker.journal, &maker.authorities, last));
        match made.await {
            Ok(Ok(lists)) => {
                self.published.send_replace(Arc::new(lists));
            }
            Ok(Err(error)) => {
                tracing::error!(error = %chain(&error), "the revocation list could not be made; the old one is served");
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "the revocation list could not be made; the old one is served");
            }
        }
    }
}

fn make(
    journal: &Journal,
    authorities: &Authorities,
    last_number: u64,
) -> Result<Published, IssueError> {
    let generation = *authorities.changes().borrow();
    let (signing, now) = (authorities.now(), env::now());
    let (revoked, version, newest, nodes) = {
        let state = journal.state();
        let revocations = state.revocations();
        let revoked: Vec<RevokedCertificate> = revocations.iter().cloned().collect();
        (
            revoked,
            revocations.version(),
            state.newest(),
            state.nodes().count(),
        )
    };
    if revoked.len() > MANY {
        tracing::warn!(
            certificates = revoked.len(),
            "very many certificates ended before their time; a shorter certificate_lifetime makes the revocation list shorter"
        );
    }
    let basis = Basis {
        revocations: version,
        authorities: generation,
        at: now,
        // By the time, so that it grows over restarts too; the log's times never go back.
        number: now.0.max(newest.0).max(last_number + 1),
    };
    sign(&signing, &revoked, basis, nodes)
}

/// The lists of all authorities. Pure, but for the signatures' own chance.
fn sign(
    signing: &Signing,
    revoked: &[RevokedCertificate],
    basis: Basis,
    nodes: usize,
) -> Result<Published, IssueError> {
    let mut lists = Vec::new();
    for authority in signing.container_authorities() {
        let key_id = authority.key_id().to_string();
        let of_it = revoked
            .iter()
            .filter(|revoked| revoked.issuer_key_id == key_id && !revoked.is_over(basis.at))
            .map(|revoked| Revoked {
                serial: revoked.serial,
                at: revoked.at_ms,
                reason: revoked.reason,
            });
        let terms = ListTerms {
            number: basis.number,
            now: basis.at,
            next_update: basis.at.plus_ms(NEXT_UPDATE_MS),
        };
        lists.push(authority.revocation_list(of_it, terms)?);
    }
    let pem: String = lists.iter().map(|list| crl::to_pem(list)).collect();
    let pem = pem + &signing.root_lists;
    let der = lists.first().map(|list| Bytes::copy_from_slice(list));
    Ok(Published {
        der: der.unwrap_or_default(),
        etag: format!("\"{}\"", Digest::of(pem.as_bytes())),
        max_age_s: max_age(pem.len(), nodes),
        pem: pem.into(),
        basis,
    })
}

/// The larger the list and the fleet, the less often each agent fetches it.
fn max_age(bytes: usize, nodes: usize) -> u64 {
    let all = (bytes as u64).saturating_mul(nodes as u64);
    (all / FETCH_RATE).clamp(MIN_AGE_S, NEXT_UPDATE_MS / 4000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_list_is_fetched_less_often_by_a_large_fleet() {
        assert_eq!(max_age(1000, 10), MIN_AGE_S);
        assert_eq!(max_age(1_000_000, 1000), 100);
        assert_eq!(max_age(usize::MAX, 1000), NEXT_UPDATE_MS / 4000);
    }
}
