mod joins;

use dockmaster_host::Observation;
use dockmaster_proto::{
    event::{
        CertIssued, Event, Evidence, HostWatched, LabelsChanged, LeaseCause, MasterStarted,
        NodeGone, RequestApproved, RequestDenied, RequestHeld,
    },
    id::{Digest, Name, Serial},
    label::LabelChange,
    time::UnixMs,
};
use proptest::prelude::*;

use super::*;
use crate::{
    state::{State, requests::request_id},
    testing::{decide, entry, facts, host, id},
};

const IPS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

#[derive(Debug, Clone)]
enum Step {
    Up(u8, Vec<&'static str>),
    Down(u8),
    /// Another host reports a container as running, or as ended.
    Elsewhere(u8, bool),
    /// Another host's report was decided upon before this host's was in the view.
    Race(u8, usize),
    Certify(u8),
    Label(u8, &'static str),
    /// A token is made, for two.
    Token(u8),
    /// A machine at one of the addresses asks with a token, and may come back.
    Join(u8, usize, ComesBack),
    /// A machine renews, and may come back; its certificate expires; it comes back by its key.
    Renew(u8, ComesBack),
    Leave(u8),
    Return(u8),
    Revoke(u8),
    Restore,
    Hold(u8, u8),
    Approve(u8, u8),
    Deny(u8, u8),
}

type ComesBack = bool;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ips = prop::collection::vec(prop::sample::select(IPS.to_vec()), 0..3);
    let one = prop_oneof![
        (1u8..5, ips).prop_map(|(container, ips)| Step::Up(container, ips)),
        (1u8..5).prop_map(Step::Down),
        (1u8..5, any::<bool>()).prop_map(|(container, up)| Step::Elsewhere(container, up)),
        (1u8..5, 0usize..3).prop_map(|(container, ip)| Step::Race(container, ip)),
        (1u8..5).prop_map(Step::Certify),
        (
            1u8..5,
            prop::sample::select(vec!["tier=front", "tier-", "a=b"])
        )
            .prop_map(|(container, change)| Step::Label(container, change)),
        (1u8..4).prop_map(Step::Token),
        (1u8..4, 0usize..3, any::<bool>())
            .prop_map(|(token, ip, back)| Step::Join(token, ip, back)),
        (1u8..4, any::<bool>()).prop_map(|(token, back)| Step::Renew(token, back)),
        (1u8..4).prop_map(Step::Leave),
        (1u8..4).prop_map(Step::Return),
        (1u8..4).prop_map(Step::Revoke),
        Just(Step::Restore),
        (1u8..5, 0u8..3).prop_map(|(container, key)| Step::Hold(container, key)),
        (1u8..5, 0u8..3).prop_map(|(container, key)| Step::Approve(container, key)),
        (1u8..5, 0u8..3).prop_map(|(container, key)| Step::Deny(container, key)),
    ];
    prop::collection::vec(one, 0..25)
}

fn events(step: &Step, state: &State) -> Vec<Event> {
    match step {
        Step::Up(container, ips) => {
            decide(&Observation::Up(facts(*container, ips)), &host(), state)
        }
        Step::Down(container) => decide(
            &Observation::Down {
                id: id(*container),
                cause: LeaseCause::Died,
            },
            &host(),
            state,
        ),
        Step::Elsewhere(container, true) => {
            decide(&Observation::Up(facts(*container, &[])), &other(), state)
        }
        Step::Elsewhere(container, false) => decide(
            &Observation::Down {
                id: id(*container),
                cause: LeaseCause::Died,
            },
            &other(),
            state,
        ),
        Step::Race(container, ip) => {
            let mut facts = facts(*container, &[IPS[*ip]]);
            facts.attachments[0].network = "h2/bridge".parse().unwrap();
            let address = format!("h2/bridge/{}", IPS[*ip]).parse().unwrap();
            if state.lease(&address).is_some() {
                return vec![];
            }
            decide(&Observation::Up(facts), &other(), &State::default())
        }
        Step::Label(container, change) => {
            let change = LabelChange::parse([*change]).unwrap();
            vec![Event::LabelsChanged(LabelsChanged {
                container: id(*container),
                change,
            })]
        }
        Step::Token(token) => vec![joins::created(*token)],
        Step::Join(token, ip, back) => joins::joined(*token, IPS[*ip], *back, state),
        Step::Renew(token, back) => joins::renewed(*token, *back, state),
        Step::Leave(token) => joins::left(*token, state),
        Step::Return(token) => joins::returned(*token, state),
        Step::Revoke(token) => vec![joins::revoked(*token)],
        Step::Restore => vec![joins::restored()],
        Step::Hold(container, key) => vec![Event::RequestHeld(held(*container, *key, state))],
        Step::Approve(container, key) => {
            let RequestHeld {
                request,
                container,
                spki_sha256,
                ..
            } = held(*container, *key, state);
            vec![Event::RequestApproved(RequestApproved {
                request,
                container,
                spki_sha256,
                operator: host(),
            })]
        }
        Step::Deny(container, key) => {
            let RequestHeld {
                request, container, ..
            } = held(*container, *key, state);
            vec![Event::RequestDenied(RequestDenied {
                request,
                container,
                operator: host(),
                reason: "no".into(),
            })]
        }
        Step::Certify(container) => match state.node(&id(*container)) {
            None => vec![],
            Some(node) => {
                let size = state.size();
                let subject = format!("spiffe://td/host/h1/container/{}", id(*container))
                    .parse()
                    .unwrap();
                let serial = Serial::from_bytes(u128::from(size).to_be_bytes());
                vec![Event::CertIssued(CertIssued {
                    subject,
                    container: Some(id(*container)),
                    host: Some(host()),
                    addresses: node.addresses.clone(),
                    ips: vec![],
                    serial,
                    issuer_key_id: String::new(),
                    not_before_ms: UnixMs(0),
                    not_after_ms: UnixMs(1 << 40),
                    spki_sha256: Digest::of(b""),
                    der_sha256: Digest::of(b""),
                    evidence: evidence(*container, state),
                    rule: String::new(),
                    prev: node.last_certificate,
                    policy_sha256: None,
                })]
            }
        },
    }
}

fn other() -> Name {
    "h2".parse().unwrap()
}

/// A request that is kept for ten entries.
fn held(container: u8, key: u8, state: &State) -> RequestHeld {
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
        reason: String::new(),
        expires_at_ms: UnixMs(1000 + state.size() + 10),
    }
}

/// What a container's certificate rests on: an operator's word where there is one.
fn evidence(container: u8, state: &State) -> Vec<Evidence> {
    let keys = (0..3).map(|key| Digest::of(&[key]));
    let mut words = keys.filter_map(|key| {
        let requests = state.requests();
        requests.approval(&id(container), UnixMs(1000), &key, UnixMs(0))
    });
    words.next().into_iter().collect()
}

/// The log that the steps make, and the view that it folds to.
fn run(steps: &[Step]) -> (Vec<Entry>, State) {
    let (mut log, mut state) = (Vec::new(), State::default());
    for step in steps {
        for event in events(step, &state) {
            let index = log.len() as u64;
            // Minutes apart, so that what is forgotten after a while is.
            let ts_ms = UnixMs(1000 + 400_000 * index);
            let entry = Entry {
                ts_ms,
                ..entry(index, event)
            };
            state.apply(index, &entry);
            log.push(entry);
        }
    }
    (log, state)
}

fn assert_same(loaded: &State, view: &State) {
    assert_eq!(
        loaded.nodes().collect::<Vec<_>>(),
        view.nodes().collect::<Vec<_>>()
    );
    for ip in IPS {
        let address = format!("h1/bridge/{ip}").parse().unwrap();
        assert_eq!(loaded.lease(&address), view.lease(&address), "{ip}");
        assert_eq!(
            loaded.next_epoch(&address),
            view.next_epoch(&address),
            "{ip}"
        );
        assert_eq!(
            loaded.leases_of_ip(address.ip).count(),
            view.leases_of_ip(address.ip).count()
        );
    }
    for (container, host) in (1..5).flat_map(|number| [(number, host()), (number, other())]) {
        assert_eq!(
            loaded.dormant_labels(&id(container), &host),
            view.dormant_labels(&id(container), &host),
            "{container} {host}"
        );
    }
    assert_eq!(
        loaded.revocations().iter().collect::<Vec<_>>(),
        view.revocations().iter().collect::<Vec<_>>()
    );
    assert_eq!(
        loaded.bans().collect::<Vec<_>>(),
        view.bans().collect::<Vec<_>>()
    );
    assert_eq!(loaded.authorities(), view.authorities());
    assert_eq!(
        loaded.tokens().iter().collect::<Vec<_>>(),
        view.tokens().iter().collect::<Vec<_>>()
    );
    assert_eq!(
        loaded.machines().iter().collect::<Vec<_>>(),
        view.machines().iter().collect::<Vec<_>>()
    );
    for machine in view.machines().iter() {
        let of_key = |state: &State| state.machines().of_key(&machine.newest.key).cloned();
        assert_eq!(of_key(loaded), of_key(view));
    }
    assert_eq!(loaded.documents(), view.documents());
    assert_eq!(loaded.requests(), view.requests());
    assert_eq!(loaded.policy(), view.policy());
    assert_eq!(loaded.size(), view.size());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Invariant 5: what the index gives back is what the entries fold to, in however many batches
    /// it took them up, and also when it took some of them up twice.
    #[test]
    fn a_view_loaded_from_the_index_is_the_view_that_the_log_folds_to(steps in steps(), batch in 1usize..9, again in 0usize..4) {
        let (log, view) = run(&steps);
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&dir.path().join("index"), log.len() as u64).unwrap();
        let numbered: Vec<(u64, &Entry)> = (0..).zip(&log).collect();
        for batch in numbered.chunks(batch) {
            index.apply(batch.iter().copied()).unwrap();
        }
        let tail = numbered.len().saturating_sub(again);
        index.apply(numbered[tail..].iter().copied()).unwrap();
        prop_assert_eq!(index.applied().unwrap(), log.len() as u64);
        assert_same(&index.load_state().unwrap(), &view);
    }
}

#[test]
fn what_operators_said_of_a_container_stands_when_it_runs_again_after_a_start() {
    let steps = [
        Step::Up(1, vec!["10.0.0.1"]),
        Step::Label(1, "tier=front"),
        Step::Up(2, vec!["10.0.0.2"]),
        Step::Down(1),
        Step::Down(2),
    ];
    let (log, view) = run(&steps);
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index.sled"), log.len() as u64).unwrap();
    index.apply((0..).zip(&log)).unwrap();
    let ended: Vec<_> = index.gone_nodes().map(|node| *node.unwrap().id()).collect();
    assert_eq!(ended, [id(1), id(2)]);
    let mut loaded = index.load_state().unwrap();
    assert_same(&loaded, &view);

    let again = Step::Up(1, vec!["10.0.0.3"]);
    let mut log = log;
    for event in events(&again, &view) {
        let entry = entry(log.len() as u64, event);
        loaded.apply(log.len() as u64, &entry);
        log.push(entry);
    }
    let labels = |state: &State| state.node(&id(1)).unwrap().operator_labels.clone();
    assert_eq!(labels(&loaded)["tier"], "front");
    index.apply((0..).zip(&log)).unwrap();
    assert_eq!(labels(&index.load_state().unwrap()), labels(&loaded));
    let ended: Vec<_> = index.gone_nodes().map(|node| *node.unwrap().id()).collect();
    assert_eq!(ended, [id(2)]);
}

#[test]
fn what_operators_said_of_a_container_does_not_go_to_another_host_after_a_start() {
    let (log, view) = run(&[
        Step::Up(1, vec!["10.0.0.1"]),
        Step::Label(1, "tier=front"),
        Step::Down(1),
        Step::Elsewhere(1, true),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index.sled"), log.len() as u64).unwrap();
    index.apply((0..).zip(&log)).unwrap();
    let loaded = index.load_state().unwrap();
    assert_same(&loaded, &view);
    let node = loaded.node(&id(1)).unwrap();
    assert_eq!(node.host, other());
    assert!(node.operator_labels.is_empty());
    let kept = loaded.dormant_labels(&id(1), &host()).unwrap();
    assert_eq!(kept["tier"], "front", "they wait for their own host");
}

#[test]
fn an_index_that_knows_more_than_the_ledger_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let (log, _) = run(&[Step::Up(1, vec!["10.0.0.1"])]);
    let index = Index::open(&path, 2).unwrap();
    index.apply((0..).zip(&log)).unwrap();
    index.sync().unwrap();
    drop(index);
    assert_eq!(Index::open(&path, 2).unwrap().applied().unwrap(), 2);
    assert_eq!(Index::open(&path, 1).unwrap().applied().unwrap(), 0);
}

#[test]
fn a_damaged_index_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let index = Index::open(&path, 9).unwrap();
    let (log, _) = run(&[Step::Up(1, vec!["10.0.0.1"])]);
    index.apply((0..).zip(&log)).unwrap();
    index.sync().unwrap();
    drop(index);
    for file in ["db", "conf"] {
        std::fs::write(path.join(file), b"garbage").unwrap();
        assert_eq!(
            Index::open(&path, 9).unwrap().applied().unwrap(),
            0,
            "{file}"
        );
    }
}

#[test]
fn the_end_of_a_lease_ends_its_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index"), 99).unwrap();
    let (log, _) = run(&[
        Step::Up(1, vec!["10.0.0.1"]),
        Step::Certify(1),
        Step::Down(1),
    ]);
    index.apply((0..).zip(&log)).unwrap();
    let certificate = index.certificates(u64::MAX).next().unwrap().unwrap();
    assert_eq!(certificate.revoked.unwrap().reason, "lease closed");
    assert_eq!(certificate.name, "c1");
    let lease = index
        .leases_of_ip("10.0.0.1".parse().unwrap())
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(
        index.certificates_of_lease(&lease, 9).unwrap(),
        [LeaseCertificate {
            serial: certificate.issued.serial,
            index: certificate.index,
        }]
    );
    let entry = |index: u64| log[usize::try_from(index).unwrap()].event.name();
    assert_eq!(entry(lease.opened_index), "lease_opened");
    assert_eq!(lease.closed_index.map(entry), Some("lease_closed"));
    assert_eq!(lease.closed_cause, Some(LeaseCause::Died));
}

#[test]
fn a_watch_ends_at_the_last_moment_that_was_certain() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index"), 99).unwrap();
    let watched = || {
        Event::HostWatched(HostWatched {
            host: host(),
            containers: 0,
        })
    };
    let started = Event::MasterStarted(MasterStarted {
        version: String::new(),
        log_size: 0,
    });
    let log: Vec<Entry> = (0..)
        .zip([watched(), started.clone(), started, watched()])
        .map(|(i, event)| entry(i, event))
        .collect();
    index.apply((0..).zip(&log)).unwrap();
    let watches: Vec<_> = index
        .watches()
        .map(|watch| {
            watch
                .map(|watch| (watch.since_ms.0, watch.until_ms.map(|until| until.0)))
                .unwrap()
        })
        .collect();
    assert_eq!(watches, [(1000, Some(1000)), (1003, None)]);
}

#[test]
fn a_container_that_asks_for_thousands_keeps_its_two_newest_and_no_record_grows() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index"), 9999).unwrap();
    let mut steps = vec![Step::Up(1, vec!["10.0.0.1"])];
    steps.extend(std::iter::repeat_n(Step::Certify(1), 2000));
    let (log, view) = run(&steps);
    index.apply((0..).zip(&log)).unwrap();
    assert_same(&index.load_state().unwrap(), &view);
    let honoured = index
        .certificates(u64::MAX)
        .filter(|found| found.as_ref().unwrap().revoked.is_none());
    assert_eq!(honoured.count(), 2);
    let largest = index
        .db
        .iter()
        .map(|found| found.unwrap().1.len())
        .max()
        .unwrap();
    assert!(largest < 4096, "a record of {largest} bytes");
}

#[test]
fn what_no_list_has_to_name_any_more_is_forgotten_as_fast_as_entries_come() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index"), 0).unwrap();
    let over = 3 * FORGOTTEN_AT_ONCE;
    for number in 0..over {
        let key = keys::revoked(UnixMs(number as u64), &Serial::from_bytes([1; 16]));
        index.db.insert(key, b"over").unwrap();
    }
    let left = || index.db.scan_prefix(keys::REVOKED).count();
    let now = UnixMs(10 * GRACE_MS);
    let gone = |index: u64| {
        let event = Event::NodeGone(NodeGone {
            container: id(1),
            cause: LeaseCause::Died,
        });
        let mut entry = entry(index, event);
        entry.ts_ms = now;
        (index, entry)
    };
    let apply = |entries: std::ops::Range<u64>| {
        let entries: Vec<_> = entries.map(gone).collect();
        let entries = entries.iter().map(|(index, entry)| (*index, entry));
        index.apply(entries).unwrap();
    };
    apply(0..1);
    assert_eq!(left(), over - FORGOTTEN_AT_ONCE);
    apply(1..1 + 2 * FORGOTTEN_AT_ONCE as u64);
    assert_eq!(left(), 0);
}
