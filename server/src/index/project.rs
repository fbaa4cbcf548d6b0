//! Entries into records.

use dockmaster_proto::{
    event::{CertIssued, Entry, Event, HeldAddress, LeaseClosed, LeaseOpened, NodeObserved},
    id::{ContainerId, Name, Serial},
    revocation::RevocationReason,
    spiffe::Principal,
    time::UnixMs,
};

use super::{
    IndexError, denials, keys, machines,
    overlay::Overlay,
    records::{CertificateRecord, LeaseRecord, Revocation, WatchRecord},
    tokens,
};
use crate::state::{
    Approved, CurrentCertificate, Dormant, Ended, EnrolledHost, HostKey, NodeRecord, Operator,
    Requests, RevokedCertificate, apply_to_authorities, ban, displacement,
    requests::concerns_requests, revision_info, revocation_reason,
};

/// The hosts that are being watched, as a list.
const WATCHED: &[u8] = b"m/watched";

pub(super) fn project(index: u64, entry: &Entry, to: &mut Overlay<'_>) -> Result<(), IndexError> {
    match &entry.event {
        Event::CertConfirmed(_)
        | Event::BackupTaken(_)
        | Event::RequestApproved(_)
        | Event::RequestDenied(_) => {}
        Event::Restored(_) => tokens::end_all(Ended::Restored, to)?,
        Event::CertDenied(event) => denials::refused(index, event, entry.ts_ms, to),
        Event::HostRefused(event) => denials::host_refused(index, event, entry.ts_ms, to)?,
        Event::RequestHeld(event) => denials::held(index, event, entry.ts_ms, to),
        Event::PolicyChanged(event) => to.put(keys::POLICY, &event.policy_sha256),
        Event::CaCreated(_)
        | Event::CaRenewed(_)
        | Event::CaRotationStarted(_)
        | Event::CaSwitched(_)
        | Event::CaSwitchedBack(_)
        | Event::CaRotationFinished(_)
        | Event::CaRolledBack(_) => {
            let mut authorities = to.get(keys::AUTHORITIES)?;
            apply_to_authorities(&mut authorities, &entry.event, entry.ts_ms);
            to.put(keys::AUTHORITIES, &authorities);
        }
        Event::MasterStarted(_) => end_watches(None, to)?,
        Event::HostWatched(event) => {
            end_watches(Some(&event.host), to)?;
            let mut watched: Vec<(Name, UnixMs)> = to.get(WATCHED)?.unwrap_or_default();
            watched.push((event.host.clone(), entry.ts_ms));
            to.put(WATCHED, &watched);
            let record = WatchRecord {
                host: event.host.clone(),
                since_ms: entry.ts_ms,
                until_ms: None,
            };
            to.put(&keys::watch(&event.host, entry.ts_ms), &record);
        }
        Event::HostLost(event) => end_watches(Some(&event.host), to)?,
        Event::LeaseOpened(event) => open(index, event, entry, to)?,
        Event::LeaseClosed(event) => close(index, event, entry, to)?,
        Event::NodeObserved(event) => {
            let key = keys::node(&event.facts.id);
            to.delete(&keys::host_refusal(&event.facts.id));
            let node = match to.get::<NodeRecord>(&key)? {
                // As in the view: what another host says of it does not count.
                Some(live) if live.host != event.host => None,
                Some(live) => Some(live),
                None => Some(begin(event, to)?),
            };
            if let Some(mut node) = node {
                node.facts = event.facts.clone();
                to.put(&key, &node);
            }
        }
        Event::NodeGone(event) => {
            end(&event.container, entry.ts_ms, to)?;
        }
        Event::CertIssued(event) => {
            tokens::burn(event, to)?;
            certify(index, event, entry, to)?;
        }
        Event::CertRenewed(event) => {
            certify(index, event, entry, to)?;
        }
        Event::CertRevoked(event) => {
            let known = to.get::<CertificateRecord>(&keys::certificate(&event.serial))?;
            if let Some(known) = known {
                let life = (&event.serial, known.issued.not_after_ms);
                revoke(life, entry.ts_ms, &event.reason, to)?;
            }
            to.delete(&keys::operator(&event.serial));
            let of: Option<CertificateRecord> = to.get(&keys::certificate(&event.serial))?;
            if let Some(Principal::Host(name)) = of.map(|of| of.issued.subject.principal) {
                to.update::<EnrolledHost>(&keys::host(&name), |host| host.revoke(&event.serial))?;
            }
            if let Some(container) = &event.container {
                let mut ended = None;
                update_node(container, to, |node| ended = node.revoke(&event.serial))?;
                list(ended, entry.ts_ms, revocation_reason(event), to)?;
            }
        }
        Event::NodeBanned(event) => to.put(&keys::ban(&event.container), &ban(event, entry)),
        Event::NodeUnbanned(event) => to.delete(&keys::ban(&event.container)),
        Event::LabelsChanged(event) => {
            // As in the view: a node that ended meanwhile is not labelled any more.
            to.update::<NodeRecord>(&keys::node(&event.container), |node| {
                node.relabel(&event.change);
            })?;
        }
        Event::ClassificationChanged(event) => {
            to.put(keys::CLASSIFICATION, &revision_info(event, entry));
        }
        Event::SiteDeployed(event) => to.put(keys::SITE, &revision_info(event, entry)),
        Event::OperatorGranted(event) => {
            to.put(
                &keys::operator(&event.serial),
                &Operator::of(event, entry.ts_ms),
            );
        }
        Event::TokenCreated(event) => tokens::create(event, entry, to)?,
        Event::TokenUsed(event) => {
            tokens::change(&event.token, to, |token| token.confirm(&event.spki_sha256))?;
            update_node(&event.container, to, |node| node.confirm(event))?;
        }
        Event::TokenRevoked(event) => {
            tokens::change(&event.token, to, |token| token.end(Ended::Revoked))?;
        }
        Event::HostEnrolled(event) => {
            let host = EnrolledHost::new(event, entry.ts_ms);
            to.put(&keys::host(&event.host), &host);
        }
        Event::HostEvicted(event) => {
            end_watches(Some(&event.host), to)?;
            denials::forget_host(&event.host, to)?;
            to.delete(&keys::host(&event.host));
        }
    }
    machines::project(&entry.event, to)?;
    project_requests(index, entry, to)?;
    to.put(keys::LAST_TIME, &entry.ts_ms);
    Ok(())
}

/// The same fold as in the view; what differs afterwards is written.
fn project_requests(index: u64, entry: &Entry, to: &mut Overlay<'_>) -> Result<(), IndexError> {
    if !concerns_requests(&entry.event) {
        return Ok(());
    }
    let mut before = Requests::default();
    for one in to.scan(keys::REQUESTS)? {
        before.restore(one);
    }
    let mut after = before.clone();
    if !after.apply(index, entry) {
        return Ok(());
    }
    for id in before.all().keys() {
        if !after.all().contains_key(id) {
            to.delete(&keys::request(id));
        }
    }
    for (id, one) in after.all() {
        if before.all().get(id) != Some(one) {
            to.put(&keys::request(id), one);
        }
    }
    Ok(())
}

/// A new run of a container; what operators said of it stands, when it runs on the same host.
fn begin(event: &NodeObserved, to: &mut Overlay<'_>) -> Result<NodeRecord, IndexError> {
    let id = &event.facts.id;
    let labelled = keys::labelled(id, &event.host);
    let dormant: Option<Dormant> = to.get(&labelled)?;
    to.delete(&keys::ended_node(id));
    to.delete(&labelled);
    Ok(NodeRecord {
        operator_labels: dormant.map(|dormant| dormant.labels).unwrap_or_default(),
        ..NodeRecord::new(event.host.clone(), event.facts.clone())
    })
}

/// A run of a container is over; its record goes where a start does not read it.
fn end(id: &ContainerId, at: UnixMs, to: &mut Overlay<'_>) -> Result<(), IndexError> {
    let Some(mut node) = to.get::<NodeRecord>(&keys::node(id))? else {
        return Ok(());
    };
    let ended = node.end(at);
    list(ended, at, RevocationReason::CessationOfOperation, to)?;
    to.delete(&keys::node(id));
    to.put(&keys::ended_node(id), &node);
    if let Some(dormant) = Dormant::of(&node) {
        to.put(&keys::labelled(id, &dormant.host), &dormant);
    }
    Ok(())
}

/// Changes the record of a node, whether it runs or has ended.
fn update_node(
    id: &ContainerId,
    to: &mut Overlay<'_>,
    change: impl FnOnce(&mut NodeRecord),
) -> Result<(), IndexError> {
    let key = if to.has(&keys::node(id))? {
        keys::node(id)
    } else {
        keys::ended_node(id)
    };
    to.update(&key, change)
}

fn open(
    index: u64,
    event: &LeaseOpened,
    entry: &Entry,
    to: &mut Overlay<'_>,
) -> Result<(), IndexError> {
    let LeaseOpened {
        address,
        epoch,
        container,
        name,
        image,
        host,
        cause,
    } = event.clone();
    let key = keys::lease(&address, entry.ts_ms);
    to.put(&keys::epoch(&address), &epoch);
    let node: Option<NodeRecord> = to.get(&keys::node(&container))?;
    if node.is_some_and(|node| node.host != host) {
        // As in the view: a host gives no address to another's container.
        return Ok(());
    }
    to.put(&keys::open_lease(&address), &entry.ts_ms);
    update_node(&container, to, |node| {
        node.gain(HeldAddress {
            address: address.clone(),
            epoch,
        });
    })?;
    let record = LeaseRecord {
        address,
        epoch,
        container,
        name,
        image,
        host,
        opened_at_ms: entry.ts_ms,
        opened_cause: cause,
        opened_index: index,
        closed_at_ms: None,
        closed_cause: None,
        closed_index: None,
    };
    to.put(&key, &record);
    Ok(())
}

fn close(
    index: u64,
    event: &LeaseClosed,
    entry: &Entry,
    to: &mut Overlay<'_>,
) -> Result<(), IndexError> {
    let mut ended = Vec::new();
    update_node(&event.container, to, |node| {
        ended = node.lose(&event.address);
    })?;
    // The end of a lease ends its certificates, whether or not an entry of its own says so.
    for certificate in &ended {
        let life = (&certificate.serial, certificate.not_after_ms);
        revoke(life, entry.ts_ms, "lease closed", to)?;
    }
    let reason = RevocationReason::CessationOfOperation;
    list(ended, entry.ts_ms, reason, to)?;
    let open_key = keys::open_lease(&event.address);
    let Some(opened_at) = to.get::<UnixMs>(&open_key)? else {
        return Ok(());
    };
    to.delete(&open_key);
    to.update::<LeaseRecord>(&keys::lease(&event.address, opened_at), |lease| {
        lease.closed_at_ms = Some(entry.ts_ms);
        lease.closed_cause = Some(event.cause);
        lease.closed_index = Some(index);
    })
}

/// Keeps that a certificate ended before its time; the first reason counts.
fn revoke(
    (serial, not_after): (&Serial, UnixMs),
    at_ms: UnixMs,
    reason: &str,
    to: &mut Overlay<'_>,
) -> Result<(), IndexError> {
    let key = keys::revocation(serial);
    if not_after > at_ms && !to.has(&key)? {
        let reason = reason.to_owned();
        to.put(&key, &Revocation { at_ms, reason });
    }
    Ok(())
}

/// Takes certificates up that ended before their time, for revocation lists; the first reason counts.
fn list(
    ended: impl IntoIterator<Item = CurrentCertificate>,
    at: UnixMs,
    reason: RevocationReason,
    to: &mut Overlay<'_>,
) -> Result<(), IndexError> {
    for certificate in ended {
        let revoked = RevokedCertificate::new(certificate, at, reason);
        let key = keys::revoked(revoked.not_after_ms, &revoked.serial);
        if !to.has(&key)? {
            to.put(&key, &revoked);
        }
    }
    Ok(())
}

fn certify(
    index: u64,
    event: &CertIssued,
    entry: &Entry,
    to: &mut Overlay<'_>,
) -> Result<(), IndexError> {
    let at_ms = entry.ts_ms;
    let (mut name, mut superseded) = (String::new(), Vec::new());
    let mut replaced = Vec::new();
    if let Principal::Host(name) = &event.subject.principal {
        to.update::<EnrolledHost>(&keys::host(name), |host| {
            replaced = host.certify(HostKey::of(event));
        })?;
    }
    if let Principal::Container { id, .. } = &event.subject.principal {
        let certificate = CurrentCertificate::of(index, event);
        if !to.has(&keys::node(id))? {
            list(
                [certificate.clone()],
                at_ms,
                displacement(&certificate, event),
                to,
            )?;
        }
        update_node(id, to, |node| {
            name.clone_from(&node.facts.name);
            node.join(event);
            superseded = node.certify(certificate);
            node.approved = Approved::of(&event.evidence);
        })?;
        machines::certify(id, &entry.event, &superseded, to)?;
    }
    for held in &event.addresses {
        if let Some(opened_at) = to.get::<UnixMs>(&keys::open_lease(&held.address))? {
            to.put(
                &keys::certificate_of_lease(&held.address, opened_at, index),
                &event.serial,
            );
        }
    }
    to.put(&keys::certificate_at(index), &event.serial);
    let record = CertificateRecord {
        issued: event.clone(),
        index,
        name,
        revoked: None,
    };
    to.put(&keys::certificate(&event.serial), &record);
    for key in replaced {
        revoke((&key.serial, key.not_after_ms), at_ms, "superseded", to)?;
    }
    for certificate in superseded {
        let life = (&certificate.serial, certificate.not_after_ms);
        revoke(life, at_ms, "superseded", to)?;
        let reason = displacement(&certificate, event);
        list([certificate], at_ms, reason, to)?;
    }
    Ok(())
}

/// Ends the watches of one host, or of all. The end is the newest entry before this one: what came
/// after that moment nobody saw for certain.
fn end_watches(host: Option<&Name>, to: &mut Overlay<'_>) -> Result<(), IndexError> {
    let last: Option<UnixMs> = to.get(keys::LAST_TIME)?;
    let watched: Vec<(Name, UnixMs)> = to.get(WATCHED)?.unwrap_or_default();
    let (ending, going_on): (Vec<_>, Vec<_>) = watched
        .into_iter()
        .partition(|(watched, _)| host.is_none_or(|host| host == watched));
    for (host, since) in ending {
        to.update::<WatchRecord>(&keys::watch(&host, since), |watch| {
            watch.until_ms = Some(last.unwrap_or(since));
        })?;
    }
    to.put(WATCHED, &going_on);
    Ok(())
}
