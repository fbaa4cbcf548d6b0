//! What has been reported so far, and what a fresh look changes about it.

use std::collections::BTreeMap;

use dockmaster_proto::{event::LeaseCause, facts::ContainerFacts, id::ContainerId, time::UnixMs};

use crate::{Observation, holds};

/// The containers that were last reported as running.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeMap<ContainerId, ContainerFacts>);

impl Known {
    /// Begins anew with everything that runs. What was known of a container of which nothing can be
    /// told still holds.
    pub(crate) fn snapshot(
        &mut self,
        all: Vec<ContainerFacts>,
        mut unclear: Vec<ContainerId>,
    ) -> Observation {
        let before = std::mem::take(&mut self.0);
        self.0 = all.into_iter().map(|facts| (facts.id, facts)).collect();
        unclear.retain(|id| match before.get(id) {
            Some(facts) => {
                self.0.insert(*id, facts.clone());
                false
            }
            None => true,
        });
        Observation::Snapshot {
            containers: self.0.values().cloned().collect(),
            unclear,
        }
    }

    /// A container runs. Nothing to tell when nothing changed; a new start time means that it
    /// died unseen in between.
    pub(crate) fn up(&mut self, facts: ContainerFacts) -> Vec<Observation> {
        let mut news = Vec::new();
        match self.0.get(&facts.id) {
            Some(known) if *known == facts => return news,
            Some(known) if known.started_at_ms != facts.started_at_ms => {
                news.extend(self.down(&facts.id, LeaseCause::Died));
            }
            Some(_) | None => {}
        }
        self.0.insert(facts.id, facts.clone());
        news.push(Observation::Up(facts));
        news
    }

    /// A container does not run. Nothing to tell when it was never reported as running.
    pub(crate) fn down(&mut self, id: &ContainerId, cause: LeaseCause) -> Option<Observation> {
        self.0
            .remove(id)
            .map(|_| Observation::Down { id: *id, cause })
    }

    /// A container ended at a certain time: news only about a run that began before it.
    pub(crate) fn died(&mut self, id: &ContainerId, at: UnixMs) -> Option<Observation> {
        if self.get(id)?.started_at_ms > at {
            return None;
        }
        self.down(id, LeaseCause::Died)
    }

    /// Everything that runs, as news about each difference. The ends come first, then the changes
    /// that give an address up, then the others: an address that moves is free before it is taken.
    pub(crate) fn difference(&mut self, all: Vec<ContainerFacts>) -> Vec<Observation> {
        let now: BTreeMap<_, _> = all.into_iter().map(|facts| (facts.id, facts)).collect();
        let gone: Vec<_> = self
            .ids()
            .filter(|id| !now.contains_key(id))
            .copied()
            .collect();
        let mut news: Vec<_> = gone
            .iter()
            .filter_map(|id| self.down(id, LeaseCause::Died))
            .collect();
        let (giving, others): (Vec<_>, Vec<_>) = now
            .into_values()
            .partition(|facts| self.gives_an_address_up(facts));
        for facts in giving.into_iter().chain(others) {
            news.extend(self.up(facts));
        }
        news
    }

    fn gives_an_address_up(&self, facts: &ContainerFacts) -> bool {
        self.get(&facts.id).is_some_and(|known| {
            let mut held = known.attachments.iter().flat_map(|at| &at.ips);
            held.any(|ip| !holds(facts, *ip))
        })
    }

    /// What was last reported of a container.
    pub(crate) fn get(&self, id: &ContainerId) -> Option<&ContainerFacts> {
        self.0.get(id)
    }

    /// All that run, as far as reported.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &ContainerId> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::facts::{Attachment, Limits, NetworkMode};

    use super::*;

    fn container(id: u8, started: u64, ip: &str) -> ContainerFacts {
        ContainerFacts {
            id: ContainerId::from_bytes([id; 32]),
            name: format!("c{id}"),
            image: "app:1".to_owned(),
            image_digest: String::new(),
            labels: BTreeMap::new(),
            started_at_ms: UnixMs(started),
            limits: Limits::default(),
            network_mode: NetworkMode::Own,
            attachments: vec![Attachment {
                network: "h1/bridge".parse().unwrap(),
                ips: vec![ip.parse().unwrap()],
            }],
        }
    }

    fn down(id: u8) -> Observation {
        Observation::Down {
            id: ContainerId::from_bytes([id; 32]),
            cause: LeaseCause::Died,
        }
    }

    #[test]
    fn the_same_facts_are_no_news() {
        let mut known = Known::default();
        let facts = container(1, 5, "172.17.0.2");
        assert_eq!(known.up(facts.clone()), [Observation::Up(facts.clone())]);
        assert_eq!(known.up(facts), []);
    }

    #[test]
    fn a_new_start_time_tells_of_the_end_that_nobody_saw() {
        let mut known = Known::default();
        known.snapshot(vec![container(1, 5, "172.17.0.2")], vec![]);
        let again = container(1, 9, "172.17.0.2");
        assert_eq!(known.up(again.clone()), [down(1), Observation::Up(again)]);
    }

    #[test]
    fn an_end_before_the_start_concerns_an_earlier_run() {
        let mut known = Known::default();
        let facts = container(1, 5, "172.17.0.2");
        known.snapshot(vec![facts.clone()], vec![]);
        assert_eq!(known.died(&facts.id, UnixMs(4)), None);
        assert_eq!(known.died(&facts.id, UnixMs(5)), Some(down(1)));
        assert_eq!(known.died(&facts.id, UnixMs(6)), None);
    }

    #[test]
    fn an_address_that_moves_is_free_before_it_is_taken() {
        let mut known = Known::default();
        known.snapshot(
            vec![
                container(1, 5, "172.17.0.2"),
                container(2, 5, "172.17.0.3"),
                container(3, 5, "172.17.0.4"),
            ],
            vec![],
        );
        // 3 ends, 2 takes its address, 1 takes that of 2, and 4 that of 1.
        let one = container(1, 5, "172.17.0.3");
        let two = container(2, 5, "172.17.0.4");
        let four = container(4, 6, "172.17.0.2");
        let news = known.difference(vec![four.clone(), one.clone(), two.clone()]);
        assert_eq!(
            news,
            [
                down(3),
                Observation::Up(one),
                Observation::Up(two),
                Observation::Up(four)
            ]
        );
    }

    #[test]
    fn what_was_known_of_an_unclear_container_is_in_the_next_snapshot() {
        let mut known = Known::default();
        let web = container(1, 5, "172.17.0.2");
        known.snapshot(vec![web.clone()], vec![]);
        let stranger = ContainerId::from_bytes([9; 32]);
        assert_eq!(
            known.snapshot(vec![], vec![web.id, stranger]),
            Observation::Snapshot {
                containers: vec![web],
                unclear: vec![stranger],
            }
        );
    }
}
