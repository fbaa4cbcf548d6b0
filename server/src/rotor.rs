//! Changes the authorities while the master runs: *load -> decide -> make -> commit -> announce*.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use dockmaster_certs::{
    authority::{Authority, AuthorityError, AuthoritySeed},
    key::{KeyError, KeyPair, random_serial},
};
use dockmaster_ledger::CommitError;
use dockmaster_proto::{
    api::authority::{
        AuthorityInfo, AuthorityReport, Confirmed, MAX_NAMED, Phase, RotationReport,
        RotationRequest, Use,
    },
    error::chain,
    event::{
        CaRenewed, CaRolledBack, CaRotationFinished, CaRotationStarted, CaSwitched, CaSwitchedBack,
        Event,
    },
    id::Digest,
    time::UnixMs,
};
use ring::rand::SystemRandom;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    acknowledged::Acknowledged,
    authorities::{Authorities, Signing},
    datadir::DataDir,
    env,
    journal::{Cause, Journal},
    material::{self, Material, MaterialError},
    rotation::{self, Change, Progress, RotationRefused},
    setup,
    state::AuthorityState,
};

/// How often it is said that the root's key is wanted.
const REMIND_MS: u64 = 6 * 3_600_000;

/// Why the authorities were not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotorError {
    /// It is not the time for it.
    #[error(transparent)]
    Refused(#[from] RotationRefused),
    /// Files or certificates.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// An authority could not be made.
    #[error("an authority could not be made")]
    Make(#[from] AuthorityError),
    /// No key.
    #[error("no key could be made")]
    Key(#[from] KeyError),
    /// The log does not say which authorities count.
    #[error("the log does not say which authorities count")]
    Unknown,
    /// The change could not be recorded.
    #[error("the change could not be recorded")]
    Commit(#[from] CommitError),
}

/// The one that changes authorities.
#[derive(Debug)]
pub struct Rotor {
    journal: Journal,
    dir: DataDir,
    authorities: Authorities,
    acknowledged: Arc<Acknowledged>,
    /// Held while something is changed.
    changing: Mutex<()>,
    reminded_at_ms: AtomicU64,
}

/// What a master signs with, as its log and its data directory say; the files of `init` are made
/// copies of it, where a crash kept that from being done.
///
/// # Errors
/// When something is missing or damaged.
pub fn load(dir: &DataDir, state: Option<&AuthorityState>) -> Result<Signing, MaterialError> {
    let material = Material::load(dir)?;
    let Some(state) = state else {
        return Err(MaterialError::Unnamed);
    };
    let mut material = material;
    if let Some(root) = material.find(&state.current.root)?
        && material.signing(state)?.root_lists.is_empty()
        && let Ok(list) = setup::root_list(&root, env::now())
    {
        // An installation from before there were lists.
        material.add_list(&list);
    }
    material::copy_out(dir, &material, state)?;
    material.signing(state)
}

impl Rotor {
    /// A rotor for these authorities.
    #[must_use]
    pub fn new(
        journal: Journal,
        dir: DataDir,
        authorities: Authorities,
        acknowledged: Arc<Acknowledged>,
    ) -> Self {
        Self {
            journal,
            dir,
            authorities,
            acknowledged,
            changing: Mutex::default(),
            reminded_at_ms: AtomicU64::new(0),
        }
    }

    /// Keeps the authorities and their files as they are for as long as the guard lives.
    pub async fn still(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Does what an operator asks for.
    ///
    /// # Errors
    /// When it is refused, or cannot be done.
    pub async fn step(&self, request: &RotationRequest, cause: &Cause) -> Result<(), RotorError> {
        let _changing = self.changing.lock().await;
        let state = self.state()?;
        let progress = self.progress();
        let change = rotation::decide(request.step, request.insistence, &state, &progress)?;
        self.change(change, &state, &progress, cause).await
    }

    /// Does what is to be done without an operator; called now and then. Whether anything was.
    ///
    /// # Errors
    /// When it cannot be done; it is tried again.
    pub async fn tend(&self, cause: &Cause) -> Result<bool, RotorError> {
        let _changing = self.changing.lock().await;
        let state = self.state()?;
        self.acknowledged.forget_all_but(&self.journal.state());
        if state.rotation.is_none() {
            return self.renew_if_due(&state, cause).await;
        }
        let progress = self.progress();
        let Some(change) = rotation::by_itself(&state, &progress) else {
            return Ok(false);
        };
        self.change(change, &state, &progress, cause).await?;
        Ok(true)
    }

    fn state(&self) -> Result<AuthorityState, RotorError> {
        let state = self.journal.state();
        state.authorities().cloned().ok_or(RotorError::Unknown)
    }

    fn progress(&self) -> Progress {
        let signing = self.authorities.now();
        let (containers, operators) = (
            signing.containers.key_id().to_string(),
            signing.operators.key_id().to_string(),
        );
        let pin = signing.bundle.pin();
        Progress::of(
            &self.journal.state(),
            (&containers, &operators),
            |node| self.acknowledged.has(node, pin),
            env::now(),
        )
    }

    async fn renew_if_due(
        &self,
        state: &AuthorityState,
        cause: &Cause,
    ) -> Result<bool, RotorError> {
        let now = env::now();
        let due = self.ends_first();
        if !rotation::is_due(due, now) {
            return Ok(false);
        }
        let mut material = Material::load(&self.dir)?;
        let Some(root) = material.find(&state.current.root)? else {
            let last = self.reminded_at_ms.load(Ordering::Relaxed);
            if now.since(UnixMs(last)) > REMIND_MS {
                self.reminded_at_ms.store(now.0, Ordering::Relaxed);
                tracing::warn!("{}", wants_root_key(due));
            }
            return Ok(false);
        };
        let permitted = self
            .authorities
            .now()
            .containers
            .permitted()
            .map(<[_]>::to_vec);
        let containers = Authority::create_container_intermediate(
            &root,
            &permitted.unwrap_or_default(),
            seed(now)?,
        )?;
        let infra = Authority::create_infra_intermediate(&root, seed(now)?)?;
        let event = CaRenewed {
            containers: containers.der_sha256(),
            infra: infra.der_sha256(),
        };
        material.add(&containers);
        material.add(&infra);
        let more = [event.containers, event.infra];
        self.commit(material, state, &more, Event::CaRenewed(event), cause)
            .await?;
        tracing::info!(until = %containers.not_after(), "the intermediate authorities were renewed");
        Ok(true)
    }

    fn ends_first(&self) -> UnixMs {
        let signing = self.authorities.now();
        let infra = signing.infrastructure.not_after();
        signing.containers.not_after().min(infra)
    }

    async fn change(
        &self,
        change: Change,
        state: &AuthorityState,
        progress: &Progress,
        cause: &Cause,
    ) -> Result<(), RotorError> {
        let mut material = Material::load(&self.dir)?;
        let left_behind = progress.left_behind();
        let mut more = Vec::new();
        let event = match change {
            Change::Start => {
                let started = self.make_next(&mut material, state)?;
                more.extend([
                    started.root,
                    started.containers,
                    started.infra,
                    started.cross,
                ]);
                Event::CaRotationStarted(started)
            }
            Change::Switch => Event::CaSwitched(CaSwitched {
                acknowledged: progress.nodes - progress.unacknowledged.len() as u64,
                nodes: progress.nodes,
            }),
            Change::SwitchBack => Event::CaSwitchedBack(CaSwitchedBack {}),
            Change::Finish => {
                let next = state.rotation.map_or(state.current.root, |it| it.next.root);
                Event::CaRotationFinished(CaRotationFinished {
                    bundle_sha256: material.bundle(&[next])?.pin().0,
                    left_behind,
                })
            }
            Change::RollBack => Event::CaRolledBack(CaRolledBack {
                bundle_sha256: material.bundle(&[state.current.root])?.pin().0,
                left_behind,
            }),
        };
        let name = event.name();
        self.commit(material, state, &more, event, cause).await?;
        tracing::info!(event = name, "the authorities changed");
        Ok(())
    }

    /// A root with its intermediates, and the old authority for masters below it.
    fn make_next(
        &self,
        material: &mut Material,
        state: &AuthorityState,
    ) -> Result<CaRotationStarted, RotorError> {
        let (signing, now) = (self.authorities.now(), env::now());
        let root = Authority::create_root(signing.bundle.trust_domain(), seed(now)?)?;
        let permitted = signing.containers.permitted().unwrap_or_default();
        let containers = Authority::create_container_intermediate(&root, permitted, seed(now)?)?;
        let infra = Authority::create_infra_intermediate(&root, seed(now)?)?;
        let cross = root.cross_sign(&signing.infrastructure, now)?;
        let list = setup::root_list(&root, now).map_err(AuthorityError::from)?;
        material::save_root_key(&self.dir, &root)?;
        let cross_sha256 = Digest::of(&cross);
        for authority in [&root, &containers, &infra] {
            material.add(authority);
        }
        material.add_certificate(cross);
        material.add_list(&list);
        let next = root.der_sha256();
        Ok(CaRotationStarted {
            root: next,
            containers: containers.der_sha256(),
            infra: infra.der_sha256(),
            cross: cross_sha256,
            bundle_sha256: material.bundle(&[state.current.root, next])?.pin().0,
            next_bundle_sha256: material.bundle(&[next])?.pin().0,
        })
    }

    /// The files first, then the log; then what is in use, and the copies.
    async fn commit(
        &self,
        material: Material,
        state: &AuthorityState,
        more: &[Digest],
        event: Event,
        cause: &Cause,
    ) -> Result<(), RotorError> {
        material.save(&self.dir, state, more)?;
        self.journal.commit(cause, vec![event], vec![]).await?;
        let state = self.state()?;
        self.authorities.replace(material.signing(&state)?);
        if let Err(error) = material::copy_out(&self.dir, &material, &state) {
            tracing::error!(error = %chain(&error), "the files in ca/ are not copies of what counts; the next start makes them so");
        }
        Ok(())
    }

    /// Everything about the authorities, for people.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn report(&self) -> Result<AuthorityReport, RotorError> {
        let state = self.state()?;
        let signing = self.authorities.now();
        let material = Material::load(&self.dir)?;
        let mut authorities = Vec::new();
        let mut add = |digest: &Digest, used: Use| {
            if let Some(info) = info(&material, digest, used) {
                authorities.push(info);
            }
        };
        for digest in [
            state.current.root,
            state.current.containers,
            state.current.infra,
        ] {
            add(&digest, Use::Current);
        }
        if let Some(rotation) = &state.rotation {
            for digest in [
                rotation.next.root,
                rotation.next.containers,
                rotation.next.infra,
            ] {
                add(&digest, Use::Next);
            }
        }
        let retired = signing.retired.iter().map(Authority::der_sha256);
        let others = [
            Some(state.current.containers),
            state.rotation.map(|it| it.next.containers),
        ];
        for digest in retired.filter(|digest| !others.contains(&Some(*digest))) {
            add(&digest, Use::Retired);
        }
        let confirmed = self.acknowledged.counts().into_iter();
        let progress = self.progress();
        let rotation = state.rotation.map(|rotation| {
            let pins: Vec<_> = signing.bundles.iter().map(|bundle| bundle.pin()).collect();
            let pin = |index: usize| pins.get(index).copied().unwrap_or(signing.bundle.pin());
            RotationReport {
                phase: rotation.phase,
                started_at_ms: rotation.started_at_ms,
                both_pin: pin(0),
                old_pin: pin(1),
                new_pin: pin(2),
                nodes: progress.nodes,
                acknowledged: progress.nodes - progress.unacknowledged.len() as u64,
                renewed: match rotation.phase {
                    // All are under the authority that signs, since it is the old one yet.
                    Phase::Announced => 0,
                    Phase::Switched | Phase::Withdrawing => {
                        progress.nodes - progress.behind.len() as u64
                    }
                },
                unacknowledged: named(progress.unacknowledged),
                behind: named(progress.behind),
                operators_behind: named(progress.operators_behind),
                hosts_behind: named(progress.hosts_behind),
            }
        });
        let ends = self.ends_first();
        let has_root_key = material.find(&state.current.root)?.is_some();
        let due = rotation::is_due(ends, env::now());
        let advice = match &rotation {
            Some(rotation) => advice(rotation),
            None if due && !has_root_key => wants_root_key(ends),
            None => String::new(),
        };
        Ok(AuthorityReport {
            trust_domain: signing.bundle.trust_domain().clone(),
            pin: signing.bundle.pin(),
            authorities,
            confirmed: confirmed
                .map(|(pin, nodes)| Confirmed { pin, nodes })
                .collect(),
            rotation,
            advice,
        })
    }
}

fn seed(now: UnixMs) -> Result<AuthoritySeed, KeyError> {
    let random = SystemRandom::new();
    Ok(AuthoritySeed {
        key: KeyPair::generate(&random)?,
        serial: random_serial(&random)?,
        now,
    })
}

fn info(material: &Material, digest: &Digest, used: Use) -> Option<AuthorityInfo> {
    let certificate = material.certificate(digest).ok()?;
    let facts = dockmaster_certs::authority::describe(&certificate).ok()?;
    Some(AuthorityInfo {
        kind: facts.kind.to_string(),
        used,
        key_id: facts.key_id.to_string(),
        not_after_ms: facts.not_after,
        has_key: matches!(material.find(digest), Ok(Some(_))),
    })
}

fn named(mut names: Vec<String>) -> Vec<String> {
    names.truncate(MAX_NAMED);
    names
}

fn wants_root_key(ends: UnixMs) -> String {
    format!(
        "the intermediate authorities end at {ends} and the root's key is not there to renew them: put it back as ca/root.key for a minute, or run \"dockmaster ca rotate\", which needs no old key"
    )
}

fn advice(rotation: &RotationReport) -> String {
    match rotation.phase {
        Phase::Announced => {
            "the master goes on by itself when every live node has confirmed both roots".to_owned()
        }
        Phase::Switched => format!(
            "give new containers the pin {} and then run \"dockmaster ca rotate --finish\"; each operator runs any command before that",
            rotation.new_pin
        ),
        Phase::Withdrawing => {
            "the master drops the new root by itself when nobody has a certificate under it"
                .to_owned()
        }
    }
}
