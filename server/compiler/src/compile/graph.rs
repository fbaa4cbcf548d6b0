//! What comes before what.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use dockmaster_proto::{
    catalog::{Edge, EdgeKind, Resource, ResourceRef, Source},
    resource::{Ensure, Process, ResourceKind},
};

use super::resources::{Draft, DraftRelation};
use crate::site::{Relation, Site};
use dockmaster_document::{diagnostic::Diagnostic, suggest};

/// Brings the resources into an order that satisfies every edge: where edges leave a choice, the
/// order of declaration.
pub(super) fn order(
    site: &Site,
    mut drafts: Vec<Draft>,
    left_out: &BTreeMap<ResourceRef, Source>,
) -> Result<(Vec<Resource>, Vec<Edge>), Vec<Diagnostic>> {
    add_app(&mut drafts);
    let mut wrong = Vec::new();
    let index = index(site, &drafts, &mut wrong);
    let mut edges = Edges::default();
    for (at, draft) in drafts.iter().enumerate() {
        for relation in &draft.relations {
            match index.get(&relation.to) {
                Some(other) => edges.relate(at, *other, relation.relation),
                None => wrong.push(missing(site, draft, relation, &index, left_out)),
            }
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    add_parents(&drafts, &index, &mut edges);
    let order =
        sort(drafts.len(), &edges).map_err(|circle| vec![circle_error(site, &drafts, &circle)])?;
    let mut place = vec![0; drafts.len()];
    for (position, at) in order.iter().enumerate() {
        place[*at] = position;
    }
    let mut sorted: Vec<(&(usize, usize), &EdgeKind)> = edges.0.iter().collect();
    sorted.sort_by_key(|((from, to), _)| (place[*from], place[*to]));
    let edges = sorted.into_iter().map(|((from, to), kind)| Edge {
        from: drafts[*from].resource.reference(),
        to: drafts[*to].resource.reference(),
        kind: *kind,
    });
    let edges = edges.collect();
    let mut resources: Vec<(usize, Resource)> = drafts
        .into_iter()
        .map(|draft| draft.resource)
        .enumerate()
        .collect();
    resources.sort_by_key(|(at, _)| place[*at]);
    Ok((
        resources
            .into_iter()
            .map(|(_, resource)| resource)
            .collect(),
        edges,
    ))
}

/// `process[app]` is always there to be referred to: the command that the container was started with.
fn add_app(drafts: &mut Vec<Draft>) {
    let app = ResourceRef {
        type_name: "process".to_owned(),
        title: "app".to_owned(),
    };
    let declared = drafts.iter().any(|draft| draft.resource.reference() == app);
    let wanted = drafts
        .iter()
        .find(|draft| draft.relations.iter().any(|relation| relation.to == app));
    if let Some(wanted) = wanted.filter(|_| !declared) {
        let resource = Resource {
            kind: ResourceKind::Process(Process::default()),
            title: app.title,
            source: wanted.resource.source.clone(),
        };
        drafts.push(Draft {
            resource,
            relations: Vec::new(),
        });
    }
}

fn is_path(type_name: &str) -> bool {
    matches!(type_name, "file" | "directory" | "symlink")
}

/// Resources by reference; two for one thing are refused.
fn index(
    site: &Site,
    drafts: &[Draft],
    wrong: &mut Vec<Diagnostic>,
) -> BTreeMap<ResourceRef, usize> {
    let mut index = BTreeMap::new();
    let mut paths: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        let reference = draft.resource.reference();
        let same_path = is_path(&reference.type_name)
            .then(|| paths.insert(&draft.resource.title, at))
            .flatten();
        let same = index.insert(reference.clone(), at).or(same_path);
        if let Some(first) = same {
            let Resource { source, .. } = &draft.resource;
            let first = &drafts[first].resource;
            let message = format!(
                "{reference} is declared twice: {} declares {}",
                first.source,
                first.reference()
            );
            wrong.push(
                site.error(&source.file, source.line, message)
                    .hint("declare it once, or give one of them a \"when\""),
            );
        }
    }
    index
}

fn missing(
    site: &Site,
    draft: &Draft,
    relation: &DraftRelation,
    index: &BTreeMap<ResourceRef, usize>,
    left_out: &BTreeMap<ResourceRef, Source>,
) -> Diagnostic {
    let message = format!(
        "{} refers to {}, which is not in the catalog",
        draft.resource.reference(),
        relation.to
    );
    let diagnostic = site.error(&draft.resource.source.file, relation.line, message);
    match left_out.get(&relation.to) {
        Some(source) => diagnostic.hint(format!(
            "{source} declares it, but its \"when\" does not hold here"
        )),
        None => {
            let known: Vec<String> = index.keys().map(ToString::to_string).collect();
            let near = suggest::nearest(&relation.to.to_string(), known.iter().map(String::as_str))
                .map(str::to_owned);
            diagnostic
                .hint(near.map_or_else(String::new, |near| format!("did you mean \"{near}\"?")))
        }
    }
}

/// Edges between resources by their index, each pair once.
#[derive(Default)]
struct Edges(BTreeMap<(usize, usize), EdgeKind>);

impl Edges {
    fn relate(&mut self, this: usize, other: usize, relation: Relation) {
        let (from, to, kind) = match relation {
            Relation::Require => (other, this, EdgeKind::Before),
            Relation::Before => (this, other, EdgeKind::Before),
            Relation::Notify => (this, other, EdgeKind::Notify),
            Relation::Subscribe => (other, this, EdgeKind::Notify),
        };
        let known = self.0.entry((from, to)).or_insert(kind);
        // To notify is to come before, and more.
        if kind == EdgeKind::Notify {
            *known = kind;
        }
    }

    fn add_automatic(&mut self, from: usize, to: usize) {
        // What a site says explicitly stands, in either direction.
        if !self.0.contains_key(&(to, from)) {
            self.0.entry((from, to)).or_insert(EdgeKind::Automatic);
        }
    }
}

/// Whatever has a path comes after the nearest directory or link above it; what is to go comes
/// before the directory that is to go with it.
fn add_parents(drafts: &[Draft], index: &BTreeMap<ResourceRef, usize>, edges: &mut Edges) {
    for (at, draft) in drafts.iter().enumerate() {
        if !is_path(draft.resource.kind.type_name()) {
            continue;
        }
        let mut path = draft.resource.title.as_str();
        while let Some((above, _)) = path.rsplit_once('/').filter(|(above, _)| !above.is_empty()) {
            path = above;
            let parent = ["directory", "symlink"].into_iter().find_map(|type_name| {
                let reference = ResourceRef {
                    type_name: type_name.to_owned(),
                    title: path.to_owned(),
                };
                index.get(&reference).copied()
            });
            if let Some(parent) = parent {
                if is_absent(&drafts[parent].resource.kind) {
                    edges.add_automatic(at, parent);
                } else {
                    edges.add_automatic(parent, at);
                }
                break;
            }
        }
    }
}

fn is_absent(kind: &ResourceKind) -> bool {
    let ensure = match kind {
        ResourceKind::File(file) => file.ensure,
        ResourceKind::Directory(directory) => directory.ensure,
        ResourceKind::Symlink(symlink) => symlink.ensure,
        ResourceKind::Exec(_) | ResourceKind::Process(_) => Ensure::Present,
    };
    ensure == Ensure::Absent
}

/// A topological order, the smallest index first where there is a choice; or a circle.
fn sort(count: usize, edges: &Edges) -> Result<Vec<usize>, Vec<usize>> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut waits_for = vec![0_usize; count];
    for (from, to) in edges.0.keys() {
        after[*from].push(*to);
        waits_for[*to] += 1;
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..count)
        .filter(|at| waits_for[*at] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(at)) = ready.pop() {
        order.push(at);
        for next in &after[at] {
            waits_for[*next] -= 1;
            if waits_for[*next] == 0 {
                ready.push(Reverse(*next));
            }
        }
    }
    if order.len() == count {
        Ok(order)
    } else {
        Err(circle(&waits_for, edges))
    }
}

/// Goes back from one that still waits to one that it waits for, until one comes again.
fn circle(waits_for: &[usize], edges: &Edges) -> Vec<usize> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    for (from, to) in edges.0.keys() {
        if waits_for[*from] > 0 {
            before.entry(*to).or_insert(*from);
        }
    }
    let mut path: Vec<usize> = Vec::new();
    let mut at = waits_for
        .iter()
        .position(|waits| *waits > 0)
        .unwrap_or_default();
    loop {
        if let Some(start) = path.iter().position(|seen| *seen == at) {
            path.drain(..start);
            path.reverse();
            // The same circle is always told from the same place.
            let first = path
                .iter()
                .enumerate()
                .min_by_key(|(_, at)| **at)
                .map_or(0, |(place, _)| place);
            path.rotate_left(first);
            return path;
        }
        path.push(at);
        // One that still waits, waits for one that still waits.
        at = before.get(&at).copied().unwrap_or(at);
    }
}

fn circle_error(site: &Site, drafts: &[Draft], circle: &[usize]) -> Diagnostic {
    let names: Vec<String> = circle
        .iter()
        .chain(circle.first())
        .map(|at| drafts[*at].resource.reference().to_string())
        .collect();
    let places: Vec<String> = circle
        .iter()
        .map(|at| drafts[*at].resource.source.to_string())
        .collect();
    let source = &drafts[circle[0]].resource.source;
    let message = format!("resources wait for each other: {}", names.join(" -> "));
    site.error(&source.file, source.line, message)
        .hint(format!("they stand in {}", places.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_edge_holds_or_the_circle_is_one(
            count in 1_usize..12,
            pairs in prop::collection::vec((0_usize..12, 0_usize..12), 0..30),
        ) {
            let mut edges = Edges::default();
            for (from, to) in pairs.iter().filter(|(from, to)| *from < count && *to < count) {
                edges.relate(*from, *to, Relation::Before);
            }
            match sort(count, &edges) {
                Ok(order) => {
                    let place: HashMap<usize, usize> = order.iter().enumerate().map(|(place, at)| (*at, place)).collect();
                    prop_assert_eq!(place.len(), count);
                    for (from, to) in edges.0.keys() {
                        prop_assert!(place[from] < place[to]);
                    }
                }
                Err(circle) => {
                    prop_assert!(!circle.is_empty());
                    for (place, from) in circle.iter().enumerate() {
                        let to = circle[(place + 1) % circle.len()];
                        prop_assert!(edges.0.contains_key(&(*from, to)), "{:?}", circle);
                    }
                }
            }
        }
    }

    #[test]
    fn without_edges_the_order_of_declaration_stays() {
        let mut edges = Edges::default();
        assert_eq!(sort(4, &edges), Ok(vec![0, 1, 2, 3]));
        edges.relate(0, 3, Relation::Require);
        assert_eq!(sort(4, &edges), Ok(vec![1, 2, 3, 0]));
    }

    #[test]
    fn a_notification_is_more_than_an_order() {
        let mut edges = Edges::default();
        edges.relate(0, 1, Relation::Before);
        edges.relate(1, 0, Relation::Subscribe);
        edges.relate(0, 1, Relation::Before);
        assert_eq!(edges.0[&(0, 1)], EdgeKind::Notify);
    }
}
