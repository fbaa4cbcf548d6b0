use dockmaster_host::Observation;
use dockmaster_proto::event::{Event, HostLost, HostWatched};

use super::*;
use crate::testing::{apply, decide, enroll_host, facts, host, id, observe};

const IP: &str = "172.17.0.2";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn watched(state: &mut State, host: &Name) {
    let event = HostWatched {
        host: host.clone(),
        containers: 1,
    };
    apply(state, Event::HostWatched(event));
}

/// A host that is enrolled and watched, and its container at the IP.
fn with_host(state: &mut State, host: &str, container: u8) {
    let host = name(host);
    enroll_host(state, host.as_str(), &[]);
    let mut facts = facts(container, &[IP]);
    facts.attachments[0].network = format!("{host}/bridge").parse().unwrap();
    for event in decide(&Observation::Up(facts), &host, state) {
        apply(state, event);
    }
    watched(state, &host);
}

fn relayed(host: &str) -> Origin {
    Origin::relayed(IP.parse().unwrap(), name(host))
}

fn refusal(origin: &Origin, state: &State) -> Refusal {
    holder(origin, state).unwrap_err()
}

#[test]
fn one_ip_on_two_hosts_is_one_container_by_the_relay_of_each() {
    let mut state = State::default();
    with_host(&mut state, "h5", 5);
    with_host(&mut state, "h6", 6);
    let of = |host| holder(&relayed(host), &state).map(|node| *node.id());
    assert_eq!(of("h5"), Ok(id(5)));
    assert_eq!(of("h6"), Ok(id(6)));
    let straight = refusal(&Origin::direct(IP.parse().unwrap()), &state);
    assert_eq!(straight.code, ProblemCode::NoLease);
}

#[test]
fn one_ip_in_two_networks_of_the_masters_own_host_is_ambiguous() {
    let mut state = State::default();
    state.watch_here(host());
    let mut second = facts(2, &[IP]);
    second.attachments[0].network = "h1/other".parse().unwrap();
    for container in [facts(1, &[IP]), second] {
        observe(&mut state, &Observation::Up(container));
    }
    let refusal = refusal(&Origin::direct(IP.parse().unwrap()), &state);
    assert_eq!(refusal.code, ProblemCode::AmbiguousAddress);
}

#[test]
fn a_host_that_is_not_heard_of_gets_nothing_new_for_its_containers() {
    let mut state = State::default();
    with_host(&mut state, "h5", 5);
    with_host(&mut state, "h6", 6);
    let lost = HostLost {
        host: name("h5"),
        reason: "its stream ended".into(),
    };
    apply(&mut state, Event::HostLost(lost));
    let refused = refusal(&relayed("h5"), &state);
    assert_eq!(refused.code, ProblemCode::Unavailable);
    assert!(refused.detail.contains("h5 is lost since"), "{refused:?}");
    assert!(refused.detail.ends_with("its stream ended"), "{refused:?}");
    assert!(refused.hint.contains("host run"), "{refused:?}");
    assert!(holder(&relayed("h6"), &state).is_ok());
    // Of an IP that it says nothing of, nobody knows either.
    let unknown = Origin::relayed("172.17.0.9".parse().unwrap(), name("h5"));
    assert_eq!(refusal(&unknown, &state).code, ProblemCode::Unavailable);

    watched(&mut state, &name("h5"));
    assert!(holder(&relayed("h5"), &state).is_ok());
    let started = dockmaster_proto::event::MasterStarted {
        version: String::new(),
        log_size: 0,
    };
    apply(&mut state, Event::MasterStarted(started));
    let unseen = refusal(&relayed("h5"), &state);
    assert!(unseen.detail.contains("has not reported"), "{unseen:?}");
}

#[test]
fn who_shares_a_network_speaks_from_the_address_of_whose_it_is_and_no_other_hosts() {
    let mut state = State::default();
    with_host(&mut state, "h5", 5);
    with_host(&mut state, "h6", 6);
    let from = |host: &str, mode: NetworkMode| -> Vec<String> {
        let mut facts = facts(9, &[]);
        facts.network_mode = mode;
        let node = NodeRecord::new(name(host), facts);
        let ips = speaks_from(&node, &state).into_iter();
        ips.map(|ip| ip.to_string()).collect()
    };
    let of = |name: &str| NetworkMode::Container(name.to_owned());
    assert_eq!(from("h5", of("c5")), [IP]);
    assert_eq!(from("h5", of(&id(5).short())), [IP]);
    assert_eq!(from("h5", of("c6")), [""; 0]);
    assert_eq!(from("h5", NetworkMode::Host), ["127.0.0.1"]);
}
