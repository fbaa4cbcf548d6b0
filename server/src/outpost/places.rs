//! Who may have how many of the relay's connections. A container that takes all it can get, under as many
//! addresses as it can make up, leaves the others theirs, and the watcher its open files.
//!
//! No [`Tally`](crate::tally::Tally): connections are counted anew when their address becomes a container's
//! or stops being one.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use dockmaster_host::Observation;
use dockmaster_proto::{facts::ContainerFacts, id::ContainerId};

/// Connections at a time, and of one address.
const MAX_RELAYED: usize = 4000;
const MAX_OF_ONE: usize = 64;
/// The part of all that one address may have where there are few, and that all addresses may have
/// together of which no container of this host is known to hold them.
const PART: usize = 4;
/// Open files of one relayed connection: the container's end, and the master's.
const FILES_EACH: usize = 2;
/// Open files that are kept for all else: the watch stream, what the master asks (32 questions at a time,
/// each a call to the engine, or files of the kernel), the renewal, the context file and the log.
const RESERVED_FILES: usize = 160;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// In all.
    pub(super) all: usize,
    /// Of one address.
    pub(super) of_one: usize,
    /// Of all addresses together that no known container holds.
    pub(super) of_strangers: usize,
}

impl Limits {
    /// The fewest open files with which a connection can be relayed.
    pub(super) const FEWEST_FILES: usize = RESERVED_FILES + FILES_EACH;
    /// The open files with which as many are relayed as ever.
    pub(super) const MOST_FILES: usize = RESERVED_FILES + FILES_EACH * MAX_RELAYED;

    /// What may be with a limit of so many open files; nothing with fewer than [`Self::FEWEST_FILES`].
    pub(super) fn within(open_files: usize) -> Option<Self> {
        let all = (open_files.saturating_sub(RESERVED_FILES) / FILES_EACH).min(MAX_RELAYED);
        let part = (all / PART).max(1);
        (all > 0).then_some(Self {
            all,
            of_one: part.min(MAX_OF_ONE),
            of_strangers: part,
        })
    }

    /// Whether they are lower than they need to be.
    pub(super) const fn are_reduced(self) -> bool {
        self.all < MAX_RELAYED
    }
}

/// Why there is no place for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub(super) enum NoPlace {
    /// The address has its own.
    #[error("the address has as many connections as one may have")]
    One,
    /// Those who hold no known address have theirs.
    #[error(
        "no container that this host knows holds the address, and all such addresses together have as many connections as they may have"
    )]
    Strangers,
    /// All are taken.
    #[error("as many connections are relayed as this host relays at a time")]
    All,
}

impl NoPlace {
    /// What to do about it.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::One => "one agent in a container is enough, and it has few connections",
            Self::Strangers => {
                "a container that has just started is known in a moment, and its agent tries again; otherwise look who on this machine uses addresses that no engine gave it, and grant NET_ADMIN and NET_RAW to none"
            }
            Self::All => {
                "raise the limit of open files (LimitNOFILE=) where it is said to be low at the start; otherwise put containers on a further host"
            }
        }
    }
}

/// The places of a relay.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_each: HashMap<IpAddr, usize>,
    /// The sum over the addresses that nobody is known to hold.
    of_strangers: usize,
    /// The addresses of each container that is known to run, and how many hold each.
    containers: HashMap<ContainerId, Vec<IpAddr>>,
    holders: HashMap<IpAddr, usize>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            counts: Mutex::default(),
        }
    }

    /// A place for a connection from this address.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<Place, NoPlace> {
        let ip = ip.to_canonical();
        self.with(|counts| counts.enter(ip, self.limits))?;
        Ok(Place {
            places: self.clone(),
            ip,
        })
    }

    /// Learns who holds which address.
    pub(super) fn take_up(&self, observation: &Observation) {
        self.with(|counts| counts.take_up(observation));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut counts)
    }
}

/// A connection's place; it ends with the value.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|counts| counts.leave(self.ip));
    }
}

impl Counts {
    fn enter(&mut self, ip: IpAddr, limits: Limits) -> Result<(), NoPlace> {
        let is_stranger = !self.holders.contains_key(&ip);
        if self.of(ip) >= limits.of_one {
            return Err(NoPlace::One);
        }
        if is_stranger && self.of_strangers >= limits.of_strangers {
            return Err(NoPlace::Strangers);
        }
        if self.all >= limits.all {
            return Err(NoPlace::All);
        }
        self.all += 1;
        *self.of_each.entry(ip).or_default() += 1;
        self.of_strangers += usize::from(is_stranger);
        Ok(())
    }

    fn leave(&mut self, ip: IpAddr) {
        self.all -= 1;
        if !self.holders.contains_key(&ip) {
            self.of_strangers -= 1;
        }
        if let Some(count) = self.of_each.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.of_each.remove(&ip);
            }
        }
    }

    fn of(&self, ip: IpAddr) -> usize {
        self.of_each.get(&ip).copied().unwrap_or(0)
    }

    fn take_up(&mut self, observation: &Observation) {
        match observation {
            Observation::Snapshot {
                containers,
                unclear,
            } => {
                let told = containers.iter().map(|facts| &facts.id);
                let stay: HashSet<_> = told.chain(unclear).collect();
                let known = self.containers.keys();
                let gone: Vec<_> = known.filter(|id| !stay.contains(id)).copied().collect();
                for facts in containers {
                    self.up(facts);
                }
                for id in gone {
                    self.down(&id);
                }
            }
            Observation::Up(facts) => self.up(facts),
            Observation::Down { id, .. } => self.down(id),
            // What was known stands.
            Observation::Lost(_) | Observation::Refused { .. } => {}
        }
    }

    fn up(&mut self, facts: &ContainerFacts) {
        let ips = facts.attachments.iter().flat_map(|at| &at.ips);
        let ips: Vec<_> = ips.map(IpAddr::to_canonical).collect();
        for ip in &ips {
            self.hold(*ip);
        }
        for ip in self.containers.insert(facts.id, ips).unwrap_or_default() {
            self.release(ip);
        }
    }

    fn down(&mut self, id: &ContainerId) {
        for ip in self.containers.remove(id).unwrap_or_default() {
            self.release(ip);
        }
    }

    /// One more container holds an address. The connections that it has already are a container's now.
    fn hold(&mut self, ip: IpAddr) {
        let holders = self.holders.entry(ip).or_default();
        *holders += 1;
        if *holders == 1 {
            self.of_strangers -= self.of(ip);
        }
    }

    fn release(&mut self, ip: IpAddr) {
        let Some(holders) = self.holders.get_mut(&ip) else {
            return;
        };
        *holders -= 1;
        if *holders == 0 {
            self.holders.remove(&ip);
            self.of_strangers += self.of(ip);
        }
    }
}

#[cfg(test)]
mod tests;
