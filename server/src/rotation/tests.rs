use dockmaster_proto::id::Digest;

use super::*;
use crate::state::{AuthorityNames, Rotation};

fn names(of: u8) -> AuthorityNames {
    let digest = Digest::from_bytes([of; 32]);
    AuthorityNames {
        root: digest,
        containers: digest,
        infra: digest,
    }
}

fn in_phase(phase: Option<Phase>) -> AuthorityState {
    AuthorityState {
        current: names(1),
        retired: vec![],
        rotation: phase.map(|phase| Rotation {
            phase,
            next: names(2),
            cross: Digest::from_bytes([3; 32]),
            started_at_ms: UnixMs(0),
        }),
    }
}

fn waiting() -> Progress {
    Progress {
        nodes: 9,
        unacknowledged: vec!["web-1".into()],
        behind: vec!["web-2".into()],
        operators_behind: vec!["ada".into()],
        hosts_behind: vec!["h2".into()],
    }
}

#[test]
fn each_step_belongs_to_a_phase() {
    use Phase::{Announced, Switched, Withdrawing};
    use RotationStep::{Finish, RollBack, Start, Switch};

    let done = Progress::default();
    for (step, phase, change) in [
        (Start, None, Some(Change::Start)),
        (Start, Some(Announced), None),
        (Switch, None, None),
        (Switch, Some(Announced), Some(Change::Switch)),
        (Switch, Some(Switched), None),
        (Switch, Some(Withdrawing), None),
        (Finish, None, None),
        (Finish, Some(Announced), None),
        (Finish, Some(Switched), Some(Change::Finish)),
        (Finish, Some(Withdrawing), None),
        (RollBack, None, None),
        (RollBack, Some(Announced), Some(Change::RollBack)),
        (RollBack, Some(Switched), Some(Change::SwitchBack)),
        (RollBack, Some(Withdrawing), Some(Change::RollBack)),
    ] {
        for insistence in [Insistence::Careful, Insistence::Forced] {
            let decided = decide(step, insistence, &in_phase(phase), &done);
            assert_eq!(decided.ok(), change, "{step:?} in {phase:?}");
        }
    }
}

#[test]
fn nobody_is_left_behind_unless_someone_insists() {
    for (step, phase) in [
        (RotationStep::Switch, Phase::Announced),
        (RotationStep::Finish, Phase::Switched),
        (RotationStep::RollBack, Phase::Withdrawing),
    ] {
        let state = in_phase(Some(phase));
        let refused = decide(step, Insistence::Careful, &state, &waiting()).unwrap_err();
        assert!(refused.to_string().contains("web-"), "{refused}");
        assert!(decide(step, Insistence::Forced, &state, &waiting()).is_ok());
    }
    // Going back is never held up: nobody loses by it.
    let state = in_phase(Some(Phase::Switched));
    let back = decide(
        RotationStep::RollBack,
        Insistence::Careful,
        &state,
        &waiting(),
    );
    assert_eq!(back, Ok(Change::SwitchBack));
}

#[test]
fn the_master_itself_switches_and_ends_a_withdrawal_but_drops_no_old_root() {
    let done = Progress::default();
    let of = |phase| by_itself(&in_phase(phase), &done);
    assert_eq!(of(None), None);
    assert_eq!(of(Some(Phase::Announced)), Some(Change::Switch));
    assert_eq!(of(Some(Phase::Switched)), None);
    assert_eq!(of(Some(Phase::Withdrawing)), Some(Change::RollBack));
    assert_eq!(
        by_itself(&in_phase(Some(Phase::Announced)), &waiting()),
        None
    );
}

#[test]
fn an_intermediate_is_followed_when_a_third_of_its_life_is_left() {
    let end = UnixMs(INTERMEDIATE_LIFETIME_MS);
    let third = INTERMEDIATE_LIFETIME_MS / 3;
    assert!(!is_due(end, UnixMs(end.0 - third - 1)));
    assert!(is_due(end, UnixMs(end.0 - third)));
}
