use dockmaster_proto::{
    catalog::{CATALOG_VERSION, Edge, Resource, Source},
    resource::{Exec, File, Process},
};
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Kind {
    File,
    Exec,
    Process,
}

fn catalog(kinds: &[Kind], edges: &[(usize, usize, EdgeKind)]) -> Catalog {
    let resource = |(index, kind): (usize, &Kind)| Resource {
        kind: match kind {
            Kind::File => ResourceKind::File(File::default()),
            Kind::Exec => ResourceKind::Exec(Exec::default()),
            Kind::Process => ResourceKind::Process(Process::default()),
        },
        title: format!("/{index}"),
        source: Source::default(),
    };
    let resources: Vec<Resource> = kinds.iter().enumerate().map(resource).collect();
    let edges = edges.iter().map(|(from, to, kind)| Edge {
        from: resources[*from].reference(),
        to: resources[*to].reference(),
        kind: *kind,
    });
    Catalog {
        version: CATALOG_VERSION,
        environment: String::new(),
        classes: vec![],
        edges: edges.collect(),
        resources: resources.clone(),
    }
}

#[test]
fn files_that_notify_one_process_are_one_step() {
    use EdgeKind::{Before, Notify};
    let catalog = catalog(
        &[Kind::File, Kind::Exec, Kind::File, Kind::Process],
        &[(0, 3, Notify), (1, 2, Before), (2, 3, Notify)],
    );
    let order = Order::of(&catalog).unwrap();
    assert_eq!(
        order.steps,
        [Step::One(1), Step::Group(vec![0, 2]), Step::One(3)]
    );
}

#[test]
fn a_group_that_something_comes_between_is_dissolved() {
    use EdgeKind::{Before, Notify};
    let catalog = catalog(
        &[Kind::File, Kind::Exec, Kind::File, Kind::Process],
        &[
            (0, 3, Notify),
            (0, 1, Before),
            (1, 2, Before),
            (2, 3, Notify),
        ],
    );
    let order = Order::of(&catalog).unwrap();
    assert_eq!(
        order.steps,
        [Step::One(0), Step::One(1), Step::One(2), Step::One(3)]
    );
}

#[test]
fn cycles_duplicates_and_loose_edges_are_refused() {
    use EdgeKind::Before;
    let cycle = catalog(&[Kind::Exec, Kind::Exec], &[(0, 1, Before), (1, 0, Before)]);
    assert!(matches!(Order::of(&cycle), Err(OrderError::Cycle(_))));
    let own = catalog(&[Kind::Exec], &[(0, 0, Before)]);
    assert!(matches!(Order::of(&own), Err(OrderError::Cycle(_))));
    let mut twice = catalog(&[Kind::Exec, Kind::Exec], &[]);
    twice.resources[1].title = "/0".into();
    assert!(matches!(Order::of(&twice), Err(OrderError::Duplicate(_))));
    let mut loose = catalog(&[Kind::Exec, Kind::Exec], &[(0, 1, Before)]);
    loose.resources.pop();
    assert!(matches!(Order::of(&loose), Err(OrderError::Missing(_))));
}

/// Catalogs as a compiler makes them: each edge leads from an earlier to a later resource.
fn any_catalog() -> impl Strategy<Value = Catalog> {
    let kind = prop_oneof![Just(Kind::File), Just(Kind::Exec), Just(Kind::Process)];
    let edge = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    (
        prop::collection::vec(kind, 2..14),
        prop::collection::vec(edge, 0..20),
    )
        .prop_map(|(kinds, edges)| {
            let edges: Vec<_> = edges
                .into_iter()
                .filter_map(|(a, b, notify)| {
                    let (a, b) = (a.index(kinds.len()), b.index(kinds.len()));
                    let kind = if notify {
                        EdgeKind::Notify
                    } else {
                        EdgeKind::Before
                    };
                    (a != b).then(|| (a.min(b), a.max(b), kind))
                })
                .collect();
            catalog(&kinds, &edges)
        })
}

proptest! {
    #[test]
    fn every_resource_has_its_turn_once_and_after_all_that_comes_before(catalog in any_catalog()) {
        let order = Order::of(&catalog).unwrap();
        let turns: Vec<usize> = order.steps.iter().flat_map(Step::members).copied().collect();
        let distinct: BTreeSet<usize> = turns.iter().copied().collect();
        prop_assert_eq!(turns.len(), catalog.resources.len());
        prop_assert_eq!(distinct.len(), catalog.resources.len());
        let turn = |index: usize| turns.iter().position(|at| *at == index).unwrap();
        for (to, froms) in order.before.iter().enumerate() {
            for from in froms {
                prop_assert!(turn(*from) < turn(to));
            }
        }
    }

    #[test]
    fn exactly_what_depends_on_a_failure_is_skipped(
        catalog in any_catalog(),
        failing in prop::collection::vec(any::<bool>(), 14),
    ) {
        let order = Order::of(&catalog).unwrap();
        let mut progress = Progress::new(&order);
        let mut skipped = BTreeSet::new();
        for index in order.steps.iter().flat_map(Step::members).copied() {
            let blocked = progress.obstacle(index).is_some();
            if blocked {
                skipped.insert(index);
            }
            let fate = if blocked || failing[index] { Fate::Failed } else { Fate::Changed };
            progress.settle(index, fate);
        }
        // The same by definition: is there a path from a failing resource?
        let mut reached: BTreeSet<usize> = BTreeSet::new();
        for index in 0..catalog.resources.len() {
            let hit = order.before[index].iter().any(|from| failing[*from] || reached.contains(from));
            if hit {
                reached.insert(index);
            }
        }
        prop_assert_eq!(skipped, reached);
    }

    #[test]
    fn a_change_is_told_to_exactly_those_that_it_notifies(catalog in any_catalog()) {
        let order = Order::of(&catalog).unwrap();
        for (index, resource) in catalog.resources.iter().enumerate() {
            let told: BTreeSet<ResourceRef> = order
                .notified_by(index)
                .iter()
                .map(|to| catalog.resources[*to].reference())
                .collect();
            let expected: BTreeSet<ResourceRef> = catalog
                .edges
                .iter()
                .filter(|edge| edge.kind == EdgeKind::Notify && edge.from == resource.reference())
                .map(|edge| edge.to.clone())
                .collect();
            prop_assert_eq!(told, expected);
        }
    }
}

#[test]
fn a_catalog_of_many_files_for_one_process_is_ordered_in_no_time() {
    // Quadratic work on these would not end within anyone's patience.
    const FILES: usize = 60_000;
    let mut kinds = vec![Kind::File; FILES];
    kinds.push(Kind::Process);
    let mut edges: Vec<_> = (0..FILES)
        .map(|file| (file, FILES, EdgeKind::Notify))
        .collect();
    // Each file after the one that stands behind it.
    edges.extend((1..FILES).map(|file| (file, file - 1, EdgeKind::Before)));
    let order = Order::of(&catalog(&kinds, &edges)).unwrap();
    let files: Vec<usize> = (0..FILES).rev().collect();
    assert_eq!(order.steps, [Step::Group(files), Step::One(FILES)]);
}
