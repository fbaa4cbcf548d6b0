//! Questions to the index.

use std::net::IpAddr;

use dockmaster_proto::{
    address::Address,
    event::HeldAddress,
    id::{ContainerId, Serial},
    time::UnixMs,
};
use serde::de::DeserializeOwned;

use super::{
    Index, IndexError, keys,
    overlay::{Overlay, decode},
    records::{CertificateRecord, LeaseCertificate, LeaseRecord, WatchRecord},
};
use crate::state::{Documents, Lease, NodeRecord, Requests, RestoredParts, State};

impl Index {
    /// The view as of the entries that the index has taken up.
    ///
    /// # Errors
    /// When sled fails.
    pub fn load_state(&self) -> Result<State, IndexError> {
        let read = Overlay::new(&self.db);
        let mut state = State::default();
        for node in self.scan::<NodeRecord>(keys::NODES) {
            let (_, node) = node?;
            let mut leases = Vec::new();
            for held in &node.addresses {
                if let Some(lease) = self.open_lease(held)? {
                    leases.push((held.clone(), lease));
                }
            }
            state.restore_node(node, leases);
        }
        for labelled in self.scan(keys::LABELLED) {
            state.keep_labels(labelled?.1);
        }
        let epochs = self.scan::<u64>(keys::EPOCHS).map(|epoch| {
            let (key, epoch) = epoch?;
            Ok(text_after(keys::EPOCHS, &key)
                .and_then(|text| text.parse::<Address>().ok())
                .map(|address| (address, epoch)))
        });
        let epochs = epochs
            .filter_map(Result::transpose)
            .collect::<Result<_, IndexError>>()?;
        let operators = self.scan(keys::OPERATORS).map(|operator| {
            let (key, operator) = operator?;
            let serial = key[keys::OPERATORS.len()..]
                .try_into()
                .ok()
                .map(Serial::from_bytes);
            Ok(serial.map(|serial| (serial, operator)))
        });
        let operators = operators
            .filter_map(Result::transpose)
            .collect::<Result<_, IndexError>>()?;
        let hosts = self.scan(keys::HOSTS).map(|host| {
            let (key, host) = host?;
            let name = text_after(keys::HOSTS, &key).and_then(|text| text.parse().ok());
            Ok(name.map(|name| (name, host)))
        });
        let hosts = hosts
            .filter_map(Result::transpose)
            .collect::<Result<_, IndexError>>()?;
        let documents = Documents {
            classification: read.get(keys::CLASSIFICATION)?,
            site: read.get(keys::SITE)?,
        };
        let revoked = self.scan(keys::REVOKED).map(|found| Ok(found?.1));
        let bans = self.scan(keys::BANS).map(|found| Ok(found?.1));
        let mut requests = Requests::default();
        for one in read.scan(keys::REQUESTS)? {
            requests.restore(one);
        }
        state.restore(RestoredParts {
            requests,
            policy: read.get(keys::POLICY)?,
            epochs,
            operators,
            hosts,
            authorities: read.get(keys::AUTHORITIES)?.flatten(),
            revoked: revoked.collect::<Result<_, IndexError>>()?,
            bans: bans.collect::<Result<_, IndexError>>()?,
            newest: read.get(keys::LAST_TIME)?.unwrap_or_default(),
            documents,
            size: self.applied()?,
        });
        self.load_tokens(&mut state)?;
        self.load_machines(&mut state)?;
        Ok(state)
    }

    fn open_lease(&self, held: &HeldAddress) -> Result<Option<Lease>, IndexError> {
        let read = Overlay::new(&self.db);
        let Some(opened_at) = read.get::<UnixMs>(&keys::open_lease(&held.address))? else {
            return Ok(None);
        };
        let record: Option<LeaseRecord> = read.get(&keys::lease(&held.address, opened_at))?;
        Ok(record.map(|record| Lease {
            container: record.container,
            epoch: record.epoch,
            opened_at_ms: record.opened_at_ms,
            cause: record.opened_cause,
        }))
    }

    /// The last run of a container that the view knows no more. The index follows the view, so it may
    /// take it for one that goes on.
    ///
    /// # Errors
    /// When sled fails.
    pub fn last_run(&self, id: &ContainerId) -> Result<Option<NodeRecord>, IndexError> {
        let read = Overlay::new(&self.db);
        let running = read.get(&keys::node(id))?;
        running.map_or_else(|| read.get(&keys::ended_node(id)), |node| Ok(Some(node)))
    }

    /// Nodes whose container ended.
    ///
    /// # Errors
    /// When sled fails.
    pub fn gone_nodes(&self) -> impl Iterator<Item = Result<NodeRecord, IndexError>> {
        self.scan(keys::ENDED_NODES)
            .map(|node| node.map(|(_, node)| node))
    }

    /// All leases that an IP ever had, in whichever network, by network and beginning.
    pub fn leases_of_ip(
        &self,
        ip: IpAddr,
    ) -> impl Iterator<Item = Result<LeaseRecord, IndexError>> {
        self.scan::<LeaseRecord>(&keys::leases_of_ip(ip))
            .map(|lease| lease.map(|(_, lease)| lease))
    }

    /// The newest certificates that name a lease, at most `limit`, oldest first.
    ///
    /// # Errors
    /// When sled fails.
    pub fn certificates_of_lease(
        &self,
        lease: &LeaseRecord,
        limit: usize,
    ) -> Result<Vec<LeaseCertificate>, IndexError> {
        let prefix = keys::certificates_of_lease(&lease.address, lease.opened_at_ms);
        let newest = self.db.scan_prefix(&prefix).rev().take(limit);
        let read = newest.map(|found| {
            let (key, value) = found?;
            let serial = decode(&key, &value)?;
            let index = keys::index_after(&prefix, &key);
            Ok(index.map(|index| LeaseCertificate { serial, index }))
        });
        let mut certificates = read
            .filter_map(Result::transpose)
            .collect::<Result<Vec<_>, IndexError>>()?;
        certificates.reverse();
        Ok(certificates)
    }

    /// The intervals in which hosts were watched.
    pub fn watches(&self) -> impl Iterator<Item = Result<WatchRecord, IndexError>> {
        self.scan::<WatchRecord>(keys::WATCHES)
            .map(|watch| watch.map(|(_, watch)| watch))
    }

    /// A certificate.
    ///
    /// # Errors
    /// When sled fails.
    pub fn certificate(&self, serial: &Serial) -> Result<Option<CertificateRecord>, IndexError> {
        let read = Overlay::new(&self.db);
        let mut record: Option<CertificateRecord> = read.get(&keys::certificate(serial))?;
        if let Some(record) = &mut record {
            record.revoked = read.get(&keys::revocation(serial))?;
        }
        Ok(record)
    }

    /// Certificates whose entry's index is below `before`, newest first.
    pub fn certificates(
        &self,
        before: u64,
    ) -> impl Iterator<Item = Result<CertificateRecord, IndexError>> {
        let range = keys::certificate_at(0)..keys::certificate_at(before);
        self.db.range(range).rev().filter_map(|found| {
            let record = found.map_err(IndexError::from).and_then(|(key, value)| {
                let serial: Serial = decode(&key, &value)?;
                self.certificate(&serial)
            });
            record.transpose()
        })
    }

    pub(super) fn scan<T: DeserializeOwned>(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(sled::IVec, T), IndexError>> + use<T> {
        self.db.scan_prefix(prefix).map(|found| {
            let (key, value) = found?;
            let value = decode(&key, &value)?;
            Ok((key, value))
        })
    }
}

fn text_after<'a>(prefix: &[u8], key: &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(key.get(prefix.len()..)?).ok()
}
