use dockmaster_host::Observation;
use dockmaster_proto::event::HostEvicted;

use super::*;
use crate::testing::{apply, facts, host, observe};

fn proposal(name: &str, cidrs: &[&str], reach: Reach) -> HostProposal {
    HostProposal {
        name: name.parse().unwrap(),
        csr: vec![],
        cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
        reach,
    }
}

fn enrolled(name: &str) -> Event {
    Event::HostEnrolled(HostEnrolled {
        host: name.parse().unwrap(),
        cidrs: vec![],
        reach: Reach::Relay,
        serial: dockmaster_proto::id::Serial::from_bytes([1; 16]),
        spki_sha256: dockmaster_proto::id::Digest::of(b""),
        not_after_ms: UnixMs(1),
    })
}

#[test]
fn a_name_is_given_once_until_its_host_is_evicted() {
    let own: Name = "m".parse().unwrap();
    let mut state = State::default();
    let ask = |state: &State, name: &str| {
        decide(&proposal(name, &[], Reach::Relay), &own, state).map_err(|problem| problem.code)
    };
    assert_eq!(ask(&state, "token"), Err(ProblemCode::Conflict));
    assert_eq!(ask(&state, "m"), Err(ProblemCode::Conflict));
    assert_eq!(ask(&state, "h2"), Ok(()));
    apply(&mut state, enrolled("h2"));
    assert_eq!(ask(&state, "h2"), Err(ProblemCode::Conflict));
    let evicted = HostEvicted {
        host: "h2".parse().unwrap(),
    };
    apply(&mut state, Event::HostEvicted(evicted));
    assert_eq!(ask(&state, "h2"), Ok(()));
    // The containers that a master's own machine had under a name that it has no more.
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    assert_eq!(ask(&state, host().as_str()), Err(ProblemCode::Conflict));
}

#[test]
fn containers_come_straight_only_where_ranges_say_whose_they_are() {
    let (own, state) = ("m".parse().unwrap(), State::default());
    let direct = proposal("h2", &[], Reach::Direct);
    assert!(decide(&direct, &own, &state).is_err());
    let ranged = proposal("h2", &["10.2.0.0/16"], Reach::Direct);
    assert!(decide(&ranged, &own, &state).is_ok());
    let cidrs = vec!["10.0.0.0/8"; MAX_CIDRS + 1];
    assert!(decide(&proposal("h2", &cidrs, Reach::Relay), &own, &state).is_err());
}

#[test]
fn a_relay_names_origins_in_its_ranges_and_addresses_that_are_nobodys_on_the_internet() {
    let remit = |cidrs: &[&str]| Remit {
        host: "h2".parse().unwrap(),
        cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
    };
    let ask = |cidrs: &[&str], origin: &str, dialled: &str| {
        let from = RelayedFrom {
            origin: format!("{origin}:9").parse().unwrap(),
            dialled: format!("{dialled}:8140").parse().unwrap(),
        };
        admit(&remit(cidrs), &from).is_ok()
    };
    assert!(ask(&[], "172.17.0.2", "172.17.0.1"));
    assert!(ask(&[], "[fd00::2]", "[fd00::1]"));
    assert!(!ask(&[], "172.17.0.2", "203.0.113.1"));
    assert!(!ask(&[], "172.17.0.2", "[2001:db8::1]"));
    assert!(!ask(&["172.18.0.0/16"], "172.17.0.2", "172.18.0.1"));
    assert!(ask(&["203.0.113.0/24"], "203.0.113.9", "203.0.113.1"));
    assert!(!ask(&["203.0.113.0/24"], "203.0.113.9", "203.0.114.1"));
}
