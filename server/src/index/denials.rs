//! What was refused or held, by where it came from and by container.

use std::net::IpAddr;

use dockmaster_proto::{
    event::{CertDenied, RequestHeld},
    id::ContainerId,
    time::UnixMs,
};

use super::{
    Index, IndexError, keys,
    overlay::{Overlay, decode},
    records::DenialRecord,
};

/// The code of a request that was held.
pub const HELD: &str = "held";

pub(super) fn refused(index: u64, event: &CertDenied, at_ms: UnixMs, to: &mut Overlay<'_>) {
    let event = event.clone();
    let record = DenialRecord {
        index,
        at_ms,
        source: event.source,
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
}
