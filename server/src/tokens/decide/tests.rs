use std::collections::BTreeMap;

use dockmaster_proto::{
    event::{CertIssued, Evidence, HeldAddress, LeaseOpened, NodeObserved},
    facts::ContainerFacts,
    id::{Digest, Serial},
    token::TokenSecret,
};

use super::*;
use crate::testing::{apply, facts, id};

const NOW: UnixMs = UnixMs(100_000);

fn token(number: u16) -> JoinToken {
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    JoinToken {
        id: TokenId::from_bytes(bytes),
        secret: TokenSecret::from_bytes([1; 32]),
    }
}

fn proposal() -> TokenProposal {
    TokenProposal {
        labels: BTreeMap::from([("role".parse().unwrap(), "db".to_owned())]),
        network: None,
        ttl_ms: 600_000,
        uses: 1,
    }
}

fn made(change: impl FnOnce(&mut TokenProposal)) -> Result<TokenCreated, Unfit> {
    let mut proposal = proposal();
    change(&mut proposal);
    create(proposal, &token(1), &State::default(), NOW)
}

#[test]
fn a_token_lives_minutes_and_its_record_has_no_secret() {
    let created = made(|_| ()).unwrap();
    assert_eq!(created.until_ms, NOW.plus_ms(600_000));
    assert_eq!(created.network.as_str(), DEFAULT_NETWORK);
    assert_eq!(created.labels["role"], "db");
    let json = serde_json::to_string(&Event::TokenCreated(created)).unwrap();
    assert!(!json.contains(&"01".repeat(32)), "{json}");
}

#[test]
fn no_tokens_network_passes_for_a_hosts_own() {
    let of = |network: &str| {
        let network = network.parse().unwrap();
        made(|it| it.network = Some(network))
    };
    for fits in ["lan", "token/direct", "token/vms"] {
        assert_eq!(of(fits).unwrap().network.as_str(), fits);
    }
    for own in ["vm/bridge", "h2/bridge", "tokens/x"] {
        let refused = of(own).unwrap_err();
        assert!(matches!(refused, Unfit::Network(..)), "{own}: {refused}");
    }
}

#[test]
fn a_token_keeps_to_its_bounds() {
    assert_eq!(made(|it| it.ttl_ms = 59_999), Err(Unfit::Ttl(59_999)));
    assert!(made(|it| it.ttl_ms = 86_400_001).is_err());
    assert_eq!(made(|it| it.uses = 0), Err(Unfit::Uses(0)));
    assert_eq!(made(|it| it.uses = 101), Err(Unfit::Uses(101)));
    let long = |it: &mut TokenProposal| {
        it.labels
            .insert("a".parse().unwrap(), "\u{1}".repeat(MAX_VALUE));
    };
    assert_eq!(made(long), Err(Unfit::Labels));
    let many = |it: &mut TokenProposal| {
        let label = |number| (format!("k{number}").parse().unwrap(), String::new());
        it.labels = (0..=MAX_LABELS).map(label).collect();
    };
    assert_eq!(made(many), Err(Unfit::Labels));
}

#[test]
fn there_are_only_so_many_tokens_and_those_of_the_past_do_not_count() {
    let mut state = State::default();
    for number in 0..MAX_TOKENS {
        let token = token(u16::try_from(number).unwrap());
        let event = create(proposal(), &token, &state, NOW).unwrap();
        apply(&mut state, Event::TokenCreated(event));
    }
    let one_more = |now| create(proposal(), &token(u16::MAX), &state, now);
    assert_eq!(one_more(NOW), Err(Unfit::TooMany));
    let later = NOW.plus_ms(600_000 + 3_600_000);
    assert!(one_more(later).is_ok());
}

/// A view with one machine whose certificate lasts until a time.
fn with_machine(not_after_ms: UnixMs) -> State {
    let mut state = State::default();
    let held = HeldAddress {
        address: "token/direct/10.0.0.1".parse().unwrap(),
        epoch: 1,
    };
    let host: dockmaster_proto::id::Name = TOKEN_HOST.parse().unwrap();
    let facts: ContainerFacts = facts(1, &["10.0.0.1"]);
    let opened = LeaseOpened {
        address: held.address.clone(),
        epoch: 1,
        container: id(1),
        name: facts.name.clone(),
        image: String::new(),
        host: host.clone(),
        cause: LeaseCause::Enrolled,
    };
    let observed = NodeObserved {
        host: host.clone(),
        facts,
    };
    apply(&mut state, Event::NodeObserved(observed));
    apply(&mut state, Event::LeaseOpened(opened));
    apply(&mut state, Event::CertIssued(issued(not_after_ms)));
    state
}

fn issued(not_after_ms: UnixMs) -> CertIssued {
    let held = HeldAddress {
        address: "token/direct/10.0.0.1".parse().unwrap(),
        epoch: 1,
    };
    CertIssued {
        subject: format!("spiffe://td/host/token/container/{}", id(1))
            .parse()
            .unwrap(),
        container: Some(id(1)),
        host: Some(TOKEN_HOST.parse().unwrap()),
        addresses: vec![held],
        ips: vec![],
        serial: Serial::from_bytes([1; 16]),
        issuer_key_id: String::new(),
        not_before_ms: UnixMs(0),
        not_after_ms,
        spki_sha256: Digest::of(b"key"),
        der_sha256: Digest::of(b""),
        evidence: vec![Evidence::Token {
            token: token(1).id,
            returned_with: None,
        }],
        rule: String::new(),
        policy_sha256: None,
        prev: None,
    }
}

#[test]
fn the_first_request_with_a_certificate_is_news_and_the_second_is_none() {
    let mut state = with_machine(NOW);
    let first = Serial::from_bytes([1; 16]);
    assert_eq!(confirm(&id(2), &first, &state), None);
    let used = confirm(&id(1), &first, &state).unwrap();
    assert!(matches!(&used, Event::TokenUsed(used) if used.spki_sha256 == Digest::of(b"key")));
    apply(&mut state, used);
    assert_eq!(confirm(&id(1), &first, &state), None);

    let second = Serial::from_bytes([2; 16]);
    let renewed = CertIssued {
        serial: second,
        spki_sha256: Digest::of(b"next"),
        ..issued(NOW)
    };
    apply(&mut state, Event::CertRenewed(renewed));
    assert_eq!(confirm(&id(1), &first, &state), None, "it is not back yet");
    let back = confirm(&id(1), &second, &state).unwrap();
    assert_eq!(back.name(), "cert_confirmed");
    apply(&mut state, back);
    assert_eq!(confirm(&id(1), &second, &state), None);
    assert_eq!(confirm(&id(1), &first, &state), None);
}

#[test]
fn a_machine_that_is_away_goes_with_its_token() {
    let mut state = with_machine(NOW);
    assert_eq!(away_by(&token(1).id, &state).count(), 0, "it is there");
    for event in expired(&state, NOW) {
        apply(&mut state, event);
    }
    assert_eq!(away_by(&token(2).id, &state).count(), 0);
    let events: Vec<Event> = away_by(&token(1).id, &state).map(put_out).collect();
    assert_eq!(events.len(), 1);
    for event in events {
        apply(&mut state, event);
    }
    assert_eq!(away_by(&token(1).id, &state).count(), 0);
}

#[test]
fn a_machine_ends_when_its_last_certificate_does() {
    let state = with_machine(NOW);
    assert_eq!(expired(&state, UnixMs(NOW.0 - 1)), []);
    let events = expired(&state, NOW);
    let names: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["lease_closed", "cert_revoked", "node_gone"]);
    assert!(
        matches!(&events[0], Event::LeaseClosed(closed) if closed.cause == LeaseCause::Expired)
    );
    let by_it: Vec<_> = let_in_by(&token(1).id, &state).collect();
    assert_eq!(by_it.len(), 1);
    assert_eq!(let_in_by(&token(2).id, &state).count(), 0);
}
