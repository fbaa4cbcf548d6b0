//! In which steps a catalog is applied, and what a failure or a change means for what follows.
//! Pure: no file is touched here.

use std::collections::{BTreeMap, BTreeSet};

use dockmaster_proto::{
    catalog::{Catalog, EdgeKind, ResourceRef},
    resource::ResourceKind,
};

/// Why a catalog has no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Two resources of one name.
    #[error("the catalog has {0} twice")]
    Duplicate(ResourceRef),
    /// An edge to nowhere.
    #[error("the catalog has an edge to {0}, which is not in it")]
    Missing(ResourceRef),
    /// Something comes before itself.
    #[error("the catalog has a cycle through {0}")]
    Cycle(ResourceRef),
}

/// One step: a single resource, or the files of a reload group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A resource.
    One(usize),
    /// Files that notify one process: all are staged and validated before any is replaced.
    Group(Vec<usize>),
}

impl Step {
    /// The resources of the step.
    #[must_use]
    pub fn members(&self) -> &[usize] {
        match self {
            Self::One(index) => std::slice::from_ref(index),
            Self::Group(members) => members,
        }
    }
}

/// The steps of a catalog and the edges between its resources, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The steps; each edge leads from an earlier to a later one, or stays within a group.
    pub steps: Vec<Step>,
    /// For each resource, what comes before it.
    before: Vec<Vec<usize>>,
    /// For each resource, what it notifies when it has changed.
    notified: Vec<Vec<usize>>,
}

impl Order {
    /// Orders a catalog.
    ///
    /// # Errors
    /// [`OrderError`] for a catalog that no compiler of ours makes.
    pub fn of(catalog: &Catalog) -> Result<Self, OrderError> {
        let mut index = BTreeMap::new();
        for (at, resource) in catalog.resources.iter().enumerate() {
            if index.insert(resource.reference(), at).is_some() {
                return Err(OrderError::Duplicate(resource.reference()));
            }
        }
        let at = |reference: &ResourceRef| {
            let found = index.get(reference).copied();
            found.ok_or_else(|| OrderError::Missing(reference.clone()))
        };
        let count = catalog.resources.len();
        let (mut before, mut notified) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        let mut notifiers = vec![Vec::new(); count];
        for edge in &catalog.edges {
            let (from, to) = (at(&edge.from)?, at(&edge.to)?);
            before[to].push(from);
            if edge.kind == EdgeKind::Notify {
                notifiers[to].push(from);
                notified[from].push(to);
            }
        }
        let groups = groups(catalog, &notifiers);
        let steps = steps(groups, &before)
            .map_err(|stuck| OrderError::Cycle(catalog.resources[stuck].reference()))?;
        Ok(Self {
            steps,
            before,
            notified,
        })
    }

    /// What a resource notifies when it has changed.
    #[must_use]
    pub fn notified_by(&self, index: usize) -> &[usize] {
        &self.notified[index]
    }
}

/// Files that notify the same process, transitively; every other resource alone.
fn groups(catalog: &Catalog, notifiers: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let kind = |index: usize| &catalog.resources[index].kind;
    let mut group: Vec<usize> = (0..catalog.resources.len()).collect();
    for (process, notifiers) in notifiers.iter().enumerate() {
        if !matches!(kind(process), ResourceKind::Process(_)) {
            continue;
        }
        let mut files = notifiers
            .iter()
            .filter(|index| matches!(kind(**index), ResourceKind::File(_)));
        let Some(first) = files.next() else { continue };
        for file in files {
            let (from, to) = (head(&mut group, *file), head(&mut group, *first));
            group[from] = to;
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..group.len() {
        let label = head(&mut group, index);
        members.entry(label).or_default().push(index);
    }
    members.into_values().collect()
}

/// The member of a group that stands for it. Each points to another or to itself; ways are halved as
/// they are gone, so that a catalog of a hundred thousand files does not take minutes.
fn head(group: &mut [usize], mut index: usize) -> usize {
    while group[index] != index {
        group[index] = group[group[index]];
        index = group[index];
    }
    index
}

/// Sorts groups so that every edge leads onwards, in catalog order where there is a choice. A group that
/// would have to come both before and after another step is dissolved: the order that was asked for
/// counts more than replacing its files together.
fn steps(mut groups: Vec<Vec<usize>>, before: &[Vec<usize>]) -> Result<Vec<Step>, usize> {
    loop {
        match sort(&groups, before) {
            Ok(order) => {
                let step = |group: usize| match groups[group].as_slice() {
                    [only] => Step::One(*only),
                    members => Step::Group(sorted_within(members, before)),
                };
                return Ok(order.into_iter().map(step).collect());
            }
            Err(stuck) => {
                let large = stuck.iter().position(|group| groups[*group].len() > 1);
                let Some(large) = large else {
                    return Err(groups[stuck[0]][0]);
                };
                let members = groups.swap_remove(stuck[large]);
                groups.extend(members.into_iter().map(|member| vec![member]));
            }
        }
    }
}

/// A topological order of the groups, or those that are on or behind a cycle.
fn sort(groups: &[Vec<usize>], before: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut group_of = vec![0; before.len()];
    for (group, members) in groups.iter().enumerate() {
        for member in members {
            group_of[*member] = group;
        }
    }
    let mut needs: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); groups.len()];
    let mut feeds: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); groups.len()];
    for (to, froms) in before.iter().enumerate() {
        for from in froms {
            let (from, target) = (group_of[*from], group_of[to]);
            // Within a group of several the members' own order settles it.
            if from != target || groups[from].len() == 1 {
                needs[target].insert(from);
                feeds[from].insert(target);
            }
        }
    }
    let first = |group: usize| groups[group].iter().min().copied().unwrap_or_default();
    let mut ready: BTreeSet<(usize, usize)> = (0..groups.len())
        .filter(|group| needs[*group].is_empty())
        .map(|group| (first(group), group))
        .collect();
    let mut order = Vec::with_capacity(groups.len());
    while let Some((_, group)) = ready.pop_first() {
        order.push(group);
        for fed in &feeds[group] {
            needs[*fed].remove(&group);
            if needs[*fed].is_empty() {
                ready.insert((first(*fed), *fed));
            }
        }
    }
    if order.len() == groups.len() {
        return Ok(order);
    }
    let stuck: Vec<usize> = (0..groups.len())
        .filter(|group| !needs[*group].is_empty())
        .collect();
    Err(stuck)
}

/// The members of a group in an order that their own edges allow. What is on a cycle of theirs or behind
/// it comes last, as it stands: they are replaced together.
fn sorted_within(members: &[usize], before: &[Vec<usize>]) -> Vec<usize> {
    let mut left: BTreeSet<usize> = members.iter().copied().collect();
    let mut needs: BTreeMap<usize, usize> = BTreeMap::new();
    let mut feeds: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for member in members {
        let within: BTreeSet<usize> = before[*member]
            .iter()
            .copied()
            .filter(|from| left.contains(from))
            .collect();
        needs.insert(*member, within.len());
        for from in within {
            feeds.entry(from).or_default().push(*member);
        }
    }
    let mut ready: BTreeSet<usize> = left
        .iter()
        .copied()
        .filter(|member| needs[member] == 0)
        .collect();
    let mut sorted = Vec::with_capacity(left.len());
    while let Some(member) = ready.pop_first() {
        left.remove(&member);
        sorted.push(member);
        for fed in feeds.remove(&member).unwrap_or_default() {
            if let Some(count) = needs.get_mut(&fed) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(fed);
                }
            }
        }
    }
    sorted.extend(left);
    sorted
}

/// What became of a resource, as far as others care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is as it should be and was so before.
    Unchanged,
    /// It was changed (or would have been, in a dry run).
    Changed,
    /// It failed or was skipped.
    Failed,
}

/// The course of one apply.
#[derive(Debug)]
pub struct Progress<'a> {
    order: &'a Order,
    fates: Vec<Option<Fate>>,
}

impl<'a> Progress<'a> {
    /// Nothing was done yet.
    #[must_use]
    pub fn new(order: &'a Order) -> Self {
        Self {
            order,
            fates: vec![None; order.before.len()],
        }
    }

    /// Notes what became of a resource.
    pub fn settle(&mut self, index: usize, fate: Fate) {
        self.fates[index] = Some(fate);
    }

    /// What keeps a resource from being tried: something before it that failed or was skipped.
    #[must_use]
    pub fn obstacle(&self, index: usize) -> Option<usize> {
        let mut before = self.order.before[index].iter().copied();
        before.find(|from| self.fates[*from] == Some(Fate::Failed))
    }
}

#[cfg(test)]
mod tests;
