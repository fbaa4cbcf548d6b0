//! What was refused or held, by where it came from and by container.

use std::net::IpAddr;

use dockmaster_proto::{
    event::{CertDenied, HostRefused, RequestHeld},
    id::{ContainerId, Name},
    time::UnixMs,
};

use super::{
    Index, IndexError, keys,
    overlay::{Overlay, decode},
    records::{DenialRecord, HostRefusal, LeaseRecord},
};
use crate::state::NodeRecord;

/// The code of a request that was held.
pub const HELD: &str = "held";
/// The code of what a host said and may not say.
pub const HOST_REFUSED: &str = "host-refused";

pub(super) fn refused(index: u64, event: &CertDenied, at_ms: UnixMs, to: &mut Overlay<'_>) {
    let event = event.clone();
    let record = DenialRecord {
        index,
        at_ms,
        source: event.source,
        relay: event.relay,
        container: event.container,
        code: event.reason,
        detail: event.detail,
        hint: event.hint,
        rule: event.rule,
        request: None,
        count: event.count,
    };
    put(&record, to);
}

pub(super) fn held(index: u64, event: &RequestHeld, at_ms: UnixMs, to: &mut Overlay<'_>) {
    let record = DenialRecord {
        index,
        at_ms,
        source: event.source,
        // The entry does not say by which way it came.
        relay: None,
        container: Some(event.container),
        code: HELD.to_owned(),
        detail: event.reason.clone(),
        hint: String::new(),
        rule: event.rule.clone(),
        request: Some(event.request),
        count: 1,
    };
    put(&record, to);
}

pub(super) fn host_refused(
    index: u64,
    event: &HostRefused,
    at_ms: UnixMs,
    to: &mut Overlay<'_>,
) -> Result<(), IndexError> {
    let HostRefused {
        host,
        container,
        reason,
        name: _,
        addresses,
    } = event;
    for address in addresses {
        let record = DenialRecord {
            index,
            at_ms,
            source: address.ip,
            relay: Some(host.clone()),
            container: Some(*container),
            code: HOST_REFUSED.to_owned(),
            detail: reason.clone(),
            hint: String::new(),
            rule: String::new(),
            request: None,
            count: 1,
        };
        put(&record, to);
    }
    if !to.has(&keys::node(container))? {
        let refused = event.clone();
        let refusal = HostRefusal { at_ms, refused };
        to.put(&keys::host_refusal(container), &refusal);
    }
    Ok(())
}

/// What an evicted host said is nobody's word any more.
pub(super) fn forget_host(host: &Name, to: &mut Overlay<'_>) -> Result<(), IndexError> {
    for refusal in to.scan::<HostRefusal>(keys::HOST_REFUSALS)? {
        if refusal.refused.host == *host {
            to.delete(&keys::host_refusal(&refusal.refused.container));
        }
    }
    Ok(())
}

fn put(record: &DenialRecord, to: &mut Overlay<'_>) {
    let (source, index) = (record.source.to_canonical(), record.index);
    to.put(&keys::denial_by_ip(source, index), record);
    if let Some(container) = &record.container {
        to.put(&keys::denial_of(container, index), &source);
    }
}

impl Index {
    /// What was refused or held that came from an IP, newest first.
    pub fn denials_from(
        &self,
        ip: IpAddr,
    ) -> impl Iterator<Item = Result<DenialRecord, IndexError>> + use<> {
        let found = self.db.scan_prefix(keys::denials_by_ip(ip)).rev();
        found.map(|found| {
            let (key, value) = found?;
            decode(&key, &value)
        })
    }

    /// What was refused to a container or held, newest first.
    pub fn denials_of(
        &self,
        container: &ContainerId,
    ) -> impl Iterator<Item = Result<DenialRecord, IndexError>> {
        let prefix = keys::denials_of(container);
        let found = self.db.scan_prefix(&prefix).rev();
        let records = found.map(move |found| {
            let (key, value) = found?;
            let source: IpAddr = decode(&key, &value)?;
            let index = keys::index_after(&prefix, &key);
            let record = index.map(|index| keys::denial_by_ip(source, index));
            record.map_or(Ok(None), |key| Overlay::new(&self.db).get(&key))
        });
        records.filter_map(Result::transpose)
    }

    /// Containers that their hosts reported and may not vouch for, and that are no nodes.
    pub fn host_refusals(&self) -> impl Iterator<Item = Result<HostRefusal, IndexError>> {
        self.scan::<HostRefusal>(keys::HOST_REFUSALS)
            .map(|found| found.map(|(_, refusal)| refusal))
    }

    /// The lease of a node that closed last: when it ended, and why.
    ///
    /// # Errors
    /// When sled fails.
    pub fn last_lease(&self, node: &NodeRecord) -> Result<Option<LeaseRecord>, IndexError> {
        let mut last: Option<LeaseRecord> = None;
        for address in node.facts.addresses() {
            for lease in self.leases_of_ip(address.ip) {
                let lease = lease?;
                let is_newer = last
                    .as_ref()
                    .is_none_or(|last| last.closed_index < lease.closed_index);
                if lease.container == *node.id() && lease.closed_cause.is_some() && is_newer {
                    last = Some(lease);
                }
            }
        }
        Ok(last)
    }
}
