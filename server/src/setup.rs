//! `dockmaster init`: a new installation's data directory.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    bundle::TrustBundle,
    crl::{self, ListTerms},
    infra::Terms,
    issue::{IssueError, Validity},
    key::{KeyPair, random_serial},
};
use dockmaster_client::Context;
use dockmaster_ledger::{Config as LedgerConfig, Ledger};
use dockmaster_proto::{
    error::chain,
    event::{CaCreated, Event, OperatorGranted},
    id::{Name, TrustDomain, TrustPin},
    time::UnixMs,
};
use dockmaster_tlog::note::SigningKey;
use ipnet::IpNet;
use ring::rand::SystemRandom;

use crate::{
    config::Config,
    datadir::{DataDir, Readers},
    env,
    journal::Cause,
    lifetime::Lifetime,
    logkey::LogSeed,
    newdir::{NewDir, NewDirError},
    operators,
    policy::Rules,
    store,
};

/// The only role there is.
const ADMIN: &str = "admin";

/// What a new installation is to be.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The data directory; must not exist or be empty.
    pub data: PathBuf,
    /// Where the master will listen.
    pub listen: SocketAddr,
    /// Further addresses under which it is dialled.
    pub addresses: Vec<IpAddr>,
    /// The ranges of container addresses that it may certify.
    pub permit: Vec<IpNet>,
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// The master's name.
    pub name: Name,
    /// The name of this machine as a container host.
    pub host: Name,
    /// The first operator's name.
    pub operator: Name,
}

/// What an agent and an auditor have to know of a new installation.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Installation {
    /// The data directory.
    pub data: PathBuf,
    /// Where the master will listen.
    pub listen: SocketAddr,
    /// What agents pin.
    pub trust_pin: TrustPin,
    /// What auditors verify checkpoints with.
    pub log_verifier_key: String,
    /// The ranges of container addresses that it may certify.
    pub permit: Vec<IpNet>,
    /// The first operator's context file.
    pub context: PathBuf,
}

/// Why there is no new installation.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The directory cannot be made.
    #[error(transparent)]
    Dir(#[from] NewDirError),
    /// A key or certificate could not be made.
    #[error("{what} could not be made: {why}")]
    Make {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl SetupError {
    fn make(what: &'static str) -> impl Fn(&dyn std::error::Error) -> Self {
        move |why| Self::Make {
            what,
            why: chain(why),
        }
    }
}

struct Authorities {
    root: Authority,
    intermediate: Authority,
    infrastructure: Authority,
}

/// Makes a data directory: whole, or not at all.
///
/// # Errors
/// When the directory is in use, or a file or key cannot be made.
pub async fn init(setup: &Setup) -> Result<Installation, SetupError> {
    let new = NewDir::claim(&setup.data)?;
    let installation = fill(&new, setup).await?;
    new.keep()?;
    Ok(installation)
}

async fn fill(new: &NewDir, setup: &Setup) -> Result<Installation, SetupError> {
    let (dir, now) = (new.dir(), env::now());
    let seed = LogSeed::random().map_err(|error| SetupError::make("the log key")(&error))?;
    let log_key = seed
        .key(&setup.trust_domain)
        .map_err(|error| SetupError::make("the log key")(&error))?;
    new.write(&dir.log_key(), seed.to_text().as_bytes(), Readers::Owner)?;
    let authorities = create_authorities(setup, now)?;
    write_authorities(new, &authorities)?;
    let list = root_list(&authorities.root, now)
        .map_err(|error| SetupError::make("the root's revocation list")(&error))?;
    new.write(&dir.root_list(), list.as_bytes(), Readers::Everybody)?;
    let verifier = log_key.verifier().to_string();
    let bundle = TrustBundle::new(vec![authorities.root.certificate().clone()], &verifier)
        .map_err(|error| SetupError::make("the trust bundle")(&error))?;
    new.write(
        &dir.bundle(),
        bundle.to_pem().as_bytes(),
        Readers::Everybody,
    )?;
    let config = Config {
        name: setup.name.clone(),
        trust_domain: setup.trust_domain.clone(),
        listen: setup.listen,
        addresses: setup.addresses.clone(),
        host: setup.host.clone(),
        lifetime: Lifetime::default(),
        host_lost_after: crate::config::Patience::default(),
        policy: Rules::unwritten(Lifetime::default()),
        witnesses: vec![],
        witnesses_required: 0,
    };
    new.write(
        &dir.config(),
        config.to_yaml().as_bytes(),
        Readers::Everybody,
    )?;
    let granted = grant_operator(new, setup, &authorities.infrastructure, &bundle, now)?;
    let created = CaCreated {
        trust_domain: setup.trust_domain.clone(),
        bundle_sha256: bundle.pin().0,
        certificates: [
            ("root".to_owned(), authorities.root.der_sha256()),
            (
                "intermediate".to_owned(),
                authorities.intermediate.der_sha256(),
            ),
            ("infra".to_owned(), authorities.infrastructure.der_sha256()),
        ]
        .into(),
    };
    record(
        dir,
        setup,
        log_key,
        vec![Event::CaCreated(created), Event::OperatorGranted(granted)],
    )
    .await?;
    Ok(Installation {
        data: new.target().path().to_owned(),
        listen: setup.listen,
        trust_pin: bundle.pin(),
        log_verifier_key: verifier,
        permit: setup.permit.clone(),
        context: new.target().operator(),
    })
}

/// The root's own revocation list in PEM: empty, and good for as long as the root, so that the root's
/// key is not needed again for it. An intermediate is not revoked but replaced.
///
/// # Errors
/// When it cannot be signed.
pub(crate) fn root_list(root: &Authority, now: UnixMs) -> Result<String, IssueError> {
    let terms = ListTerms {
        number: now.0,
        now,
        next_update: root.not_after(),
    };
    Ok(crl::to_pem(&root.revocation_list([], terms)?))
}

fn create_authorities(setup: &Setup, now: UnixMs) -> Result<Authorities, SetupError> {
    let make = SetupError::make("a certificate authority");
    let seed = || {
        let random = SystemRandom::new();
        Ok::<_, SetupError>(AuthoritySeed {
            key: KeyPair::generate(&random).map_err(|error| make(&error))?,
            serial: random_serial(&random).map_err(|error| make(&error))?,
            now,
        })
    };
    let root =
        Authority::create_root(&setup.trust_domain, seed()?).map_err(|error| make(&error))?;
    let intermediate = Authority::create_container_intermediate(&root, &setup.permit, seed()?)
        .map_err(|error| make(&error))?;
    let infrastructure =
        Authority::create_infra_intermediate(&root, seed()?).map_err(|error| make(&error))?;
    Ok(Authorities {
        root,
        intermediate,
        infrastructure,
    })
}

fn write_authorities(new: &NewDir, authorities: &Authorities) -> Result<(), SetupError> {
    let Authorities {
        root,
        intermediate,
        infrastructure,
    } = authorities;
    for (name, authority) in [
        ("root", root),
        ("intermediate", intermediate),
        ("infra", infrastructure),
    ] {
        let ca = new.dir().ca();
        new.write(
            &ca.join(format!("{name}.pem")),
            authority.certificate_pem().as_bytes(),
            Readers::Everybody,
        )?;
        new.write(
            &ca.join(format!("{name}.key")),
            authority.key_pem().as_bytes(),
            Readers::Owner,
        )?;
    }
    Ok(())
}

fn grant_operator(
    new: &NewDir,
    setup: &Setup,
    authority: &Authority,
    bundle: &TrustBundle,
    now: UnixMs,
) -> Result<OperatorGranted, SetupError> {
    let make = SetupError::make("the operator's certificate");
    let key = KeyPair::generate(&SystemRandom::new()).map_err(|error| make(&error))?;
    let serial = random_serial(&SystemRandom::new()).map_err(|error| make(&error))?;
    // Bounded by the intermediate, which signs it.
    let validity = Validity::backdated(now, operators::LIFETIME_MS).within(authority.not_after());
    let role: Name = ADMIN.parse().map_err(|error| make(&error))?;
    let issued = authority
        .issue_operator(
            key.public_key(),
            &setup.operator,
            &role,
            Terms { serial, validity },
        )
        .map_err(|error| make(&error))?;
    let master = dialled(setup);
    let context = Context {
        master,
        bundle: bundle.to_pem(),
        certificate: format!("{}{}", issued.pem, authority.certificate_pem()),
        key: key.to_pem(),
    };
    let yaml = context.to_yaml().map_err(|error| make(&error))?;
    new.write(&new.dir().operator(), yaml.as_bytes(), Readers::Owner)?;
    Ok(operators::granted(&setup.operator, &role, &issued))
}

/// The address that the operator's context dials: the one listened on, or loopback when that is all.
fn dialled(setup: &Setup) -> SocketAddr {
    let ip = match setup.listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, setup.listen.port())
}

async fn record(
    dir: &DataDir,
    setup: &Setup,
    key: SigningKey,
    events: Vec<Event>,
) -> Result<(), SetupError> {
    let make = SetupError::make("the ledger");
    let config = LedgerConfig::new(dir.ledger(), dir.blobs(), key, Arc::new(env::now_ms));
    let opened = Ledger::create(&config)
        .and_then(|()| Ledger::open(config))
        .map_err(|error| make(&error))?;
    let cause = Cause {
        actor: format!("/operator/{}", setup.operator),
        request_id: env::request_id(),
    };
    store::commit_alone(dir, opened, &setup.name, &cause, events)
        .await
        .map_err(|error| make(&error))
}
