//! Steps about join tokens.

use std::collections::BTreeMap;

use dockmaster_proto::{
    address::Address,
    event::{
        CertConfirmed, CertIssued, Event, Evidence, HeldAddress, LeaseCause, LeaseOpened,
        NodeObserved, Restored, TokenCreated, TokenRevoked, TokenUsed,
    },
    id::{Digest, Name, Serial, TokenId},
    time::UnixMs,
    token::TOKEN_HOST,
};

use crate::{
    leases,
    state::{Standing, State, token_host},
    testing::{facts, id},
};

fn token(number: u8) -> TokenId {
    TokenId::from_bytes([number; 8])
}

/// A token that ends a few entries later.
pub(super) fn created(number: u8) -> Event {
    Event::TokenCreated(TokenCreated {
        token: token(number),
        secret_sha256: Digest::of(&[number]),
        labels: BTreeMap::new(),
        network: "h1/bridge".parse().unwrap(),
        uses: 2,
        // An entry is a millisecond after the one before it; the first is at the first second.
        until_ms: UnixMs(1000 + u64::from(number)),
    })
}

pub(super) fn revoked(number: u8) -> Event {
    let token = token(number);
    Event::TokenRevoked(TokenRevoked { token })
}

pub(super) fn restored() -> Event {
    Event::Restored(Restored {
        log_size: 0,
        root: Digest::of(b""),
        backup_at_ms: UnixMs(0),
        previous_log: String::new(),
    })
}

/// The machine of this token's number takes an address.
pub(super) fn joined(number: u8, ip: &str, comes_back: bool, state: &State) -> Vec<Event> {
    let (machine, host): (_, Name) = (id(100 + number), TOKEN_HOST.parse().unwrap());
    let address = Address::new("h1/bridge".parse().unwrap(), ip.parse().unwrap());
    let mut events = Vec::new();
    let ousted = state
        .leases_of_ip(address.ip)
        .map(|(_, lease)| lease.container);
    let ousted: Vec<_> = ousted.chain([machine]).collect();
    for node in state.nodes().filter(|node| ousted.contains(node.id())) {
        events.extend(leases::end(node, state, LeaseCause::Superseded));
    }
    let epoch = state.next_epoch(&address);
    let facts = facts(100 + number, &[ip]);
    events.push(Event::LeaseOpened(LeaseOpened {
        address: address.clone(),
        epoch,
        container: machine,
        name: facts.name.clone(),
        image: String::new(),
        host: host.clone(),
        cause: LeaseCause::Enrolled,
    }));
    let observed = NodeObserved {
        host: host.clone(),
        facts,
    };
    events.insert(events.len() - 1, Event::NodeObserved(observed));
    let issued = certificate(number, HeldAddress { address, epoch }, None, state);
    let key = issued.spki_sha256;
    events.push(Event::CertIssued(issued));
    if comes_back {
        events.push(Event::TokenUsed(TokenUsed {
            token: token(number),
            container: machine,
            spki_sha256: key,
        }));
    }
    events
}

/// The machine renews, and may come back with that.
pub(super) fn renewed(number: u8, comes_back: bool, state: &State) -> Vec<Event> {
    let Some(node) = state.node(&id(100 + number)) else {
        return vec![];
    };
    let issued = certificate(number, node.addresses[0].clone(), None, state);
    let confirmed = CertConfirmed {
        serial: issued.serial,
        container: *node.id(),
    };
    let mut events = vec![Event::CertRenewed(issued)];
    if comes_back {
        events.push(Event::CertConfirmed(confirmed));
    }
    events
}

/// The machine's certificate expires.
pub(super) fn left(number: u8, state: &State) -> Vec<Event> {
    let node = state.node(&id(100 + number));
    node.map_or_else(Vec::new, |node| {
        leases::end(node, state, LeaseCause::Expired)
    })
}

/// The machine that is away comes back by its newest key.
pub(super) fn returned(number: u8, state: &State) -> Vec<Event> {
    let known = state.machines().get(&id(100 + number));
    let known = known.filter(|machine| machine.standing == Standing::Away);
    let Some(machine) = known.filter(|machine| state.lease(&machine.held.address).is_none()) else {
        return vec![];
    };
    let node = machine.node(UnixMs(2000));
    let held = HeldAddress {
        address: machine.held.address.clone(),
        epoch: state.next_epoch(&machine.held.address),
    };
    let opened = LeaseOpened {
        address: held.address.clone(),
        epoch: held.epoch,
        container: machine.id,
        name: node.facts.name.clone(),
        image: String::new(),
        host: token_host(),
        cause: LeaseCause::Returned,
    };
    let observed = NodeObserved {
        host: token_host(),
        facts: node.facts,
    };
    let issued = CertIssued {
        spki_sha256: machine.newest.key,
        ..certificate(number, held, Some(machine.newest.serial), state)
    };
    vec![
        Event::NodeObserved(observed),
        Event::LeaseOpened(opened),
        Event::CertIssued(issued),
    ]
}

fn certificate(
    number: u8,
    held: HeldAddress,
    returned_with: Option<Serial>,
    state: &State,
) -> CertIssued {
    let machine = id(100 + number);
    CertIssued {
        subject: format!("spiffe://td/host/token/container/{machine}")
            .parse()
            .unwrap(),
        container: Some(machine),
        host: Some(token_host()),
        addresses: vec![held],
        ips: vec![],
        serial: Serial::from_bytes((u128::from(state.size()) << 32).to_be_bytes()),
        issuer_key_id: String::new(),
        not_before_ms: UnixMs(0),
        not_after_ms: UnixMs(1 << 40),
        spki_sha256: Digest::of(&state.size().to_be_bytes()),
        der_sha256: Digest::of(b""),
        evidence: vec![Evidence::Token {
            token: token(number),
            returned_with,
        }],
        rule: String::new(),
        policy_sha256: None,
        prev: None,
    }
}
