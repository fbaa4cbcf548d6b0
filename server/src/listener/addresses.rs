//! Where enrolled hosts spoke from the last time, also before the master was started anew. A host's own
//! address is no container's: without this a flood of strangers would keep a host out, and its
//! containers would end with its leases.

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dockmaster_proto::id::Name;

use crate::{files, state::State};

/// Addresses by host, in memory and in a file that may be lost.
#[derive(Debug)]
pub(super) struct HostAddresses {
    file: PathBuf,
    known: Mutex<BTreeMap<Name, IpAddr>>,
}

impl HostAddresses {
    /// Those of the file; none where it cannot be read.
    pub(super) fn load(file: PathBuf) -> Self {
        let known = fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            file,
            known: Mutex::new(known.unwrap_or_default()),
        }
    }

    /// Whether a host that is enrolled spoke from this address the last time.
    pub(super) fn has(&self, ip: IpAddr, state: &State) -> bool {
        let ip = ip.to_canonical();
        let known = self.known();
        let mut hosts = known.iter().filter(|(_, host)| **host == ip);
        hosts.any(|(name, _)| state.host(name).is_some())
    }

    /// An enrolled host speaks from this address.
    pub(super) fn note(&self, name: &Name, ip: IpAddr, state: &State) {
        let ip = ip.to_canonical();
        let mut known = self.known();
        if known.insert(name.clone(), ip) == Some(ip) {
            return;
        }
        known.retain(|name, _| state.host(name).is_some());
        let text = serde_json::to_vec(&*known).unwrap_or_default();
        if let Err(error) = files::replace(&self.file, &text) {
            tracing::warn!(file = %self.file.display(), %error, "where a host speaks from is not kept for the next start");
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Name, IpAddr>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::{Event, HostEvicted};

    use super::*;
    use crate::testing::{apply, with_host};

    #[test]
    fn the_address_of_an_enrolled_host_is_known_after_a_start_and_that_of_an_evicted_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = || dir.path().join("addresses");
        let (name, ip): (Name, IpAddr) = ("h2".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let mut state = with_host("h2");
        let addresses = HostAddresses::load(file());
        assert!(!addresses.has(ip, &state));
        addresses.note(&name, "::ffff:10.0.0.2".parse().unwrap(), &state);
        let again = HostAddresses::load(file());
        assert!(again.has(ip, &state));
        apply(&mut state, Event::HostEvicted(HostEvicted { host: name }));
        assert!(!again.has(ip, &state));
        fs::write(file(), "garbage").unwrap();
        assert!(!HostAddresses::load(file()).has(ip, &state));
    }
}
