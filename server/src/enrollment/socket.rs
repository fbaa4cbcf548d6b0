//! Which container's process is at the other end of the connection? The host's kernel is asked, for
//! the container that holds the address and for those that share its network namespace.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dockmaster_host::{
    HostError, Inspected, Inventory, Namespace,
    socket::{Connection, SocketEvidence, Subject},
};
use dockmaster_proto::id::{ContainerId, Name};

/// What is known of the socket at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketVerdict {
    /// A process of the claimed container holds it.
    Owned {
        /// The process, as the host counts.
        pid: u32,
    },
    /// It is not in the container's network namespace.
    NotThere,
    /// It is there, and no process of the container holds it, nor of another that shares the namespace.
    Foreign,
    /// The host cannot tell, and why.
    Unavailable {
        /// Why.
        why: String,
        /// The containers that share the namespace: it may be theirs as well.
        sharing: Vec<ContainerId>,
    },
}

impl SocketVerdict {
    /// Why the host cannot tell, where it cannot.
    #[must_use]
    pub fn unavailable(&self) -> Option<&str> {
        match self {
            Self::Unavailable { why, .. } => Some(why),
            Self::Owned { .. } | Self::NotThere | Self::Foreign => None,
        }
    }
}

/// Who speaks, as far as one look shows.
#[derive(Debug)]
pub(super) enum Speaker {
    /// This container, which the host described a moment ago.
    Known(Box<Inspected>, SocketVerdict),
    /// Somebody in the namespace that the host does not list yet.
    Unlisted,
    /// The container is not what it was when the host described it.
    Changed,
    /// By the host the container runs and has a first process, and there is none: it is ending at this
    /// moment, or the host's processes are not where its sockets are looked for.
    NoProcess {
        /// The container.
        holder: Box<Inspected>,
        /// That its processes are elsewhere, for people.
        why: String,
    },
}

/// Whether a host's processes are where its sockets are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Processes {
    /// Its kernel has answered.
    Here,
    /// They were not found for as long as a container takes to end.
    Elsewhere,
}

/// Asks for sockets, and says once why it cannot.
#[derive(Debug, Default)]
pub(super) struct SocketWitness {
    told: Mutex<Option<String>>,
    processes: Mutex<HashMap<Name, Processes>>,
}

impl SocketWitness {
    /// Who speaks by a connection from the address of `holder`: itself, or one of those that share
    /// its network namespace.
    ///
    /// # Errors
    /// When the host does not answer.
    pub(super) async fn speaker(
        &self,
        (host, inventory): (&Name, &Inventory),
        connection: Connection,
        holder: Inspected,
    ) -> Result<Speaker, HostError> {
        let Some(subject) = subject(&holder) else {
            // An engine on this machine names the first process of whatever runs: it is ending, or starts.
            if matches!(inventory, Inventory::Docker(_)) {
                return Ok(Speaker::Changed);
            }
            let why = "the host tells of no processes (an inventory file)".to_owned();
            return self.unavailable(inventory, holder, why).await;
        };
        let evidence = inventory.look(connection, vec![subject]).await?;
        if matches!(
            evidence,
            SocketEvidence::Owned { .. } | SocketEvidence::NotThere | SocketEvidence::Foreign
        ) {
            self.processes().insert(host.clone(), Processes::Here);
        }
        match evidence {
            SocketEvidence::Owned { pid, .. } => Ok(Speaker::Known(
                Box::new(holder),
                SocketVerdict::Owned { pid },
            )),
            SocketEvidence::NotThere => {
                Ok(Speaker::Known(Box::new(holder), SocketVerdict::NotThere))
            }
            SocketEvidence::Ended => match inventory.inspect(&subject.id).await? {
                Some(again) if again.main_pid == holder.main_pid => {
                    let why = format!(
                        "process {} is not that of container {} on this machine: does the engine run elsewhere (in a virtual machine), or the master in a container?",
                        subject.main_pid,
                        subject.id.short()
                    );
                    let known = self.processes().get(host).copied();
                    match known {
                        Some(Processes::Elsewhere) => {
                            self.unavailable(inventory, holder, why).await
                        }
                        Some(Processes::Here) => Ok(Speaker::Changed),
                        None => Ok(Speaker::NoProcess {
                            holder: Box::new(holder),
                            why,
                        }),
                    }
                }
                _ => Ok(Speaker::Changed),
            },
            SocketEvidence::Unavailable(why) => self.unavailable(inventory, holder, why).await,
            SocketEvidence::Foreign => {
                let sharing = inventory.sharing(&namespace_of(&holder)).await?;
                self.among(inventory, connection, Some(holder), &sharing)
                    .await
            }
        }
    }

    /// A container's process was not found for as long as a container takes to end, so its host's
    /// processes are elsewhere.
    ///
    /// # Errors
    /// When the host does not answer.
    pub(super) async fn without_processes(
        &self,
        (host, inventory): (&Name, &Inventory),
        holder: Inspected,
        why: String,
    ) -> Result<Speaker, HostError> {
        let known = *self
            .processes()
            .entry(host.clone())
            .or_insert(Processes::Elsewhere);
        match known {
            Processes::Elsewhere => self.unavailable(inventory, holder, why).await,
            // Its kernel has answered meanwhile.
            Processes::Here => Ok(Speaker::Changed),
        }
    }

    fn processes(&self) -> MutexGuard<'_, HashMap<Name, Processes>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of the containers on the host's own network speaks; none where it is none of them.
    ///
    /// # Errors
    /// When the host does not answer.
    pub(super) async fn speaker_on_the_host(
        &self,
        inventory: &Inventory,
        connection: Connection,
    ) -> Result<Option<Speaker>, HostError> {
        let sharing = inventory.sharing(&Namespace::Host).await?;
        match self.among(inventory, connection, None, &sharing).await? {
            Speaker::Known(container, verdict @ SocketVerdict::Owned { .. }) => {
                Ok(Some(Speaker::Known(container, verdict)))
            }
            _ => Ok(None),
        }
    }

    async fn among(
        &self,
        inventory: &Inventory,
        connection: Connection,
        holder: Option<Inspected>,
        sharing: &[ContainerId],
    ) -> Result<Speaker, HostError> {
        let mut candidates: Vec<Inspected> = holder.into_iter().collect();
        for id in sharing {
            candidates.extend(inventory.inspect(id).await?);
        }
        let subjects: Vec<Subject> = candidates.iter().filter_map(subject).collect();
        match inventory.look(connection, subjects).await? {
            SocketEvidence::Owned { container, pid } => {
                let owner = candidates.into_iter().find(|it| it.facts.id == container);
                Ok(owner.map_or(Speaker::Changed, |owner| {
                    Speaker::Known(Box::new(owner), SocketVerdict::Owned { pid })
                }))
            }
            SocketEvidence::Foreign => Ok(Speaker::Unlisted),
            SocketEvidence::Unavailable(why) => {
                self.say(&why);
                Ok(Speaker::Changed)
            }
            SocketEvidence::NotThere | SocketEvidence::Ended => Ok(Speaker::Changed),
        }
    }

    async fn unavailable(
        &self,
        inventory: &Inventory,
        holder: Inspected,
        why: String,
    ) -> Result<Speaker, HostError> {
        if matches!(inventory, Inventory::Docker(_) | Inventory::Remote(_)) {
            self.say(&why);
        }
        let sharing = inventory.sharing(&namespace_of(&holder)).await?;
        let verdict = SocketVerdict::Unavailable { why, sharing };
        Ok(Speaker::Known(Box::new(holder), verdict))
    }

    /// The same trouble is told once, not at every request.
    fn say(&self, why: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_deref() != Some(why) {
            tracing::warn!(
                why,
                "the host gives no socket evidence; certificates rest on its word for addresses alone"
            );
            *told = Some(why.to_owned());
        }
    }
}

fn subject(container: &Inspected) -> Option<Subject> {
    Some(Subject {
        id: container.facts.id,
        main_pid: container.main_pid?,
    })
}

fn namespace_of(container: &Inspected) -> Namespace {
    Namespace::Container {
        id: container.facts.id,
        name: container.facts.name.clone(),
    }
}
