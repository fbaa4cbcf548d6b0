//! The composition root: a data directory becomes a running master.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use dockmaster_certs::bundle::TrustBundle;
use dockmaster_host::{DockerInventory, FileInventory, Inventory};
use dockmaster_ledger::Ledger;
use dockmaster_proto::{
    error::chain,
    event::{Event, MasterStarted, PolicyChanged},
    id::Name,
    token::TOKEN_HOST,
};
use dockmaster_tlog::note::VerifierKey;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    acknowledged::Acknowledged,
    api::{Api, Budget},
    authorities::Authorities,
    blobs::Blobs,
    clocks::Clocks,
    config::{Config, ConfigError},
    crl::ListMaker,
    datadir::DataDir,
    delivery::Delivery,
    documents::DocumentStore,
    enrollment::{Attestor, Continuity, Enrollment, Policy},
    env,
    hosts::Hosts,
    identity::MasterIdentity,
    index::Index,
    journal::{Cause, Journal, Projector, SharedState},
    listener,
    operators::Operators,
    pace::Pace,
    reports::Reports,
    rotor::{self, Rotor},
    store::{self, StoreError},
    tokens::TokenDesk,
    watchers::Watchers,
    witnesses::Witnesses,
};

/// Relayed connections that may wait to be accepted.
const RELAYS: usize = 256;
/// How often refusals that were gathered and certificates that grew old are seen to.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Why a master does not start or stops early.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What is stored cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}; is another master running, or the address not of this machine?"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The master's own machine has the name of an enrolled host.
    #[error(
        "{host} is the name of a host that is enrolled; start with another --host-name, or evict that host first"
    )]
    TwoHosts {
        /// The name.
        host: Name,
    },
    /// A part of the master cannot start.
    #[error("{part} cannot start: {why}")]
    Part {
        /// Which.
        part: &'static str,
        /// Why.
        why: String,
    },
}

impl AppError {
    fn part(part: &'static str) -> impl Fn(&dyn std::error::Error) -> Self {
        move |why| Self::Part {
            part,
            why: chain(why),
        }
    }
}

/// Where the truth about containers comes from.
#[derive(Debug, Clone, Default)]
pub enum HostSource {
    /// Nowhere: the master serves, but no container gets a certificate.
    #[default]
    Nowhere,
    /// The engine behind this socket.
    Docker(PathBuf),
    /// This inventory file.
    File(PathBuf),
}

/// How a master is to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// Where the truth about containers comes from.
    pub source: HostSource,
    /// The name of this machine as a container host, in place of the configured one.
    pub host: Option<Name>,
}

/// A master that serves.
#[derive(Debug)]
pub struct Master {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    ledger: Ledger,
    index: Index,
}

impl Master {
    /// Starts a master from its data directory. Returns when it accepts connections.
    ///
    /// # Errors
    /// When a part cannot start.
    pub async fn start(options: Options) -> Result<Self, AppError> {
        let Options { data, source, host } = options;
        let dir = DataDir::new(data);
        let mut config = Config::load(&dir.config())?;
        if let Some(host) = host {
            config.host = host;
        }
        if config.host.as_str() == TOKEN_HOST {
            return Err(AppError::Part {
                part: "the watch of containers",
                why: format!(
                    "a host cannot be named {TOKEN_HOST:?}, which stands for machines that join tokens let in; name it otherwise (\"host\" in dockmaster.yaml, --host-name)"
                ),
            });
        }
        let inventory = inventory(source, &config.host)?;
        let opened = store::open_ledger(&dir, &config)?;
        let log_size = opened.size();
        let index = store::open_index(&dir, &opened)?;
        let mut state = index
            .load_state()
            .map_err(|error| AppError::part("the index")(&error))?;
        if inventory.is_some() {
            if state.host(&config.host).is_some() {
                return Err(AppError::TwoHosts { host: config.host });
            }
            state.watch_here(config.host.clone());
        }
        let signing = rotor::load(&dir, state.authorities())
            .map_err(|error| AppError::part("the certificate authorities")(&error))?;
        let authorities = Authorities::new(signing);
        let state = SharedState::new(state);
        let (projector, progress) = Projector::new(state.clone(), index.clone());
        let ledger = opened
            .start(projector)
            .map_err(|error| AppError::part("the ledger")(&error))?;
        let journal = Journal::new(ledger.clone(), config.name.clone(), state, progress);
        let listener =
            TcpListener::bind(config.listen)
                .await
                .map_err(|source| AppError::Listen {
                    address: config.listen,
                    source,
                })?;
        let address = listener.local_addr().map_err(|source| AppError::Listen {
            address: config.listen,
            source,
        })?;
        let started = MasterStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log_size,
        };
        commit(&journal, &config, Event::MasterStarted(started)).await?;
        let blobs = Blobs::new(ledger.blobs().clone());
        record_policy(&journal, &blobs, &config).await?;

        let (stop, stopping) = watch::channel(false);
        let host = inventory.as_ref().map(|_| config.host.clone());
        let watchers = Watchers::new(index.clone());
        if let Some(inventory) = inventory {
            // The machine that the master itself runs on is lost only with the master.
            watchers.start(&journal, &config.host, inventory, None);
        }
        let attestor = Attestor::new(watchers.clone(), stopping.clone());
        let delivery = Arc::new(Delivery::new(journal.clone(), blobs.clone()));
        tokio::spawn(delivery.clone().run());
        let policy = Policy {
            trust_domain: config.trust_domain.clone(),
            rules: config.policy.clone(),
        };
        let log_key = log_key(&authorities.now().bundle)?;
        let lists = ListMaker::new(journal.clone(), authorities.clone())
            .map_err(|error| AppError::part("the revocation list")(&error))?;
        let lists = Arc::new(lists);
        tokio::spawn(lists.clone().run(stopping.clone()));
        let witnesses = Arc::new(Witnesses::new(
            config.witnesses.clone(),
            config.witnesses_required,
            &log_key,
            dir.cosigned(),
        ));
        tokio::spawn(witnesses.clone().run(ledger.clone(), stopping.clone()));
        let acknowledged = Arc::new(Acknowledged::default());
        let rotor = Arc::new(Rotor::new(
            journal.clone(),
            dir.clone(),
            authorities.clone(),
            acknowledged.clone(),
        ));
        let continuity = Arc::new(Continuity::new(log_key, dir.forked()));
        let hosts = Hosts::new(
            journal.clone(),
            watchers,
            authorities.clone(),
            config.host.clone(),
            config.host_lost_after.span(),
        );
        let (relays, relayed) = mpsc::channel(RELAYS);
        let api = Arc::new(Api {
            budget: Budget::default(),
            pace: Pace::of_requests(),
            continuity: continuity.clone(),
            enrollment: Enrollment::new(
                journal.clone(),
                attestor,
                authorities.clone(),
                policy,
                continuity,
            ),
            tokens: TokenDesk::new(journal.clone()),
            documents: DocumentStore::new(journal.clone(), blobs.clone(), delivery.clone()),
            delivery,
            reports: Reports::open(dir.reports())
                .map_err(|error| AppError::part("the store of reports")(&error))?,
            index: index.clone(),
            blobs: blobs.clone(),
            host,
            hosts,
            relays,
            authorities: authorities.clone(),
            operators: Operators::new(journal.clone(), authorities.clone()),
            clocks: Clocks::default(),
            rotor,
            acknowledged,
            lists,
            witnesses,
            dir: dir.clone(),
            public_log: ledger.public().to_owned(),
            journal: journal.clone(),
            stopping: stopping.clone(),
        });
        let identity = Arc::new(MasterIdentity::new(
            config.name.clone(),
            configured_addresses(&config),
            journal.clone(),
            authorities,
        ));
        tokio::spawn(identity.clone().follow(stopping.clone()));
        identity
            .renew()
            .await
            .map_err(|error| AppError::part("TLS")(&error))?;
        tokio::spawn(keep_house(
            api.clone(),
            identity.clone(),
            actor(&config),
            stopping.clone(),
        ));
        let serving = tokio::spawn(listener::serve(listener, identity, api, relayed, stopping));
        Ok(Self {
            address,
            stop,
            serving,
            ledger,
            index,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: requests in progress end, what was committed is published and indexed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            tracing::error!(error = %chain(&error), "the listener panicked");
        }
        self.ledger.shutdown().await;
        if let Err(error) = self.index.sync() {
            tracing::warn!(error = %chain(&error), "the index may have to catch up at the next start");
        }
    }
}

fn log_key(bundle: &TrustBundle) -> Result<VerifierKey, AppError> {
    VerifierKey::parse(bundle.log_key())
        .map_err(|error| AppError::part("the log key of the trust bundle")(&error))
}

fn inventory(source: HostSource, host: &Name) -> Result<Option<Inventory>, AppError> {
    match source {
        HostSource::Nowhere => Ok(None),
        HostSource::File(path) => Ok(Some(Inventory::File(FileInventory::new(
            path,
            host.clone(),
        )))),
        HostSource::Docker(socket) => match DockerInventory::new(socket, host.clone()) {
            Ok(docker) => Ok(Some(Inventory::Docker(docker))),
            Err(error) => Err(AppError::part("the watch of the container engine")(&error)),
        },
    }
}

async fn keep_house(
    api: Arc<Api>,
    identity: Arc<MasterIdentity>,
    actor: String,
    mut stopping: watch::Receiver<bool>,
) {
    let mut timer = tokio::time::interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let cause = Cause {
            actor: actor.clone(),
            request_id: env::request_id(),
        };
        api.enrollment.flush_refusals(&cause).await;
        api.clocks.forget_all_but(&api.journal.state());
        match api.rotor.tend(&cause).await {
            Ok(true) => api.tell_agents(),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error = %chain(&error), "the authorities were not changed; trying again");
            }
        }
        api.tokens.end_expired(&cause).await;
        if let Err(error) = identity.renew().await {
            tracing::error!(%error, "the master's certificate was not renewed; trying again");
        }
    }
}

/// Has the ledger know the policy that certificates will be issued under, the policy itself as a
/// blob; and tells of rules that no request can come to.
async fn record_policy(journal: &Journal, blobs: &Blobs, config: &Config) -> Result<(), AppError> {
    let policy = &config.policy;
    for (line, what) in policy.unreachable() {
        tracing::warn!(line, "dockmaster.yaml: {what}");
    }
    let policy_sha256 = policy.sha256();
    if journal.state().policy() == Some(policy_sha256) {
        return Ok(());
    }
    let changed = PolicyChanged {
        policy_sha256,
        rules: policy.rules().len() as u64,
    };
    // Before the entry that names it: a crash between the two leaves a document that nobody names.
    blobs
        .put(policy.canonical())
        .map_err(|error| AppError::part("the policy")(&error))?;
    commit(journal, config, Event::PolicyChanged(changed)).await
}

async fn commit(journal: &Journal, config: &Config, event: Event) -> Result<(), AppError> {
    let cause = Cause {
        actor: actor(config),
        request_id: env::request_id(),
    };
    journal
        .commit(&cause, vec![event], vec![])
        .await
        .map_err(|error| AppError::part("the ledger")(&error))?;
    Ok(())
}

fn actor(config: &Config) -> String {
    format!("/master/{}", config.name)
}

/// The addresses that the master's certificate names from the start; others are learned from connections.
fn configured_addresses(config: &Config) -> Vec<std::net::IpAddr> {
    let mut addresses = config.addresses.clone();
    if !config.listen.ip().is_unspecified() {
        addresses.push(config.listen.ip());
    }
    addresses
}
