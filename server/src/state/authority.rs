//! Which authorities count, as the log says it.

use dockmaster_proto::{
    api::authority::Phase,
    event::{CaRenewed, CaRotationStarted, Event},
    id::Digest,
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

/// Retired container authorities that are remembered: each lasts at most 90 days, and is followed by
/// the next after 60.
const MAX_RETIRED: usize = 8;

/// One root with its two intermediates, by the SHA-256 of their certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityNames {
    /// The root.
    pub root: Digest,
    /// Signs certificates of containers.
    pub containers: Digest,
    /// Signs certificates of masters and operators.
    pub infra: Digest,
}

/// A rotation that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// How far it is.
    pub phase: Phase,
    /// What is being brought in.
    pub next: AuthorityNames,
    /// The old authority for masters and operators, signed by the new root.
    pub cross: Digest,
    /// Since when.
    pub started_at_ms: UnixMs,
}

/// The authorities that count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityState {
    /// Those of before a rotation, and those in use where there is none.
    pub current: AuthorityNames,
    /// Container authorities that sign no certificates any more, newest last.
    pub retired: Vec<Digest>,
    /// The rotation.
    pub rotation: Option<Rotation>,
}

impl AuthorityState {
    /// What signs certificates of containers.
    #[must_use]
    pub fn containers(&self) -> Digest {
        self.signing().containers
    }

    /// What signs certificates of containers and operators. Masters stay with [`Self::current`] until
    /// the end of a rotation: everybody trusts that root, and those who know only the new one find a
    /// path by the cross-signed certificate.
    #[must_use]
    pub fn signing(&self) -> AuthorityNames {
        match &self.rotation {
            Some(rotation) if rotation.phase == Phase::Switched => rotation.next,
            _ => self.current,
        }
    }

    /// The roots that are trusted, in the order of the bundle.
    #[must_use]
    pub fn roots(&self) -> Vec<Digest> {
        let next = self.rotation.map(|rotation| rotation.next.root);
        std::iter::once(self.current.root).chain(next).collect()
    }

    fn retire(&mut self, containers: Digest) {
        self.retired.retain(|other| *other != containers);
        self.retired.push(containers);
        if self.retired.len() > MAX_RETIRED {
            self.retired.remove(0);
        }
    }
}

/// Takes up what an event says of the authorities. Events of a rotation that does not go on change
/// nothing.
pub(crate) fn apply(authorities: &mut Option<AuthorityState>, event: &Event, at: UnixMs) {
    if let Event::CaCreated(event) = event {
        let named = |role: &str| event.certificates.get(role).copied();
        if let (Some(root), Some(containers), Some(infra)) =
            (named("root"), named("intermediate"), named("infra"))
        {
            *authorities = Some(AuthorityState {
                current: AuthorityNames {
                    root,
                    containers,
                    infra,
                },
                retired: Vec::new(),
                rotation: None,
            });
        }
        return;
    }
    let Some(state) = authorities else { return };
    match event {
        Event::CaRenewed(CaRenewed { containers, infra }) => {
            state.retire(state.current.containers);
            state.current.containers = *containers;
            state.current.infra = *infra;
        }
        Event::CaRotationStarted(event) => state.rotation = Some(started(event, at)),
        Event::CaSwitched(_) => set_phase(state, Phase::Switched),
        Event::CaSwitchedBack(_) => set_phase(state, Phase::Withdrawing),
        Event::CaRotationFinished(_) => {
            if let Some(rotation) = state.rotation.take() {
                state.retire(state.current.containers);
                state.current = rotation.next;
            }
        }
        Event::CaRolledBack(_) => {
            if let Some(rotation) = state.rotation.take() {
                state.retire(rotation.next.containers);
            }
        }
        _ => {}
    }
}

fn started(event: &CaRotationStarted, at: UnixMs) -> Rotation {
    Rotation {
        phase: Phase::Announced,
        next: AuthorityNames {
            root: event.root,
            containers: event.containers,
            infra: event.infra,
        },
        cross: event.cross,
        started_at_ms: at,
    }
}

const fn set_phase(state: &mut AuthorityState, phase: Phase) {
    if let Some(rotation) = &mut state.rotation {
        rotation.phase = phase;
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::{
        CaCreated, CaRolledBack, CaRotationFinished, CaSwitched, CaSwitchedBack,
    };

    use super::*;

    fn digest(of: u8) -> Digest {
        Digest::from_bytes([of; 32])
    }

    fn names(first: u8) -> AuthorityNames {
        AuthorityNames {
            root: digest(first),
            containers: digest(first + 1),
            infra: digest(first + 2),
        }
    }

    fn created() -> Event {
        Event::CaCreated(CaCreated {
            trust_domain: "td".parse().unwrap(),
            bundle_sha256: digest(0),
            certificates: [("root", 1), ("intermediate", 2), ("infra", 3)]
                .map(|(role, of)| (role.to_owned(), digest(of)))
                .into(),
        })
    }

    fn start() -> Event {
        Event::CaRotationStarted(CaRotationStarted {
            root: digest(11),
            containers: digest(12),
            infra: digest(13),
            cross: digest(14),
            bundle_sha256: digest(0),
            next_bundle_sha256: digest(0),
        })
    }

    fn switch() -> Event {
        Event::CaSwitched(CaSwitched {
            acknowledged: 0,
            nodes: 0,
        })
    }

    fn fold(events: &[Event]) -> AuthorityState {
        let mut state = None;
        for event in events {
            apply(&mut state, event, UnixMs(5));
        }
        state.unwrap()
    }

    #[test]
    fn a_rotation_trusts_first_signs_then_and_drops_last() {
        let announced = fold(&[created(), start()]);
        assert_eq!(announced.roots(), [digest(1), digest(11)]);
        assert_eq!(announced.signing(), names(1));
        let switched = fold(&[created(), start(), switch()]);
        assert_eq!(switched.roots(), [digest(1), digest(11)]);
        assert_eq!(switched.signing(), names(11));
        assert_eq!(switched.current, names(1), "masters stay");
        let finished = Event::CaRotationFinished(CaRotationFinished {
            bundle_sha256: digest(0),
            left_behind: 0,
        });
        let finished = fold(&[created(), start(), switch(), finished]);
        assert_eq!(finished.roots(), [digest(11)]);
        assert_eq!((finished.current, finished.rotation), (names(11), None));
        assert_eq!(finished.retired, [digest(2)]);
    }

    #[test]
    fn a_rotation_that_is_taken_back_leaves_all_as_it_was() {
        let back = Event::CaSwitchedBack(CaSwitchedBack {});
        let withdrawing = fold(&[created(), start(), switch(), back.clone()]);
        assert_eq!(withdrawing.signing(), names(1));
        assert_eq!(withdrawing.roots().len(), 2);
        let rolled = Event::CaRolledBack(CaRolledBack {
            bundle_sha256: digest(0),
            left_behind: 0,
        });
        let over = fold(&[created(), start(), switch(), back, rolled]);
        assert_eq!(over.roots(), [digest(1)]);
        assert_eq!((over.current, over.rotation), (names(1), None));
    }

    #[test]
    fn renewed_intermediates_are_retired_one_after_another_and_not_without_end() {
        let mut events = vec![created()];
        for of in 20..40 {
            events.push(Event::CaRenewed(CaRenewed {
                containers: digest(of),
                infra: digest(of),
            }));
        }
        let state = fold(&events);
        assert_eq!(state.current.containers, digest(39));
        assert_eq!(state.retired.len(), MAX_RETIRED);
        assert_eq!(state.retired.last(), Some(&digest(38)));
    }
}
