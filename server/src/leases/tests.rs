use dockmaster_proto::{
    event::{HostEvicted, LabelsChanged},
    facts::NetworkMode,
    label::LabelChange,
    time::UnixMs,
};
use proptest::prelude::*;

use super::*;
use crate::testing::{apply, decide, enroll_host, facts, id, observe};

fn died(container: u8) -> Observation {
    Observation::Down {
        id: id(container),
        cause: LeaseCause::Died,
    }
}

fn holder(state: &State, ip: &str) -> Option<(u8, u64)> {
    let (_, lease) = state.leases_of_ip(ip.parse().unwrap()).next()?;
    Some((lease.container.as_bytes()[0], lease.epoch))
}

fn snapshot(containers: Vec<ContainerFacts>) -> Observation {
    Observation::Snapshot {
        containers,
        unclear: vec![],
    }
}

#[test]
fn a_container_that_runs_and_cannot_be_inspected_keeps_what_it_has() {
    let mut state = State::default();
    for container in [facts(1, &["172.17.0.2"]), facts(2, &["172.17.0.3"])] {
        observe(&mut state, &Observation::Up(container));
    }
    let unclear = |containers| Observation::Snapshot {
        containers,
        unclear: vec![id(1)],
    };
    assert_eq!(
        observe(&mut state, &unclear(vec![])),
        ["lease_closed", "node_gone"]
    );
    assert!(state.node(&id(1)).is_some());
    assert!(state.node(&id(2)).is_none());
    // Unless another is seen with its address.
    let heir = facts(3, &["172.17.0.2"]);
    observe(&mut state, &unclear(vec![heir]));
    assert!(state.node(&id(1)).unwrap().addresses.is_empty());
    assert_eq!(state.node(&id(3)).unwrap().addresses.len(), 1);
}

#[test]
fn a_start_opens_a_lease_and_a_death_closes_it() {
    let mut state = State::default();
    let up = Observation::Up(facts(1, &["172.17.0.2"]));
    assert_eq!(observe(&mut state, &up), ["node_observed", "lease_opened"]);
    assert_eq!(
        observe(&mut state, &up),
        [""; 0],
        "an observation that says nothing new is no event"
    );
    assert_eq!(holder(&state, "172.17.0.2"), Some((1, 1)));
    assert_eq!(observe(&mut state, &died(1)), ["lease_closed", "node_gone"]);
    assert_eq!(holder(&state, "172.17.0.2"), None);
    assert_eq!(observe(&mut state, &died(1)), [""; 0]);
}

#[test]
fn a_reused_address_gets_the_next_epoch_even_when_the_death_was_missed() {
    let mut state = State::default();
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    let names = observe(&mut state, &Observation::Up(facts(2, &["172.17.0.2"])));
    assert_eq!(names, ["node_observed", "lease_closed", "lease_opened"]);
    assert_eq!(holder(&state, "172.17.0.2"), Some((2, 2)));
    assert_eq!(
        observe(&mut state, &died(1)),
        ["node_gone"],
        "the late death must not close the successor's lease"
    );
    assert_eq!(holder(&state, "172.17.0.2"), Some((2, 2)));
}

#[test]
fn a_snapshot_ends_what_is_gone_and_finds_what_is_new() {
    let mut state = State::default();
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    observe(&mut state, &Observation::Up(facts(2, &["172.17.0.3"])));
    // While nobody watched, 1 died and 3 took its address.
    let snapshot = snapshot(vec![facts(2, &["172.17.0.3"]), facts(3, &["172.17.0.2"])]);
    assert_eq!(
        observe(&mut state, &snapshot),
        ["lease_closed", "node_gone", "node_observed", "lease_opened"]
    );
    assert_eq!(holder(&state, "172.17.0.2"), Some((3, 2)));
    assert_eq!(holder(&state, "172.17.0.3"), Some((2, 1)));
}

#[test]
fn a_restart_of_a_container_is_a_new_run_with_new_leases() {
    let mut state = State::default();
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    let again = ContainerFacts {
        started_at_ms: UnixMs(99),
        ..facts(1, &["172.17.0.2"])
    };
    let names = observe(&mut state, &Observation::Up(again));
    assert_eq!(
        names,
        ["lease_closed", "node_gone", "node_observed", "lease_opened"]
    );
    assert_eq!(holder(&state, "172.17.0.2"), Some((1, 2)));
}

#[test]
fn connecting_and_disconnecting_a_network_moves_only_its_lease() {
    let mut state = State::default();
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    observe(
        &mut state,
        &Observation::Up(facts(1, &["172.17.0.2", "172.18.0.2"])),
    );
    assert_eq!(holder(&state, "172.18.0.2"), Some((1, 1)));
    let names = observe(&mut state, &Observation::Up(facts(1, &["172.18.0.2"])));
    assert_eq!(names, ["node_observed", "lease_closed"]);
    assert_eq!(holder(&state, "172.17.0.2"), None);
}

#[test]
fn a_container_without_its_own_network_namespace_holds_no_address() {
    let mut state = State::default();
    let shared = ContainerFacts {
        network_mode: NetworkMode::Host,
        ..facts(1, &["10.0.0.1"])
    };
    assert_eq!(
        observe(&mut state, &Observation::Up(shared)),
        ["node_observed"]
    );
    assert_eq!(holder(&state, "10.0.0.1"), None);
}

#[test]
fn operator_labels_outlive_a_restart_of_the_container() {
    let mut state = State::default();
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    let change = LabelChange::parse(["tier=front"]).unwrap();
    apply(
        &mut state,
        Event::LabelsChanged(LabelsChanged {
            container: id(1),
            change,
        }),
    );
    observe(&mut state, &died(1));
    observe(
        &mut state,
        &Observation::Up(ContainerFacts {
            started_at_ms: UnixMs(99),
            ..facts(1, &["172.17.0.2"])
        }),
    );
    let node = state.node(&id(1)).unwrap();
    assert_eq!(node.operator_labels["tier"], "front");
}

#[test]
fn no_container_can_make_an_entry_too_long_for_the_ledger() {
    let labels = (0..500).map(|i| (format!("label{i}{}", "k".repeat(200)), "\u{1}".repeat(4096)));
    let long = "x".repeat(1 << 20);
    let attachment = facts(1, &["10.0.0.1"; 3000]).attachments[0].clone();
    let huge = ContainerFacts {
        labels: labels
            .chain([("role".to_owned(), "web".to_owned())])
            .collect(),
        name: long.clone(),
        image: long,
        attachments: vec![attachment; 3000],
        ..facts(1, &[])
    };
    let Observation::Up(bounded) = bounded(Observation::Up(huge)) else {
        panic!("still an Up")
    };
    assert_eq!(bounded.labels["role"], "web", "small labels stay");
    for event in decide(
        &Observation::Up(bounded),
        &crate::testing::host(),
        &State::default(),
    ) {
        let entry = serde_json::to_vec(&crate::testing::entry(0, event)).unwrap();
        assert!(entry.len() < 60_000, "{} bytes", entry.len());
    }
}

fn observations() -> impl Strategy<Value = Vec<Observation>> {
    let ip = prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let up = (1u8..5, prop::collection::vec(ip, 0..3))
        .prop_map(|(container, ips)| facts(container, &ips));
    let one = prop_oneof![
        4 => up.clone().prop_map(Observation::Up),
        2 => (1u8..5).prop_map(died),
        1 => prop::collection::vec(up, 0..3).prop_map(snapshot),
        1 => Just(Observation::Lost("x".into())),
    ];
    prop::collection::vec(one, 0..40)
}

proptest! {
    /// Invariant 2: an address has at most one open lease, its holder lives and knows it, and
    /// epochs only grow.
    #[test]
    fn whatever_the_host_reports_an_address_has_one_living_holder(observations in observations()) {
        let mut state = State::default();
        let mut epochs: BTreeMap<String, u64> = BTreeMap::new();
        for observation in &observations {
            observe(&mut state, observation);
            for ip in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
                let leases: Vec<_> = state.leases_of_ip(ip.parse().unwrap()).collect();
                prop_assert!(leases.len() <= 1);
                if let [(address, lease)] = leases[..] {
                    let node = state.node(&lease.container);
                    prop_assert!(node.is_some_and(|node| node.holds(address)), "{ip} is held by a node that does not know it");
                    let last = epochs.insert(ip.to_owned(), lease.epoch).unwrap_or(0);
                    prop_assert!(lease.epoch >= last);
                }
            }
            for node in state.nodes() {
                for held in &node.addresses {
                    prop_assert_eq!(state.lease(&held.address).map(|lease| lease.container), Some(*node.id()));
                }
            }
        }
    }
}

#[test]
fn the_end_of_a_host_ends_its_containers_with_the_cause_and_nobody_elses() {
    let mut state = State::default();
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    let other: Name = "h2".parse().unwrap();
    let mut foreign = facts(2, &[]);
    foreign.attachments[0].network = "h2/bridge".parse().unwrap();
    foreign.attachments[0].ips = vec!["172.17.0.2".parse().unwrap()];
    for event in decide(&Observation::Up(foreign), &other, &state) {
        apply(&mut state, event);
    }
    let events = end_of_host(&other, LeaseCause::HostEvicted, &state);
    let names: Vec<_> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["lease_closed", "node_gone"]);
    for event in events {
        assert_eq!(event.container(), Some(&id(2)));
        apply(&mut state, event);
    }
    assert!(state.node(&id(1)).is_some() && state.node(&id(2)).is_none());
}

#[test]
fn an_address_in_a_shared_network_moves_to_another_host_only_when_it_is_given_up() {
    let mut state = State::default();
    let shared = |container| {
        let mut facts = facts(container, &["10.9.0.2"]);
        facts.attachments[0].network = "overlay".parse().unwrap();
        Observation::Up(facts)
    };
    observe(&mut state, &shared(1));
    let other: Name = "h2".parse().unwrap();
    let names = |state: &State| -> Vec<&str> {
        let events = decide(&shared(2), &other, state);
        events.iter().map(Event::name).collect()
    };
    assert_eq!(names(&state), ["node_observed", "host_refused"]);
    let down = Observation::Down {
        id: id(1),
        cause: LeaseCause::Died,
    };
    observe(&mut state, &down);
    assert_eq!(names(&state), ["node_observed", "lease_opened"]);
}

fn label(state: &mut State, container: u8, change: &str) {
    let change = LabelChange::parse([change]).unwrap();
    let container = id(container);
    apply(
        state,
        Event::LabelsChanged(LabelsChanged { container, change }),
    );
}

fn enroll(state: &mut State, name: &str) {
    enroll_host(state, name, &[]);
}

fn evict(state: &mut State, name: &str) {
    let host = name.parse().unwrap();
    apply(state, Event::HostEvicted(HostEvicted { host }));
}

/// Takes up what another host reports of a container without an address.
fn observe_at(state: &mut State, host: &str, observation: &Observation) -> Vec<Event> {
    let events = decide(observation, &host.parse().unwrap(), state);
    for event in &events {
        apply(state, event.clone());
    }
    events
}

#[test]
fn the_id_of_a_labelled_container_that_ended_is_its_hosts_until_that_host_is_gone() {
    let up = Observation::Up(facts(1, &[]));
    for is_here in [true, false] {
        let mut state = State::default();
        enroll(&mut state, "h2");
        if is_here {
            state.watch_here("h1".parse().unwrap());
        } else {
            enroll(&mut state, "h1");
        }
        observe(&mut state, &up);
        label(&mut state, 1, "tier=front");
        observe(&mut state, &died(1));
        // A hostile host read the ID in the log.
        let events = observe_at(&mut state, "h2", &up);
        let [Event::HostRefused(refused)] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(
            refused.reason.contains("was a container of host h1"),
            "{}",
            refused.reason
        );
        // Between the end and the next start nobody took it.
        assert_eq!(observe(&mut state, &up), ["node_observed"]);
        let node = state.node(&id(1)).unwrap();
        assert_eq!(
            (node.host.as_str(), &*node.operator_labels["tier"]),
            ("h1", "front")
        );
    }
}

#[test]
fn the_id_of_a_container_that_ended_is_its_hosts_until_that_host_is_gone() {
    let up = Observation::Up(facts(1, &[]));
    let (h1, h2): (Name, Name) = ("h1".parse().unwrap(), "h2".parse().unwrap());
    let mut state = State::default();
    enroll(&mut state, "h1");
    enroll(&mut state, "h2");
    let last = LastHosts::from([(id(1), h1.clone())]);
    assert_eq!(unknown(&up, &state).collect::<Vec<_>>(), [&id(1)]);
    let names = |host, state: &State| {
        let events = super::decide(&up, host, state, &last);
        events.iter().map(Event::name).collect::<Vec<_>>()
    };
    assert_eq!(names(&h2, &state), ["host_refused"]);
    assert_eq!(names(&h1, &state), ["node_observed"]);
    evict(&mut state, "h1");
    assert_eq!(names(&h2, &state), ["node_observed"]);
    // One that runs is known, and the past says nothing of it.
    observe_at(&mut state, "h2", &up);
    assert_eq!(unknown(&up, &state).count(), 0);
}

#[test]
fn what_operators_said_of_a_container_is_never_anothers_with_its_id() {
    let up = Observation::Up(facts(1, &[]));
    let mut state = State::default();
    enroll(&mut state, "h1");
    enroll(&mut state, "h2");
    observe(&mut state, &up);
    label(&mut state, 1, "tier=front");
    observe(&mut state, &died(1));
    evict(&mut state, "h1");
    let names = observe_at(&mut state, "h2", &up);
    let names: Vec<_> = names.iter().map(Event::name).collect();
    assert_eq!(names, ["node_observed"], "a host that is gone has no claim");
    let node = state.node(&id(1)).unwrap();
    assert_eq!(node.host.as_str(), "h2");
    assert!(node.operator_labels.is_empty());
    // The first host comes back: its container is labelled as it was.
    observe_at(&mut state, "h2", &died(1));
    enroll(&mut state, "h1");
    observe(&mut state, &up);
    assert_eq!(state.node(&id(1)).unwrap().operator_labels["tier"], "front");
}

#[test]
fn of_two_hosts_that_report_one_id_in_the_same_moment_the_first_has_it() {
    let mut state = State::default();
    let theirs = ContainerFacts {
        name: "theirs".into(),
        ..facts(1, &["172.17.0.9"])
    };
    // Both decide before either's entries are in the view.
    let events = decide(
        &Observation::Up(theirs),
        &"h2".parse().unwrap(),
        &State::default(),
    );
    observe(&mut state, &Observation::Up(facts(1, &["172.17.0.2"])));
    for event in events {
        apply(&mut state, event);
    }
    let node = state.node(&id(1)).unwrap();
    assert_eq!((node.host.as_str(), &*node.facts.name), ("h1", "c1"));
    assert_eq!(node.addresses.len(), 1);
    assert_eq!(holder(&state, "172.17.0.9"), None);
}
