use dockmaster_proto::{
    api::audit::Certainty,
    event::{ENTRY_VERSION, LeaseCause},
    id::ContainerId,
    time::UnixMs,
};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    hash::leaf_hash,
    note::{KeyName, SigningKey},
    proof::TlogProof,
    tree::RightEdge,
};

use super::*;

const IP: &str = "172.17.0.5";

fn key() -> SigningKey {
    SigningKey::from_seed(KeyName::new("td/dockmaster-log").unwrap(), &[1; 32])
}

fn address() -> Address {
    Address::new("h1/bridge".parse().unwrap(), IP.parse().unwrap())
}

fn container() -> ContainerId {
    ContainerId::from_bytes([0xab; 32])
}

fn entry(ts_ms: u64, event: Event) -> Entry {
    Entry {
        v: ENTRY_VERSION,
        ts_ms: UnixMs(ts_ms),
        event,
        request_id: "r".into(),
        actor: "/host/h1".into(),
        master: "m1".parse().unwrap(),
    }
}

/// A log of two entries: the lease begins, the lease ends.
fn log() -> [Entry; 2] {
    let opened = LeaseOpened {
        address: address(),
        epoch: 3,
        container: container(),
        name: "web-1".into(),
        image: "nginx:1.27".into(),
        host: "h1".parse().unwrap(),
        cause: LeaseCause::Started,
    };
    let closed = LeaseClosed {
        address: address(),
        epoch: 3,
        container: container(),
        cause: LeaseCause::Died,
    };
    [
        entry(1_000, Event::LeaseOpened(opened)),
        entry(9_000, Event::LeaseClosed(closed)),
    ]
}

fn evidence() -> Vec<Evidence> {
    let lines: Vec<Vec<u8>> = log()
        .iter()
        .map(|entry| serde_json::to_vec(entry).unwrap())
        .collect();
    let mut edge = RightEdge::default();
    for line in &lines {
        edge.push(leaf_hash(line));
    }
    let checkpoint = Checkpoint {
        origin: key().name().clone(),
        size: edge.size(),
        root: edge.root(),
    }
    .sign(&key());
    let proof = |index: u64, sibling: &[u8]| TlogProof {
        index,
        hashes: vec![leaf_hash(sibling)],
        checkpoint: checkpoint.clone(),
    };
    let proofs = [proof(0, &lines[1]), proof(1, &lines[0])];
    let both = lines.into_iter().zip(proofs);
    both.map(|(entry, proof)| Evidence { entry, proof })
        .collect()
}

fn answer() -> Holders {
    Holders {
        ip: IP.parse().unwrap(),
        at_ms: UnixMs(5_000),
        certainty: Certainty::Held,
        note: String::new(),
        holders: vec![Holder {
            network: "h1/bridge".parse().unwrap(),
            container: container(),
            name: "web-1".into(),
            image: "nginx:1.27".into(),
            host: "h1".parse().unwrap(),
            epoch: 3,
            opened_at_ms: UnixMs(1_000),
            opened_cause: LeaseCause::Started,
            closed_at_ms: Some(UnixMs(9_000)),
            closed_cause: Some(LeaseCause::Died),
            certificates: vec![],
            entries: vec![0, 1],
            certainty: Certainty::Held,
        }],
    }
}

fn examined(answer: Holders, evidence: &[Evidence]) -> Result<Shown, Vec<String>> {
    let text = serde_json::to_string(&Testimony::new(answer, evidence)).unwrap();
    examine(&text, key().verifier())
}

#[test]
fn an_answer_that_its_entries_bear_out_is_shown() {
    let shown = examined(answer(), &evidence()).unwrap();
    assert_eq!(shown.answer, Some(answer()));
    let entries: Vec<Entry> = shown
        .entries
        .into_iter()
        .map(|proven| proven.entry)
        .collect();
    assert_eq!(entries, log());
    assert!(shown.notes.is_empty());
}

#[test]
fn no_word_of_an_answer_may_differ_from_the_entries() {
    let forgeries: [fn(&mut Holder); 9] = [
        |holder| holder.container = ContainerId::from_bytes([0xcd; 32]),
        |holder| holder.name = "web-2".into(),
        |holder| holder.image = "nginx:1.28".into(),
        |holder| holder.host = "h2".parse().unwrap(),
        |holder| holder.network = "h2/bridge".parse().unwrap(),
        |holder| holder.epoch = 4,
        |holder| holder.opened_at_ms = UnixMs(999),
        |holder| holder.closed_at_ms = Some(UnixMs(9_001)),
        |holder| holder.closed_cause = Some(LeaseCause::Missing),
    ];
    for (number, forge) in forgeries.iter().enumerate() {
        let mut forged = answer();
        forge(&mut forged.holders[0]);
        let faults = examined(forged, &evidence()).unwrap_err().join("\n");
        assert!(faults.contains("no entry shows"), "{number}: {faults}");
    }
    let mut forged = answer();
    let serial = Serial::from_bytes([7; 16]);
    forged.holders[0].certificates.push(serial);
    let faults = examined(forged, &evidence()).unwrap_err().join("\n");
    assert!(faults.contains(&serial.to_string()), "{faults}");
}

#[test]
fn a_time_outside_of_the_lease_is_not_covered() {
    for at in [999, 9_000] {
        let mut late = answer();
        late.at_ms = UnixMs(at);
        let faults = examined(late, &evidence()).unwrap_err().join("\n");
        assert!(faults.contains("does not cover"), "{faults}");
    }
}

#[test]
fn an_entry_that_is_not_proven_counts_for_nothing() {
    let mut swapped = evidence();
    swapped[1].proof = swapped[0].proof.clone();
    let faults = examined(answer(), &swapped).unwrap_err();
    assert!(faults[0].starts_with("evidence 2: "), "{faults:?}");
    let faults = examined(answer(), &evidence()[..1]).unwrap_err();
    assert!(faults[0].contains("ended so"), "{faults:?}");
    let other = SigningKey::from_seed(key().name().clone(), &[2; 32]);
    let text = serde_json::to_string(&Testimony::new(answer(), &evidence())).unwrap();
    assert!(examine(&text, other.verifier()).is_err());
}

#[test]
fn that_a_lease_goes_on_is_said_to_be_beyond_single_entries() {
    let mut open = answer();
    open.holders[0].closed_at_ms = None;
    open.holders[0].closed_cause = None;
    let shown = examined(open, &evidence()[..1]).unwrap();
    assert!(shown.notes[0].contains("whole log of 2 entries"));
    let mut nobody = answer();
    nobody.holders.clear();
    assert!(examined(nobody, &evidence()).is_err());
}

#[test]
fn a_single_proof_is_shown_by_itself_and_garbage_is_refused() {
    let shown = examine(&evidence()[0].encode(), key().verifier()).unwrap();
    assert_eq!((shown.entries.len(), shown.answer), (1, None));
    for garbage in ["", "{}", "c2sp.org/tlog-proof@v1\n", "\u{0}", "[1]"] {
        assert!(examine(garbage, key().verifier()).is_err(), "{garbage:?}");
    }
    let other = serde_json::to_string(&Testimony::new(answer(), &evidence())).unwrap();
    let other = other.replace(FORM, "dockmaster-testimony/9");
    assert!(examine(&other, key().verifier()).unwrap_err()[0].contains("/9"));
}
