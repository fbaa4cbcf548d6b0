use dockmaster_proto::{
    api::certs::{Afterwards, RevocationRequest, RevocationTarget},
    event::{
        CertConfirmed, CertIssued, CertRevoked, NodeBanned, NodeGone, NodeUnbanned, TokenUsed,
    },
    id::Serial,
    revocation::RevocationReason,
};
use proptest::prelude::*;

use super::{
    super::{
        super::Policy,
        tests::{
            FIRST, NOW, Request, admit, applicant, ask, given, key, machine, policy, state, token,
            unwritten,
        },
    },
    *,
};
use crate::{
    config::Config,
    leases, revocation,
    testing::{apply, facts, host, id as container_id, observe},
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// When the certificates of these tests expire: [`certify`].
const END: UnixMs = UnixMs(NOW.0 + 6 * HOUR);

fn me(state: &State) -> &MachineRecord {
    state.machines().get(&machine(1).node()).unwrap()
}

fn asks(
    key_number: u8,
    ip: &str,
    now: UnixMs,
    state: &State,
) -> Option<Result<Admission, Refusal>> {
    asks_under(&unwritten(), key_number, ip, now, state)
}

fn asks_under(
    policy: &Policy,
    key_number: u8,
    ip: &str,
    now: UnixMs,
    state: &State,
) -> Option<Result<Admission, Refusal>> {
    come_back(&applicant(ip), &key(key_number), &given(state, policy, now))
}

/// Why the machine does not come back by the first key.
#[track_caller]
fn barred(now: UnixMs, state: &State) -> Refusal {
    asks(1, FIRST.ip, now, state).unwrap().unwrap_err()
}

/// Another certificate of the machine, for this key, six hours long.
fn renew(key_number: u8, state: &mut State) -> Serial {
    let node = state.node(&machine(1).node()).unwrap().clone();
    let serial = Serial::from_bytes(u128::from(state.size()).to_be_bytes());
    apply(
        state,
        Event::CertRenewed(CertIssued {
            subject: format!("spiffe://td/host/token/container/{}", node.id())
                .parse()
                .unwrap(),
            container: Some(*node.id()),
            host: Some(token_host()),
            addresses: node.addresses.clone(),
            ips: vec![],
            serial,
            issuer_key_id: String::new(),
            not_before_ms: UnixMs(0),
            not_after_ms: END,
            spki_sha256: key(key_number),
            der_sha256: Digest::of(b""),
            evidence: vec![Evidence::Token {
                token: token(1).id,
                returned_with: None,
            }],
            rule: String::new(),
            policy_sha256: None,
            prev: None,
        }),
    );
    serial
}

fn confirmed(serial: Serial, state: &mut State) {
    let container = machine(1).node();
    apply(
        state,
        Event::CertConfirmed(CertConfirmed { serial, container }),
    );
}

/// The machine came by its token, with its first key, and was seen with the certificate.
fn joined() -> State {
    let mut state = state(&[(1, 1), (2, 1)]);
    let admission = ask(FIRST, &state, NOW).unwrap();
    admit(admission, 1, &mut state);
    apply(
        &mut state,
        Event::TokenUsed(TokenUsed {
            token: token(1).id,
            container: machine(1).node(),
            spki_sha256: key(1),
        }),
    );
    // One that ends when the tests say.
    let serial = renew(1, &mut state);
    confirmed(serial, &mut state);
    state
}

fn end(cause: LeaseCause, state: &mut State) {
    let node = state.node(&machine(1).node()).unwrap();
    for event in leases::end(node, state, cause) {
        apply(state, event);
    }
}

/// The same, and its certificates have expired.
fn away() -> State {
    let mut state = joined();
    end(LeaseCause::Expired, &mut state);
    assert!(state.node(&machine(1).node()).is_none());
    state
}

#[test]
fn a_machine_whose_certificate_expired_comes_back_by_its_key_as_what_it_was() {
    let mut state = away();
    let admission = asks(1, FIRST.ip, END.plus_ms(DAY), &state)
        .unwrap()
        .unwrap();
    let names: Vec<&str> = admission.before.iter().map(Event::name).collect();
    assert_eq!(names, ["node_observed", "lease_opened"]);
    assert!(
        matches!(&admission.before[1], Event::LeaseOpened(opened) if opened.cause == LeaseCause::Returned)
    );
    assert_eq!(admission.grant.addresses[0].epoch, 2);
    let serial = me(&state).newest.serial;
    let evidence = Evidence::Token {
        token: token(1).id,
        returned_with: Some(serial),
    };
    assert_eq!(admission.grant.evidence, [evidence]);
    assert_eq!(admission.grant.container, machine(1).node());
    let serial = admit(admission, 1, &mut state);
    let node = state.node(&machine(1).node()).unwrap();
    assert!(node.honours(&serial));
    assert_eq!(node.view().labels.get("role").unwrap().value, "r1");
    assert_eq!(
        node.view().addresses[0].to_string(),
        "token/direct/10.0.0.1"
    );
    assert!(node.joined.as_ref().unwrap().confirmed);
    let burnt = &state.tokens().get(&token(1).id).unwrap().burnt;
    assert_eq!(burnt.len(), 1, "a return uses up nothing");
}

#[test]
fn an_answer_that_was_lost_is_given_again_to_the_same_key() {
    let mut state = away();
    let lost = asks(1, FIRST.ip, END, &state).unwrap().unwrap();
    admit(lost, 1, &mut state);
    let again = asks(1, FIRST.ip, END, &state).unwrap().unwrap();
    assert_eq!(again.before, [], "its lease is open already");
    admit(again, 1, &mut state);
}

#[test]
fn the_key_that_it_was_seen_with_and_the_newest_one_bring_it_back_and_no_other() {
    let mut state = joined();
    let second = renew(2, &mut state);
    // The answer may be lost: it has the first key, or the second.
    for expected in [1, 2] {
        assert!(matches!(asks(expected, FIRST.ip, END, &state), Some(Ok(_))));
    }
    // That one was lost, and so was the next.
    let third = renew(3, &mut state);
    assert!(asks(2, FIRST.ip, END, &state).is_none());
    assert!(matches!(asks(1, FIRST.ip, END, &state), Some(Ok(_))));
    confirmed(second, &mut state);
    assert!(matches!(asks(1, FIRST.ip, END, &state), Some(Ok(_))));
    confirmed(third, &mut state);
    end(LeaseCause::Expired, &mut state);
    for stale in [1, 2] {
        assert!(asks(stale, FIRST.ip, END, &state).is_none(), "{stale}");
    }
    assert!(matches!(asks(3, FIRST.ip, END, &state), Some(Ok(_))));
    let explained = explained(
        Refusal::no_inventory(&crate::origin::Origin::direct(FIRST.ip.parse().unwrap())),
        FIRST.ip.parse().unwrap(),
        &state,
        END,
    );
    assert!(
        explained.detail.contains("not that of its newest"),
        "{explained:?}"
    );
    assert_eq!(explained.container, Some(machine(1).node()));
}

#[test]
fn who_comes_back_by_a_key_has_that_one_and_its_next_and_no_other() {
    let mut state = joined();
    renew(2, &mut state);
    end(LeaseCause::Expired, &mut state);
    let by_first = asks(1, FIRST.ip, END, &state).unwrap().unwrap();
    admit(by_first, 1, &mut state);
    assert!(asks(2, FIRST.ip, END, &state).is_none());
    let next = renew(4, &mut state);
    confirmed(next, &mut state);
    assert!(asks(1, FIRST.ip, END, &state).is_none());
}

#[test]
fn a_key_whose_certificate_did_not_count_at_a_renewal_cannot_have_been_shown_for_it() {
    // A log in which no machine is ever seen with what it renewed.
    let mut state = joined();
    for number in 2..5 {
        renew(number, &mut state);
    }
    assert!(asks(1, FIRST.ip, END, &state).is_none());
    assert!(matches!(asks(4, FIRST.ip, END, &state), Some(Ok(_))));
}

fn revoke_all(state: &mut State) {
    let request = RevocationRequest {
        target: RevocationTarget::Node(machine(1).node().to_string()),
        reason: RevocationReason::KeyCompromise,
        message: String::new(),
        afterwards: Afterwards::MayEnroll,
    };
    let (events, _) = revocation::decide(&request, None, state).unwrap();
    for event in events {
        apply(state, event);
    }
}

#[test]
fn what_was_decided_before_a_revocation_does_not_undo_it() {
    let mut renews = joined();
    revoke_all(&mut renews);
    renew(2, &mut renews);
    assert_eq!(me(&renews).standing, Standing::Revoked);

    let mut returns = away();
    let decided = asks(1, FIRST.ip, END, &returns).unwrap().unwrap();
    revoke_all(&mut returns);
    admit(decided, 1, &mut returns);
    assert_eq!(me(&returns).standing, Standing::Revoked);
    // A new token is a new word of the operator's.
    end(LeaseCause::Expired, &mut returns);
    let anew = Request {
        token: 2,
        key: 5,
        ..FIRST
    };
    let admission = ask(anew, &returns, NOW).unwrap();
    admit(admission, 5, &mut returns);
    assert_eq!(me(&returns).standing, Standing::Present);
}

#[test]
fn whoever_was_put_out_revoked_or_banned_does_not_come_back() {
    let fact = |state: &State| barred(END, state).detail;
    let mut evicted = joined();
    end(LeaseCause::Evicted, &mut evicted);
    assert!(fact(&evicted).contains("put it out"));
    let mut later = away();
    let gone = NodeGone {
        container: machine(1).node(),
        cause: LeaseCause::Evicted,
    };
    apply(&mut later, Event::NodeGone(gone));
    assert!(fact(&later).contains("put it out"));

    let revoke = |mut state: State| {
        let revoked = CertRevoked {
            serial: me(&state).newest.serial,
            container: Some(machine(1).node()),
            reason: "stolen".into(),
            code: Some(RevocationReason::CessationOfOperation),
        };
        apply(&mut state, Event::CertRevoked(revoked));
        if state.node(&machine(1).node()).is_some() {
            end(LeaseCause::Expired, &mut state);
        }
        state
    };
    for state in [revoke(joined()), revoke(away())] {
        assert!(fact(&state).contains("revoked"), "{}", fact(&state));
    }

    let mut banned = away();
    let container = machine(1).node();
    let ban = NodeBanned {
        container,
        reason: "stolen".into(),
    };
    apply(&mut banned, Event::NodeBanned(ban));
    assert_eq!(barred(END, &banned).code, ProblemCode::Banned);
    apply(&mut banned, Event::NodeUnbanned(NodeUnbanned { container }));
    assert!(matches!(asks(1, FIRST.ip, END, &banned), Some(Ok(_))));
}

#[test]
fn an_operator_reaches_a_machine_that_is_away_by_its_name_its_id_and_its_certificate() {
    let node = away();
    let newest = me(&node).newest.serial;
    let id = machine(1).node();
    for target in [
        RevocationTarget::Node(format!("machine-{}", id.short())),
        RevocationTarget::Node(id.to_string()),
        RevocationTarget::Serial(newest),
    ] {
        let mut state = away();
        let request = RevocationRequest {
            target,
            reason: RevocationReason::KeyCompromise,
            message: String::new(),
            afterwards: Afterwards::MayEnroll,
        };
        let (events, revoked) = revocation::decide(&request, None, &state).unwrap();
        assert_eq!(revoked.container, Some(id));
        for event in events {
            apply(&mut state, event);
        }
        assert!(barred(END, &state).detail.contains("revoked"));
        assert!(revocation::decide(&request, None, &state).is_err());
    }
}

#[test]
fn whoever_was_away_too_long_does_not_come_back() {
    let state = away();
    // The first certificate of these tests lasts longer than the second.
    let until = me(&state).returns_until();
    assert_eq!(until, me(&state).certified_until().plus_ms(30 * DAY));
    assert!(matches!(
        asks(1, FIRST.ip, UnixMs(until.0 - 1), &state),
        Some(Ok(_))
    ));
    let refusal = barred(until, &state);
    assert!(
        refusal.detail.contains("more than 30 days ago"),
        "{refusal:?}"
    );
    assert!(refusal.hint.contains("token create"));
    assert!(asks(1, FIRST.ip, until.plus_ms(30 * DAY), &state).is_none());
}

#[test]
fn nobody_comes_back_after_a_restore_until_it_renewed() {
    let restored = || {
        Event::Restored(dockmaster_proto::event::Restored {
            log_size: 1,
            root: Digest::of(b""),
            backup_at_ms: NOW,
            previous_log: String::new(),
        })
    };
    let mut gone = away();
    apply(&mut gone, restored());
    assert!(barred(END, &gone).detail.contains("restored"));
    let mut live = joined();
    apply(&mut live, restored());
    assert!(barred(END, &live).detail.contains("restored"));
    renew(2, &mut live);
    assert!(matches!(asks(2, FIRST.ip, END, &live), Some(Ok(_))));
    assert!(asks(1, FIRST.ip, END, &live).is_none());
}

#[test]
fn an_address_that_was_anothers_is_its_no_more() {
    let heir = Request {
        token: 2,
        machine: 2,
        key: 9,
        ..FIRST
    };
    // While it ran, and while it was away.
    for mut state in [joined(), away()] {
        let admission = ask(heir, &state, NOW).unwrap();
        admit(admission, 9, &mut state);
        let refusal = barred(END, &state);
        assert!(refusal.detail.contains("another's"), "{refusal:?}");
        // Nor when that one is gone.
        let other = state.node(&machine(2).node()).unwrap();
        for event in leases::end(other, &state, LeaseCause::Expired) {
            apply(&mut state, event);
        }
        assert!(barred(END, &state).detail.contains("another's"));
    }
}

#[test]
fn a_machine_comes_back_to_its_own_address_only() {
    let state = away();
    let refusal = asks(1, "10.0.0.7", END, &state).unwrap().unwrap_err();
    assert!(refusal.detail.contains("its own address"), "{refusal:?}");
}

#[test]
fn what_a_host_vouches_for_is_that_whichever_key_it_shows() {
    let mut state = away();
    state.watch_here(host());
    let up = dockmaster_host::Observation::Up(facts(7, &[FIRST.ip]));
    observe(&mut state, &up);
    assert!(asks(1, FIRST.ip, END, &state).is_none());
    assert!(state.node(&container_id(7)).is_some());
    let relayed = Applicant {
        relay: Some("h2".parse().unwrap()),
        ..applicant(FIRST.ip)
    };
    let away = away();
    assert!(come_back(&relayed, &key(1), &given(&away, &unwritten(), END)).is_none());
}

#[test]
fn a_machine_that_enrolled_anew_comes_back_by_its_new_key_only() {
    let mut state = away();
    let anew = Request {
        token: 2,
        key: 5,
        ..FIRST
    };
    let admission = ask(anew, &state, NOW).unwrap();
    admit(admission, 5, &mut state);
    assert!(asks(1, FIRST.ip, END, &state).is_none());
    assert!(matches!(asks(5, FIRST.ip, END, &state), Some(Ok(_))));
}

#[test]
fn the_policy_is_asked_about_returns_too() {
    let rules = "name: m\ntrust_domain: td\nlisten: 127.0.0.1:1\nhost: h1\npolicy:\n  \
        - { name: containers, evidence: [host], verdict: issue }\n";
    let policy = policy(Config::parse("dockmaster.yaml", rules).unwrap().policy);
    let refusal = asks_under(&policy, 1, FIRST.ip, END, &away());
    let refusal = refusal.unwrap().unwrap_err();
    assert_eq!(refusal.code, ProblemCode::DeniedByPolicy);
}

proptest! {
    /// Whatever happens in whichever order: never more than two keys bring a machine back, and none does
    /// that was not certified for it.
    #[test]
    fn no_more_than_two_keys_bring_a_machine_back(
        steps in prop::collection::vec((0u8..5, 1u8..9), 0..40),
    ) {
        let mut state = joined();
        let mut serials = vec![(1, me(&state).newest.serial)];
        for (step, number) in steps {
            let is_live = state.node(&machine(1).node()).is_some();
            match step {
                0 | 1 if is_live => {
                    let serial = renew(number, &mut state);
                    serials.push((number, serial));
                }
                2 => {
                    let (_, serial) = serials[usize::from(number) % serials.len()];
                    confirmed(serial, &mut state);
                }
                3 if is_live => end(LeaseCause::Expired, &mut state),
                4 => if let Some(Ok(admission)) = asks(number, FIRST.ip, END, &state) {
                    prop_assert!(serials.iter().any(|(known, _)| *known == number));
                    let serial = admit(admission, number, &mut state);
                    serials.push((number, serial));
                },
                _ => {}
            }
            let counting: Vec<u8> = (0..20)
                .filter(|number| matches!(asks(*number, FIRST.ip, END, &state), Some(Ok(_))))
                .collect();
            prop_assert!((1..=2).contains(&counting.len()), "{:?}", counting);
            let newest = me(&state).newest.key;
            prop_assert!(counting.iter().any(|number| key(*number) == newest));
        }
    }
}
