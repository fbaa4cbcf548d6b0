//! How many connections each address and each host has.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use dockmaster_proto::{id::Name, spiffe::Principal};

use crate::{
    api::{Api, Peer},
    origin::Origin,
};

/// Connections of one address at a time: one container must not take everybody's.
const MAX_PER_SOURCE: usize = 256;
/// Connections of one enrolled host at a time: it carries those of all its containers.
const MAX_PER_HOST: usize = 4096;
/// Handshakes from a host's address while that is full.
const MAX_UNKNOWN: usize = 64;

/// Whose connections are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    /// Those of one address.
    Origin(Origin),
    /// Those of one enrolled host itself, which carry its containers'.
    Host(Name),
    /// Those from a host's address of which it is not known yet whether they are the host's.
    Unknown(IpAddr),
}

impl Source {
    const fn most(&self) -> usize {
        match self {
            Self::Origin(_) => MAX_PER_SOURCE,
            Self::Host(_) => MAX_PER_HOST,
            Self::Unknown(_) => MAX_UNKNOWN,
        }
    }
}

/// How many connections each source has.
#[derive(Debug, Default)]
pub(super) struct Sources {
    counts: Mutex<HashMap<Source, usize>>,
    /// Where each enrolled host spoke from the last time.
    hosts: Mutex<HashMap<Name, IpAddr>>,
}

/// A connection's place among those of its address; it ends with the value.
pub(super) struct Place {
    sources: Arc<Sources>,
    source: Source,
}

impl Sources {
    /// A place for a connection of which only the address is known. What the containers of a host dial
    /// themselves comes from the host's address too; they must not take the host's way to the master.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let ip = ip.to_canonical();
        let place = self.enter(Source::Origin(Origin::direct(ip)));
        place.or_else(|| {
            self.is_hosts(ip)
                .then(|| self.enter(Source::Unknown(ip)))
                .flatten()
        })
    }

    /// Whether an enrolled host spoke from this address the last time.
    pub(super) fn is_hosts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.values().any(|host| *host == ip)
    }

    /// A place for a connection that a host relays.
    pub(super) fn admit_relayed(self: &Arc<Self>, origin: Origin) -> Option<Place> {
        self.enter(Source::Origin(origin))
    }

    /// A place of an enrolled host's own connection.
    fn enter_host(self: &Arc<Self>, name: &Name, ip: IpAddr) -> Option<Place> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(name.clone(), ip.to_canonical());
        drop(hosts);
        self.enter(Source::Host(name.clone()))
    }

    /// The place of a connection whose peer is known by now: an enrolled host's is among the host's own.
    pub(super) fn seat(self: &Arc<Self>, place: Place, peer: &Peer, api: &Api) -> Option<Place> {
        let identity = peer.identity.as_ref();
        let host = identity.and_then(|identity| match &identity.id.principal {
            Principal::Host(name) => Some((name, &identity.serial)),
            _ => None,
        });
        // An address that is full has room for its host only.
        let otherwise = |place: Place| match place.source {
            Source::Unknown(_) => None,
            Source::Origin(_) | Source::Host(_) => Some(place),
        };
        let Some((name, serial)) = host else {
            return otherwise(place);
        };
        let is_honoured = api
            .journal
            .state()
            .host(name)
            .is_some_and(|host| host.honours(serial));
        if is_honoured {
            self.enter_host(name, peer.address.ip())
        } else {
            otherwise(place)
        }
    }

    fn enter(self: &Arc<Self>, source: Source) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let most = source.most();
        let count = counts.entry(source.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place {
            sources: self.clone(),
            source,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .sources
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_that_fill_their_hosts_address_do_not_take_its_way_to_the_master() {
        let sources = Arc::new(Sources::default());
        let ip: IpAddr = "10.0.0.2".parse().unwrap();
        let held: Vec<Place> = std::iter::from_fn(|| sources.admit(ip))
            .take(5000)
            .collect();
        assert_eq!(held.len(), MAX_PER_SOURCE);
        let host = sources.enter_host(&"h2".parse().unwrap(), ip);
        assert!(host.is_some());
        let unknown = sources.admit(ip).unwrap();
        assert_eq!(unknown.source, Source::Unknown(ip));
        let more: Vec<Place> = std::iter::from_fn(|| sources.admit(ip))
            .take(5000)
            .collect();
        assert_eq!(more.len(), MAX_UNKNOWN - 1);
        // It ends with its handshake; and other addresses have no such room.
        drop((unknown, more));
        assert!(sources.admit(ip).is_some());
        let other: IpAddr = "10.0.0.3".parse().unwrap();
        let held: Vec<Place> = std::iter::from_fn(|| sources.admit(other))
            .take(5000)
            .collect();
        assert_eq!(held.len(), MAX_PER_SOURCE);
    }
}
