//! How many connections each address and each host has.

use std::{net::IpAddr, path::PathBuf};

use dockmaster_proto::{id::Name, spiffe::Principal};

use super::addresses::HostAddresses;
use crate::{
    api::{Api, Peer},
    origin::{Group, Origin, Party},
    state::State,
    tally::{Held, Tally},
};

/// Connections of one address at a time: one container must not take everybody's.
const MAX_PER_SOURCE: usize = 256;
/// Connections of one enrolled host at a time: it carries those of all its containers.
const MAX_PER_HOST: usize = 4096;
/// Handshakes from a host's address while that is full.
const MAX_UNKNOWN: usize = 64;
/// Of all connections the part that addresses have together that nobody is known to have.
const PART_OF_STRANGERS: usize = 4;

/// Whose connections are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    /// Those of one address.
    Origin(Origin),
    /// Those of all addresses that nobody is known to have.
    Strangers,
    /// Those of one enrolled host itself, which carry its containers'.
    Host(Name),
    /// Those from a host's address of which it is not known yet whether they are the host's.
    Unknown(IpAddr),
}

/// How many connections each source has.
#[derive(Debug)]
pub(super) struct Sources {
    places: Tally<Source>,
    hosts: HostAddresses,
}

/// A connection's place among those of its source; it ends with the value.
#[derive(Debug)]
pub(super) struct Place(Held<Source>);

impl Sources {
    /// For so many connections of all together. Where hosts speak from is kept in `hosts`.
    pub(super) fn new(all: usize, hosts: PathBuf) -> Self {
        let most = move |source: &Source| match source {
            Source::Origin(_) => MAX_PER_SOURCE,
            Source::Strangers => all / PART_OF_STRANGERS,
            Source::Host(_) => MAX_PER_HOST,
            Source::Unknown(_) => MAX_UNKNOWN,
        };
        Self {
            places: Tally::new(most),
            hosts: HostAddresses::load(hosts),
        }
    }

    /// A place for a connection of which only the address is known. What the containers of a host dial
    /// themselves comes from the host's address too; they must not take the host's way to the master.
    pub(super) fn admit(&self, party: &Party, state: &State) -> Option<Place> {
        let Party { origin, group } = party;
        let mut sources = vec![Source::Origin(origin.clone())];
        match group {
            Some(Group::Strangers) => sources.push(Source::Strangers),
            // Each has a place among the host's already, by the connection that carries it.
            Some(Group::Relay(_)) | None => {}
        }
        let place = self.enter(sources);
        place.or_else(|| {
            (origin.relay.is_none() && self.is_hosts(origin.ip, state))
                .then(|| self.enter([Source::Unknown(origin.ip)]))
                .flatten()
        })
    }

    /// Whether an enrolled host spoke from this address the last time.
    pub(super) fn is_hosts(&self, ip: IpAddr, state: &State) -> bool {
        self.hosts.has(ip, state)
    }

    /// A place of an enrolled host's own connection.
    fn enter_host(&self, name: &Name, ip: IpAddr, state: &State) -> Option<Place> {
        self.hosts.note(name, ip, state);
        self.enter([Source::Host(name.clone())])
    }

    /// The place of a connection whose peer is known by now: an enrolled host's is among the host's own,
    /// and whoever has a certificate is no stranger.
    pub(super) fn seat(&self, mut place: Place, peer: &Peer, api: &Api) -> Option<Place> {
        if let Some(host) = honoured_host(peer, api) {
            let state = api.journal.state();
            return self.enter_host(&host, peer.address.ip(), &state);
        }
        // An address that is full has room for its host only.
        if let [Source::Unknown(_)] = place.0.accounts() {
            return None;
        }
        if api.party(peer).group.is_none() {
            place.0.leave(&Source::Strangers);
        }
        Some(place)
    }

    fn enter(&self, sources: impl Into<Vec<Source>>) -> Option<Place> {
        self.places.take(sources).map(Place)
    }
}

/// The enrolled host that a peer is.
fn honoured_host(peer: &Peer, api: &Api) -> Option<Name> {
    let identity = peer.identity.as_ref()?;
    let Principal::Host(name) = &identity.id.principal else {
        return None;
    };
    let state = api.journal.state();
    let host = state.host(name)?;
    host.honours(&identity.serial).then(|| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(ip: &str) -> Party {
        Party::known(Origin::direct(ip.parse().unwrap()))
    }

    /// Whose file of hosts' addresses is nowhere.
    fn sources(all: usize) -> Sources {
        Sources::new(all, PathBuf::from("/nowhere/addresses"))
    }

    /// As many places as a party gets.
    fn fill(sources: &Sources, party: &Party, state: &State) -> Vec<Place> {
        std::iter::from_fn(|| sources.admit(party, state))
            .take(5000)
            .collect()
    }

    #[test]
    fn strangers_have_a_part_of_all_places_however_many_addresses_they_take() {
        let sources = sources(4000);
        let state = State::default();
        let stranger = |last| Party::unknown(Origin::direct([10, 0, 0, last].into()));
        let mut held: Vec<Vec<Place>> = (0..=u8::MAX)
            .map(|last| fill(&sources, &stranger(last), &state))
            .collect();
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 1000);
        assert_eq!(held[0].len(), MAX_PER_SOURCE);
        assert_eq!(
            fill(&sources, &known("10.1.0.1"), &state).len(),
            MAX_PER_SOURCE
        );
        // One that turns out to be known makes room for another.
        let mut place = held[0].pop().unwrap();
        place.0.leave(&Source::Strangers);
        assert!(sources.admit(&stranger(200), &state).is_some());
    }

    #[test]
    fn containers_that_fill_their_hosts_address_do_not_take_its_way_to_the_master() {
        let sources = sources(20_000);
        let state = crate::testing::with_host("h2");
        let party = known("10.0.0.2");
        let ip = party.origin.ip;
        let held = fill(&sources, &party, &state);
        assert_eq!(held.len(), MAX_PER_SOURCE);
        let host = sources.enter_host(&"h2".parse().unwrap(), ip, &state);
        assert!(host.is_some());
        let unknown = sources.admit(&party, &state).unwrap();
        assert_eq!(unknown.0.accounts(), [Source::Unknown(ip)]);
        let more = fill(&sources, &party, &state);
        assert_eq!(more.len(), MAX_UNKNOWN - 1);
        // It ends with its handshake; and other addresses have no such room.
        drop((unknown, more));
        assert!(sources.admit(&party, &state).is_some());
        assert_eq!(
            fill(&sources, &known("10.0.0.3"), &state).len(),
            MAX_PER_SOURCE
        );
    }
}
