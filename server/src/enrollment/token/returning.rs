//! A machine whose certificates have expired comes back by its key, without a token, as what it was. Pure.

use std::net::IpAddr;

use dockmaster_proto::{
    event::{Event, Evidence, HeldAddress, LeaseCause, LeaseOpened, NodeObserved},
    id::Digest,
    problem::ProblemCode,
    time::UnixMs,
};

use super::{
    super::{Applicant, Refusal, decide::Given},
    Admission, by_token, grant, not_permitted, vouched_for,
};
use crate::state::{MAX_ABSENCE_MS, MachineRecord, NodeRecord, Standing, State, token_host};

/// Decides upon a request without a token for a certificate of `key`, where that is a key by which a
/// machine comes back; none where it is not, and a host has to say who asks.
pub(in super::super) fn come_back(
    applicant: &Applicant,
    key: &Digest,
    given: &Given<'_>,
) -> Option<Result<Admission, Refusal>> {
    let known = given.state.machines().of_key(key);
    let machine = known.filter(|machine| !machine.is_past(given.now))?;
    // What a host vouches for is that, whichever key it shows.
    let is_vouched_for =
        applicant.relay.is_some() || vouched_for(applicant.source(), given.state).is_some();
    if is_vouched_for || applicant.renewing.is_some() {
        return None;
    }
    Some(admit(machine, applicant.source(), key, given))
}

/// What the return of the machine that left an address would come to, by its newest key; none where no
/// machine did, or somebody has the address.
pub(in super::super) fn foresee(
    applicant: &Applicant,
    given: &Given<'_>,
) -> Option<Result<Admission, Refusal>> {
    let source = applicant.source();
    if given.state.leases_of_ip(source).next().is_some() {
        return None;
    }
    let machine = last_at(source, given.state, given.now)?;
    Some(admit(machine, source, &machine.newest.key, given))
}

fn admit(
    machine: &MachineRecord,
    source: IpAddr,
    key: &Digest,
    given: &Given<'_>,
) -> Result<Admission, Refusal> {
    let Given {
        state,
        permits,
        now,
        ..
    } = *given;
    let (id, address) = (machine.id, &machine.held.address);
    if let Some(ban) = state.ban(&id) {
        return Err(Refusal::banned(ban));
    }
    if let Some(why) = bar(machine, state, now) {
        return Err(refused(machine, &why));
    }
    if address.ip != source {
        let why =
            format!("it asks from {source}, and comes back to its own address {address} only");
        return Err(refused(machine, &why));
    }
    if !permits(source) {
        return Err(not_permitted(source));
    }
    if state.is_suspended(&id) {
        return Err(Refusal::lease_closed(source, id));
    }
    let mut before = Vec::new();
    // Its lease is open until somebody notices that its certificate has expired.
    let live = state.node(&id);
    let would_be = match live.filter(|node| node.is_by_token() && node.holds(address)) {
        Some(node) => node.clone(),
        None if live.is_some() => return Err(Refusal::lease_closed(source, id)),
        None => anew(machine, state, now, &mut before),
    };
    let evidence = Evidence::Token {
        token: machine.token,
        returned_with: machine.key(key).map(|known| known.serial),
    };
    let grant = grant(&would_be, source, evidence, given)?;
    Ok(Admission { before, grant })
}

/// The machine's node, as it begins again.
fn anew(
    machine: &MachineRecord,
    state: &State,
    now: UnixMs,
    before: &mut Vec<Event>,
) -> NodeRecord {
    let address = machine.held.address.clone();
    let epoch = state.next_epoch(&address);
    let node = machine.node(now);
    before.push(Event::NodeObserved(NodeObserved {
        host: token_host(),
        facts: node.facts.clone(),
    }));
    before.push(Event::LeaseOpened(LeaseOpened {
        address: address.clone(),
        epoch,
        container: machine.id,
        name: node.facts.name.clone(),
        image: String::new(),
        host: token_host(),
        cause: LeaseCause::Returned,
    }));
    let labels = state.dormant_labels(&machine.id, &token_host());
    NodeRecord {
        operator_labels: labels.cloned().unwrap_or_default(),
        addresses: vec![HeldAddress { address, epoch }],
        ..node
    }
}

/// Why no key brings a machine back, where none does.
fn bar(machine: &MachineRecord, state: &State, now: UnixMs) -> Option<String> {
    let MachineRecord { held, standing, .. } = machine;
    match standing {
        Standing::Revoked => return Some("an operator revoked a certificate of it".to_owned()),
        Standing::Restored => {
            return Some("this master was restored from a backup since".to_owned());
        }
        Standing::Ended(LeaseCause::Evicted) => return Some("an operator put it out".to_owned()),
        Standing::Ended(_) => {
            return Some(format!("{} became another's while it ran", held.address));
        }
        Standing::Present | Standing::Leaving | Standing::Away => {}
    }
    if machine.returns_until() <= now {
        return Some(format!(
            "its newest certificate expired at {}, more than {} days ago",
            machine.certified_until(),
            MAX_ABSENCE_MS / 86_400_000
        ));
    }
    let has_moved = state.next_epoch(&held.address) != held.epoch + 1;
    let taken = by_token(held.address.ip, state).any(|other| *other.id() != machine.id);
    (has_moved || taken).then(|| format!("{} has been another's since", held.address))
}

/// A refusal for want of a lease, where a machine left the address: whoever asks has another key than the
/// one that brings it back.
pub(super) fn explained(refusal: Refusal, source: IpAddr, state: &State, now: UnixMs) -> Refusal {
    let Some(machine) = last_at(source, state, now) else {
        return refusal;
    };
    let why = bar(machine, state, now).unwrap_or_else(|| {
        format!(
            "its certificate expired at {}, and the key that asks is not that of its newest one",
            machine.certified_until()
        )
    });
    Refusal {
        code: refusal.code,
        ..refused(machine, &why)
    }
}

/// The machine that held an IP last.
fn last_at(ip: IpAddr, state: &State, now: UnixMs) -> Option<&MachineRecord> {
    let known = state.machines().at(ip);
    known
        .filter(|machine| !machine.is_past(now))
        .max_by_key(|machine| machine.certified_until())
}

fn refused(machine: &MachineRecord, why: &str) -> Refusal {
    Refusal {
        code: ProblemCode::TokenRefused,
        detail: format!(
            "machine {}, which a join token let in, does not come back by a key: {why}",
            machine.id.short()
        ),
        hint: "give the machine a new token (\"dockmaster token create\", DOCKMASTER_TOKEN_FILE)"
            .into(),
        container: Some(machine.id),
        rule: String::new(),
    }
}

#[cfg(test)]
mod tests;
