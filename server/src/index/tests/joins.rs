//! Steps about join tokens.

use std::collections::BTreeMap;

use dockmaster_proto::{
    address::Address,
    event::{
        CertIssued, Event, Evidence, HeldAddress, LeaseCause, LeaseOpened, NodeObserved, Restored,
        TokenCreated, TokenRevoked, TokenUsed,
    },
    id::{Digest, Name, Serial, TokenId},
    time::UnixMs,
    token::TOKEN_HOST,
};

use crate::{
    leases,
    state::State,
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
    let key = Digest::of(&state.size().to_be_bytes());
    events.push(Event::CertIssued(CertIssued {
        subject: format!("spiffe://td/host/token/container/{machine}")
            .parse()
            .unwrap(),
        container: Some(machine),
        host: Some(host),
        addresses: vec![HeldAddress { address, epoch }],
        ips: vec![],
        serial: Serial::from_bytes((u128::from(state.size()) << 32).to_be_bytes()),
        issuer_key_id: String::new(),
        not_before_ms: UnixMs(0),
        not_after_ms: UnixMs(1 << 40),
        spki_sha256: key,
        der_sha256: Digest::of(b""),
        evidence: vec![Evidence::Token {
            token: token(number),
        }],
        rule: String::new(),
        policy_sha256: None,
        prev: None,
    }));
    if comes_back {
        events.push(Event::TokenUsed(TokenUsed {
            token: token(number),
            container: machine,
            spki_sha256: key,
        }));
    }
    events
}
