//! Requests that wait for an operator: a fold over entries, the same for the view and the index.

use std::collections::BTreeMap;

use dockmaster_proto::{
    api::requests::{Decision, HeldRequest},
    event::{Entry, Event, Evidence},
    id::{ContainerId, Digest, Name, RequestId},
    time::UnixMs,
};

/// How many requests of one container may wait or stand denied: an honest agent makes one, and
/// another after it was started again.
pub const MAX_OF_CONTAINER: usize = 4;
/// How many there may be in all: what people can still look through.
pub const MAX_REQUESTS: usize = 1000;
/// Of one further host's containers.
pub const MAX_OF_HOST: usize = MAX_REQUESTS / 4;
/// How long a request is kept in milliseconds: a day.
pub const KEPT_MS: u64 = 24 * 3_600_000;

/// Requests that wait, and those that were decided and not used yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<RequestId, HeldRequest>);

/// The ID of a request: the same for whoever asks again with the same key in the same run.
#[must_use]
pub fn request_id(container: &ContainerId, started_at: UnixMs, key: &Digest) -> RequestId {
    let mut bytes = container.as_bytes().to_vec();
    bytes.extend_from_slice(&started_at.0.to_be_bytes());
    bytes.extend_from_slice(key.as_bytes());
    let digest = Digest::of(&bytes);
    let mut id = [0; 8];
    id.copy_from_slice(&digest.as_bytes()[..8]);
    RequestId::from_bytes(id)
}

impl Requests {
    /// All that are not over, oldest first.
    #[must_use]
    pub fn at(&self, now: UnixMs) -> Vec<&HeldRequest> {
        let mut requests: Vec<_> = self.0.values().filter(|one| !is_over(one, now)).collect();
        requests.sort_by_key(|one| one.index);
        requests
    }

    /// One that is not over.
    #[must_use]
    pub fn get(&self, id: &RequestId, now: UnixMs) -> Option<&HeldRequest> {
        self.0.get(id).filter(|one| !is_over(one, now))
    }

    /// The request of a key in a run of a container.
    #[must_use]
    pub fn of_key(
        &self,
        container: &ContainerId,
        started_at: UnixMs,
        key: &Digest,
        now: UnixMs,
    ) -> Option<&HeldRequest> {
        let one = self.get(&request_id(container, started_at, key), now)?;
        // The ID is short; what is bound is the key itself.
        let held = &one.held;
        let is_same = held.container == *container
            && held.started_at_ms == started_at
            && held.spki_sha256 == *key;
        is_same.then_some(one)
    }

    /// Those of a container.
    pub fn of_container(
        &self,
        container: &ContainerId,
        now: UnixMs,
    ) -> impl Iterator<Item = &HeldRequest> {
        let of_it = |one: &&HeldRequest| one.held.container == *container;
        self.0
            .values()
            .filter(move |one| of_it(one) && !is_over(one, now))
    }

    /// The operator's word for a key, where it was given and not used.
    #[must_use]
    pub fn approval(
        &self,
        container: &ContainerId,
        started_at: UnixMs,
        key: &Digest,
        now: UnixMs,
    ) -> Option<Evidence> {
        let one = self.of_key(container, started_at, key, now)?;
        match &one.decision {
            Some(Decision::Approved { operator, .. }) => Some(Evidence::Operator {
                operator: operator.clone(),
                request: one.held.request,
            }),
            _ => None,
        }
    }

    /// Takes up an entry; whether anything changed by it.
    pub fn apply(&mut self, index: u64, entry: &Entry) -> bool {
        match &entry.event {
            Event::RequestHeld(held) => {
                self.0.retain(|_, one| !is_over(one, entry.ts_ms));
                let one = HeldRequest {
                    held: held.clone(),
                    held_at_ms: entry.ts_ms,
                    index,
                    decision: None,
                };
                self.0.insert(held.request, one);
                true
            }
            Event::RequestApproved(event) => {
                let decision = Decision::Approved {
                    operator: event.operator.clone(),
                    at_ms: entry.ts_ms,
                };
                self.decide(&event.request, decision)
            }
            Event::RequestDenied(event) => {
                let decision = Decision::Denied {
                    operator: event.operator.clone(),
                    at_ms: entry.ts_ms,
                    reason: event.reason.clone(),
                };
                self.decide(&event.request, decision)
            }
            // An approval burns with the certificate that rests on it.
            Event::CertIssued(event) | Event::CertRenewed(event) => {
                approval_in(&event.evidence).is_some_and(|(_, id)| self.0.remove(id).is_some())
            }
            // The end of a run ends its requests, whatever was said of them.
            Event::NodeGone(event) => {
                let before = self.0.len();
                self.0
                    .retain(|_, one| one.held.container != event.container);
                self.0.len() < before
            }
            _ => false,
        }
    }

    fn decide(&mut self, id: &RequestId, decision: Decision) -> bool {
        let one = self.0.get_mut(id);
        let is_known = one.is_some();
        if let Some(one) = one {
            one.decision = Some(decision);
        }
        is_known
    }

    /// Puts one back: the view is being loaded from the index.
    pub(crate) fn restore(&mut self, one: HeldRequest) {
        self.0.insert(one.held.request, one);
    }

    /// All of them, for the index.
    pub(crate) const fn all(&self) -> &BTreeMap<RequestId, HeldRequest> {
        &self.0
    }
}

/// The operator's word among some evidence.
#[must_use]
pub fn approval_in(evidence: &[Evidence]) -> Option<(&Name, &RequestId)> {
    evidence.iter().find_map(|one| match one {
        Evidence::Operator { operator, request } => Some((operator, request)),
        _ => None,
    })
}

/// Whether an entry may change the requests.
pub(crate) fn concerns_requests(event: &Event) -> bool {
    match event {
        Event::RequestHeld(_)
        | Event::RequestApproved(_)
        | Event::RequestDenied(_)
        | Event::NodeGone(_) => true,
        Event::CertIssued(event) | Event::CertRenewed(event) => {
            approval_in(&event.evidence).is_some()
        }
        _ => false,
    }
}

fn is_over(one: &HeldRequest, now: UnixMs) -> bool {
    one.held.expires_at_ms <= now
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::{
        LeaseCause, NodeGone, RequestApproved, RequestDenied, RequestHeld,
    };

    use super::*;
    use crate::testing::{entry, host, id};

    pub(crate) fn held(container: u8, key: u8, expires_at: u64) -> RequestHeld {
        let (container, key) = (id(container), Digest::of(&[key]));
        RequestHeld {
            request: request_id(&container, UnixMs(1000), &key),
            container,
            name: "web".into(),
            image: "app:1".into(),
            image_digest: String::new(),
            host: host(),
            started_at_ms: UnixMs(1000),
            source: [10, 0, 0, 1].into(),
            addresses: vec![],
            spki_sha256: key,
            evidence: vec![],
            rule: "look".into(),
            policy_sha256: Digest::of(b"policy"),
            reason: "look at it".into(),
            expires_at_ms: UnixMs(expires_at),
        }
    }

    fn approved(held: &RequestHeld) -> Event {
        Event::RequestApproved(RequestApproved {
            request: held.request,
            container: held.container,
            spki_sha256: held.spki_sha256,
            operator: "ada".parse().unwrap(),
        })
    }

    fn fold(events: &[Event]) -> Requests {
        let mut requests = Requests::default();
        for (index, event) in events.iter().enumerate() {
            requests.apply(index as u64, &entry(index as u64, event.clone()));
        }
        requests
    }

    const NOW: UnixMs = UnixMs(2000);

    fn approval(requests: &Requests, held: &RequestHeld, now: UnixMs) -> Option<Evidence> {
        requests.approval(&held.container, held.started_at_ms, &held.spki_sha256, now)
    }

    #[test]
    fn an_approval_is_for_one_key_in_one_run() {
        let first = held(1, 1, 9000);
        let requests = fold(&[Event::RequestHeld(first.clone()), approved(&first)]);
        assert!(approval(&requests, &first, NOW).is_some());
        let other_key = held(1, 2, 9000);
        assert_eq!(approval(&requests, &other_key, NOW), None);
        let other_run = RequestHeld {
            started_at_ms: UnixMs(1001),
            ..first.clone()
        };
        assert_eq!(approval(&requests, &other_run, NOW), None);
        let other_container = held(2, 1, 9000);
        assert_eq!(approval(&requests, &other_container, NOW), None);
    }

    #[test]
    fn the_end_of_the_container_or_of_the_time_ends_a_request_and_its_approval() {
        let (first, second) = (held(1, 1, 9000), held(2, 1, 9000));
        let gone = Event::NodeGone(NodeGone {
            container: first.container,
            cause: LeaseCause::Died,
        });
        let log = [
            Event::RequestHeld(first.clone()),
            Event::RequestHeld(second.clone()),
            approved(&first),
            approved(&second),
            gone,
        ];
        let requests = fold(&log);
        assert_eq!(approval(&requests, &first, NOW), None);
        assert!(approval(&requests, &second, NOW).is_some());
        assert_eq!(approval(&requests, &second, UnixMs(9000)), None);
        assert!(requests.at(UnixMs(9000)).is_empty());
    }

    #[test]
    fn what_is_over_is_forgotten_when_the_next_is_held() {
        let (old, new) = (held(1, 1, 1001), held(1, 2, 9000));
        let requests = fold(&[Event::RequestHeld(old), Event::RequestHeld(new)]);
        assert_eq!(requests.all().len(), 1);
    }

    #[test]
    fn a_denial_may_be_taken_back_and_a_decision_on_nothing_is_nothing() {
        let first = held(1, 1, 9000);
        let denied = Event::RequestDenied(RequestDenied {
            request: first.request,
            container: first.container,
            operator: "ada".parse().unwrap(),
            reason: "no".into(),
        });
        let requests = fold(&[Event::RequestHeld(first.clone()), denied.clone()]);
        assert_eq!(approval(&requests, &first, NOW), None);
        let requests = fold(&[
            Event::RequestHeld(first.clone()),
            denied.clone(),
            approved(&first),
        ]);
        assert!(approval(&requests, &first, NOW).is_some());
        assert_eq!(fold(&[denied, approved(&first)]), Requests::default());
    }
}
