//! From the engine's events to hints: where a look is worth while.

use bollard::models::EventMessage;
use dockmaster_proto::{id::ContainerId, time::UnixMs};

/// What an event is good for. Only an inspection tells the truth, except about an end: what has
/// ended stays ended, whatever an inspection shows of a later run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A container started.
    Started(ContainerId),
    /// A container's process ended at this time.
    Died(ContainerId, UnixMs),
    /// Something about a container may have changed.
    Touched(ContainerId),
}

/// The kinds of events that [`hint`] understands; the engine need not send others.
pub(crate) const TYPES: [&str; 2] = ["container", "network"];

/// The events that [`hint`] understands. `kill` is not among them, since a process may live on;
/// neither is `pause`, since a paused container keeps its addresses. Podman says `die` as well, and yet
/// sends it only to whoever asks for `died`.
pub(crate) const ACTIONS: [&str; 10] = [
    "start",
    "die",
    "died",
    "stop",
    "destroy",
    "rename",
    "update",
    "connect",
    "disconnect",
    "remove",
];

/// Reads one event; `None` when it says nothing about a container that could matter.
pub(crate) fn hint(event: &EventMessage) -> Option<Hint> {
    use bollard::models::EventMessageTypeEnum as Type;

    let actor = event.actor.as_ref()?;
    let action = event.action.as_deref()?;
    match (event.typ?, action) {
        (Type::CONTAINER, action) => {
            let id = actor.id.as_ref()?.parse().ok()?;
            match (action, at(event)) {
                ("start", _) => Some(Hint::Started(id)),
                ("die" | "died", Some(at)) => Some(Hint::Died(id, at)),
                ("die" | "died" | "stop" | "destroy" | "remove" | "rename" | "update", _) => {
                    Some(Hint::Touched(id))
                }
                _ => None,
            }
        }
        // With Docker the actor is the network, and the container is an attribute; with Podman the
        // container is the actor.
        (Type::NETWORK, "connect" | "disconnect") => {
            let attributes = actor.attributes.as_ref();
            let attribute = attributes.and_then(|attributes| attributes.get("container"));
            let container = attribute.or(actor.id.as_ref())?;
            Some(Hint::Touched(container.parse().ok()?))
        }
        _ => None,
    }
}

/// The event's time, where it has one finer than a second: a coarser one cannot tell two runs of a
/// container apart.
fn at(event: &EventMessage) -> Option<UnixMs> {
    let nanos = u64::try_from(event.time_nano?).ok()?;
    (nanos > 0).then_some(UnixMs(nanos / 1_000_000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: &str = include_str!("fixtures/events.jsonl");
    const ONE: &str = "a1f60e130517323965ac128fe193be48f44236a1954740e31beb3b1352e2dd11";

    fn events() -> impl Iterator<Item = EventMessage> {
        EVENTS
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
    }

    #[test]
    fn the_life_of_a_container_in_hints() {
        let id: ContainerId = ONE.parse().unwrap();
        let of_one: Vec<_> = events()
            .filter_map(|event| hint(&event))
            .filter(|hint| match hint {
                Hint::Started(it) | Hint::Died(it, _) | Hint::Touched(it) => *it == id,
            })
            .collect();
        assert_eq!(
            of_one,
            [
                Hint::Touched(id), // connect to the bridge, before its start
                Hint::Started(id),
                Hint::Touched(id), // connect
                Hint::Touched(id), // disconnect, which the engine tells twice
                Hint::Touched(id),
                Hint::Touched(id), // rename
                Hint::Touched(id), // update
                Hint::Died(id, UnixMs(1_795_540_394_174)),
                Hint::Touched(id), // disconnect
                Hint::Touched(id), // destroy
            ]
        );
    }

    #[test]
    fn a_signal_a_pause_and_an_exec_are_no_reason_to_look() {
        for event in events() {
            let action = event.action.clone().unwrap();
            if ["kill", "pause", "unpause", "create"].contains(&action.as_str())
                || action.starts_with("exec_")
            {
                assert_eq!(hint(&event), None, "{action}");
            }
        }
    }

    #[test]
    fn podman_tells_of_a_network_by_the_container() {
        let id: ContainerId = ONE.parse().unwrap();
        for action in ["connect", "disconnect"] {
            // As Podman 4.3.1 sends it.
            let event = serde_json::from_value(serde_json::json!({
                "status": action, "id": ONE, "Type": "network", "Action": action,
                "Actor": {"ID": ONE, "Attributes": {
                    "containerExitCode": "0", "image": "", "name": "t2", "podId": ""
                }},
                "scope": "local", "time": 1_796_049_367, "timeNano": 1_796_049_367_000_000_000_u64,
            }));
            assert_eq!(hint(&event.unwrap()), Some(Hint::Touched(id)));
        }
    }

    #[test]
    fn every_hint_comes_from_an_event_that_is_asked_for() {
        for event in events().filter(|event| hint(event).is_some()) {
            assert!(ACTIONS.contains(&event.action.unwrap().as_str()));
        }
    }

    proptest! {
        #[test]
        fn garbage_gives_no_hint_and_no_panic(
            kind in "container|network", action in "\\PC{0,20}|die|start|connect",
            id in "\\PC{0,80}", container in "\\PC{0,80}|[0-9a-f]{64}", nanos in any::<i64>()
        ) {
            let event = serde_json::from_value(serde_json::json!({
                "Type": kind, "Action": action, "timeNano": nanos,
                "Actor": {"ID": id, "Attributes": {"container": container}},
            })).unwrap();
            if let Some(Hint::Started(_) | Hint::Died(..)) = hint(&event) {
                prop_assert_eq!(id.len(), 64);
            }
        }
    }
}
