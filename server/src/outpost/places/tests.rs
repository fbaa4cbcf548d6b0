use std::collections::HashMap;

use dockmaster_proto::event::LeaseCause;
use proptest::prelude::*;

use super::*;
use crate::testing::{facts, id};

const LIMITS: Limits = Limits {
    all: 40,
    of_one: 8,
    of_strangers: 10,
};

fn ip(last: u8) -> IpAddr {
    [172, 17, 0, last].into()
}

fn as_many_as_it_gets(places: &Arc<Places>, ip: IpAddr) -> Vec<Place> {
    std::iter::from_fn(|| places.enter(ip).ok()).collect()
}

#[test]
fn a_limit_of_open_files_leaves_what_the_watcher_needs() {
    assert_eq!(Limits::within(0), None);
    assert_eq!(Limits::within(Limits::FEWEST_FILES - 1), None);
    assert_eq!(Limits::within(Limits::FEWEST_FILES).unwrap().all, 1);
    for files in (Limits::FEWEST_FILES..20_000).chain([usize::MAX]) {
        let limits = Limits::within(files).unwrap();
        assert!(limits.all * FILES_EACH + RESERVED_FILES <= files);
        assert!(limits.of_one >= 1 && limits.of_strangers >= 1);
        assert_eq!(limits.are_reduced(), files < Limits::MOST_FILES, "{files}");
    }
    let most = Limits::within(usize::MAX).unwrap();
    assert_eq!((most.all, most.of_one), (MAX_RELAYED, MAX_OF_ONE));
}

#[test]
fn addresses_that_nobody_is_known_to_hold_take_their_part_and_no_more() {
    let places = Arc::new(Places::new(LIMITS));
    places.take_up(&Observation::Up(facts(1, &["172.17.0.1"])));
    let strangers: Vec<_> = (100..200)
        .flat_map(|last| as_many_as_it_gets(&places, ip(last)))
        .collect();
    assert_eq!(strangers.len(), LIMITS.of_strangers);
    assert_eq!(places.enter(ip(99)).unwrap_err(), NoPlace::Strangers);
    let known = as_many_as_it_gets(&places, ip(1));
    assert_eq!(known.len(), LIMITS.of_one);
    assert_eq!(places.enter(ip(1)).unwrap_err(), NoPlace::One);
    drop((strangers, known));
    assert!(places.with(|counts| counts.of_each.is_empty() && counts.all == 0));
}

#[test]
fn a_container_that_came_before_its_report_is_no_stranger_once_it_is_known() {
    let places = Arc::new(Places::new(LIMITS));
    let early: Vec<_> = (1..=5)
        .flat_map(|last| [(); 2].map(|()| places.enter(ip(last)).unwrap()))
        .collect();
    assert_eq!(places.enter(ip(9)).unwrap_err(), NoPlace::Strangers);
    let snapshot = Observation::Snapshot {
        containers: vec![facts(1, &["172.17.0.1"]), facts(2, &["172.17.0.2"])],
        unclear: vec![],
    };
    places.take_up(&snapshot);
    assert_eq!(places.with(|counts| counts.of_strangers), 6);
    // A container that ended leaves what it has among those of nobody.
    places.take_up(&Observation::Down {
        id: id(1),
        cause: LeaseCause::Died,
    });
    assert_eq!(places.with(|counts| counts.of_strangers), 8);
    // Of one that is unclear stands what was known; a snapshot without it would end that.
    let unclear = Observation::Snapshot {
        containers: vec![],
        unclear: vec![id(2)],
    };
    places.take_up(&unclear);
    assert_eq!(places.with(|counts| counts.of_strangers), 8);
    drop(early);
    assert_eq!(places.with(|counts| counts.of_strangers), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Enter(u8),
    Leave(usize),
    Up(u8, Vec<u8>),
    Down(u8),
    Snapshot(Vec<(u8, Vec<u8>)>, Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let ips = || prop::collection::vec(0_u8..6, 0..3);
    prop_oneof![
        4 => (0_u8..6).prop_map(Step::Enter),
        2 => any::<usize>().prop_map(Step::Leave),
        2 => (0_u8..4, ips()).prop_map(|(id, ips)| Step::Up(id, ips)),
        1 => (0_u8..4).prop_map(Step::Down),
        1 => (
            prop::collection::vec((0_u8..4, ips()), 0..4),
            prop::collection::vec(0_u8..4, 0..3),
        )
            .prop_map(|(all, unclear)| Step::Snapshot(all, unclear)),
    ]
}

fn container(number: u8, ips: &[u8]) -> ContainerFacts {
    let ips: Vec<_> = ips.iter().map(|last| ip(*last).to_string()).collect();
    let ips: Vec<_> = ips.iter().map(String::as_str).collect();
    facts(number, &ips)
}

proptest! {
    #[test]
    fn whatever_happens_the_counts_are_those_of_the_places_that_are_held(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let places = Arc::new(Places::new(LIMITS));
        let mut held = Vec::new();
        for step in steps {
            match step {
                Step::Enter(last) => held.extend(places.enter(ip(last)).ok()),
                Step::Leave(which) if !held.is_empty() => {
                    drop(held.swap_remove(which % held.len()));
                }
                Step::Leave(_) => {}
                Step::Up(number, ips) => {
                    places.take_up(&Observation::Up(container(number, &ips)));
                }
                Step::Down(number) => places.take_up(&Observation::Down {
                    id: id(number),
                    cause: LeaseCause::Died,
                }),
                Step::Snapshot(all, unclear) => {
                    // An engine lists a container once.
                    let all: HashMap<_, _> = all.into_iter().collect();
                    let containers = all.iter().map(|(number, ips)| container(*number, ips));
                    places.take_up(&Observation::Snapshot {
                        containers: containers.collect(),
                        unclear: unclear.into_iter().map(id).collect(),
                    });
                }
            }
            places.with(|counts| {
                let is_held = |ip: &IpAddr| counts.containers.values().flatten().any(|it| it == ip);
                let strangers = held.iter().filter(|place| !is_held(&place.ip)).count();
                assert_eq!(counts.all, held.len());
                assert_eq!(counts.of_strangers, strangers);
            });
        }
    }
}
