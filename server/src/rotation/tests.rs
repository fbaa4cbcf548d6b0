use dockmaster_proto::{
    event::{CertIssued, Event, HostEnrolled, Reach},
    id::{Digest, Serial},
};

use super::*;
use crate::{
    state::{AuthorityNames, Rotation},
    testing::apply,
};

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

#[test]
fn a_host_is_waited_for_until_its_newest_certificate_is_of_the_new_authority() {
    let mut state = State::default();
    apply(
        &mut state,
        Event::HostEnrolled(HostEnrolled {
            host: "h2".parse().unwrap(),
            cidrs: vec![],
            reach: Reach::Relay,
            serial: Serial::from_bytes([1; 16]),
            spki_sha256: Digest::of(b""),
            not_after_ms: UnixMs(2000),
        }),
    );
    let certify = |state: &mut State, serial: u8, issuer: &str| {
        let issued = CertIssued {
            subject: "spiffe://td/host/h2".parse().unwrap(),
            container: None,
            host: None,
            addresses: vec![],
            ips: vec![],
            serial: Serial::from_bytes([serial; 16]),
            issuer_key_id: issuer.into(),
            not_before_ms: UnixMs(0),
            not_after_ms: UnixMs(2000),
            spki_sha256: Digest::of(b""),
            der_sha256: Digest::of(b""),
            evidence: vec![],
            rule: String::new(),
            prev: None,
            policy_sha256: None,
        };
        apply(state, Event::CertRenewed(issued));
    };
    let at = |state: &State, now| Progress::of(state, ("c", "new"), |_| true, UnixMs(now));
    certify(&mut state, 1, "old");
    assert_eq!(at(&state, 1000).hosts_behind, ["h2"]);
    assert_eq!(at(&state, 1000).left_behind(), 1);
    let switched = in_phase(Some(Phase::Switched));
    let finish = |progress: &Progress| {
        decide(
            RotationStep::Finish,
            Insistence::Careful,
            &switched,
            progress,
        )
    };
    let refused = finish(&at(&state, 1000)).unwrap_err().to_string();
    assert!(
        refused.ends_with("1 hosts would be left behind: h2"),
        "{refused}"
    );
    assert_eq!(finish(&at(&state, 2000)), Ok(Change::Finish), "it is over");
    certify(&mut state, 2, "new");
    assert_eq!(finish(&at(&state, 1000)), Ok(Change::Finish));
}
