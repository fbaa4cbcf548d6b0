use std::sync::Arc;

use dockmaster_proto::{
    api::certs::{CertificateList, CertificateSummary},
    id::Digest,
    problem::ProblemCode,
};
use dockmaster_tlog::{
    hash::{empty_root, leaf_hash},
    note::{KeyName, SigningKey},
    tile::EntryBundle,
    tree::RightEdge,
};

use super::*;
use crate::cli::{
    audit::replay::tests::{certificate, entry},
    cert,
    remote::block_on,
    testing::{Answer, Asked, Stub, log_key},
};

const DER: &[u8] = b"der";
/// base64 of [`DER`]: PEM does not ask what the bytes are.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nZGVy\n-----END CERTIFICATE-----\n";

/// What a master has and publishes.
#[derive(Clone)]
struct Log {
    entries: Vec<Vec<u8>>,
    signed: Vec<Vec<u8>>,
    key: Arc<SigningKey>,
    listed: Vec<CertificateSummary>,
}

impl Log {
    /// 300 entries, one of which is about a certificate that is listed and kept.
    fn good() -> Self {
        let listed = CertificateSummary {
            index: 5,
            der_sha256: Digest::of(DER),
            pem: PEM.into(),
            ..cert::example()
        };
        let issued = entry(6, "cert_issued", &certificate(listed.serial, DER));
        let mut entries: Vec<_> = (1..=300).map(|ts| entry(ts, "node_gone", "")).collect();
        entries[5] = issued;
        Self {
            signed: entries.clone(),
            entries,
            key: Arc::new(log_key()),
            listed: vec![listed],
        }
    }

    fn answer(&self, asked: &Asked) -> Answer {
        match asked
            .what
            .split_once('?')
            .map_or(&*asked.what, |(what, _)| what)
        {
            "GET /log/checkpoint" => Answer::bytes(self.checkpoint()),
            "GET /log/tile/entries/000" => Answer::bytes(self.bundle(0..256)),
            // The log grew beyond this bundle since the checkpoint: only the full one is left.
            "GET /log/tile/entries/001.p/44" => Answer::problem(ProblemCode::NotFound),
            "GET /log/tile/entries/001" => {
                let mut bytes = self.bundle(256..300);
                for _ in 0..212 {
                    bytes.extend(b"\0\x01?");
                }
                Answer::bytes(bytes)
            }
            "GET /v1/certs" => {
                assert!(asked.what.contains("pem=true"), "{}", asked.what);
                Answer::json(&CertificateList {
                    certificates: self.listed.clone(),
                    next_before: None,
                })
            }
            _ => Answer::problem(ProblemCode::NotFound),
        }
    }

    fn checkpoint(&self) -> String {
        let mut edge = RightEdge::new();
        for entry in &self.signed {
            edge.push(leaf_hash(entry));
        }
        let checkpoint = Checkpoint {
            origin: self.key.name().clone(),
            size: edge.size(),
            root: edge.root(),
        };
        checkpoint.sign(&self.key)
    }

    fn bundle(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        let mut bundle = EntryBundle::new();
        for entry in &self.entries[range] {
            bundle.push(entry).unwrap();
        }
        bundle.encode()
    }

    /// What `audit verify` finds in it.
    fn verify(self) -> Result<Verification, CliError> {
        let stub = Stub::start(move |asked| self.answer(asked));
        let mut found = None;
        block_on(async {
            found = Some(verify(&mut Remote::connect(&stub.global).await?).await?);
            Ok(())
        })?;
        Ok(found.unwrap())
    }

    /// The one fault that is found in it.
    fn fault(self) -> String {
        let found = self.verify().unwrap();
        assert!(!found.verified);
        let [fault] = &found.faults[..] else {
            panic!("{:?}", found.faults);
        };
        fault.clone()
    }
}

#[test]
fn a_log_with_all_its_certificates_verifies_over_the_wire() {
    let found = Log::good().verify().unwrap();
    assert!(found.verified, "{:?}", found.faults);
    assert_eq!(found.size, 300);
    assert_eq!(found.certificates_logged, 1);
    assert_eq!(found.entries_with_certificate, 1);
}

#[test]
fn an_entry_that_was_changed_after_it_was_signed_is_found() {
    let mut log = Log::good();
    log.entries[299] = entry(300, "node_gone", ",\"container\":\"another\"");
    let fault = log.fault();
    assert!(
        fault.starts_with("the entries are not those that the log signed"),
        "{fault}"
    );
}

#[test]
fn a_log_that_was_rewritten_and_signed_with_another_key_is_not_believed() {
    let mut log = Log::good();
    log.key = Arc::new(SigningKey::from_seed(log.key.name().clone(), &[8; 32]));
    let error = log.verify().unwrap_err().to_string();
    assert!(
        error.contains("the head of the log cannot be trusted"),
        "{error}"
    );
}

#[test]
fn a_certificate_that_is_not_logged_is_found() {
    let mut log = Log::good();
    log.listed[0].index = 6;
    // And the entry that is about it has none now.
    let found = log.verify().unwrap();
    let [wrong, lost] = &found.faults[..] else {
        panic!("{:?}", found.faults);
    };
    assert!(wrong.contains("entry 6 is not about a new certificate"));
    assert!(lost.starts_with("entry 5 is about"));
}

#[test]
fn a_certificate_that_was_lost_or_replaced_is_found() {
    let other = "-----BEGIN CERTIFICATE-----\nb3RoZXI=\n-----END CERTIFICATE-----\n";
    for (pem, told) in [("", "does not have"), (other, "has the digest")] {
        let mut log = Log::good();
        log.listed[0].pem = pem.into();
        let fault = log.fault();
        assert!(fault.contains(told), "{fault}");
    }
}

#[test]
fn a_certificate_that_is_logged_and_not_listed_is_found() {
    let mut log = Log::good();
    log.listed.clear();
    let fault = log.fault();
    assert!(fault.starts_with("entry 5 is about"), "{fault}");
    let mut log = Log::good();
    log.listed.push(log.listed[0].clone());
    assert!(log.fault().contains("listed already"));
}

#[test]
fn a_certificate_newer_than_the_head_is_no_fault() {
    let mut log = Log::good();
    log.listed.push(CertificateSummary {
        index: 300,
        ..cert::example()
    });
    let found = log.verify().unwrap();
    assert!(found.verified, "{:?}", found.faults);
    assert_eq!(found.certificates_newer, 1);
}

fn verification() -> Verification {
    let mut found = Verification::new(&Checkpoint {
        origin: KeyName::new("td/dockmaster-log").unwrap(),
        size: 3,
        root: empty_root(),
    });
    found.verified = true;
    found.first_ts_ms = Some(UnixMs(1_795_528_980_000));
    found.last_ts_ms = Some(UnixMs(1_795_528_980_123));
    found.events = BTreeMap::from([("ca_created".into(), 1), ("cert_issued".into(), 2)]);
    found.certificates_logged = 2;
    found.entries_with_certificate = 2;
    found
}

#[test]
fn a_log_that_verifies_says_what_was_compared() {
    assert_eq!(
        render(&verification()),
        "log           td/dockmaster-log\n\
         verdict       verified\n\
         entries       3\n\
         root          e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
         from          2026-11-24T14:03:00.000Z\n\
         until         2026-11-24T14:03:00.123Z\n\
         by kind       ca_created 1\n\
         \x20             cert_issued 2\n\
         certificates  2 in the log, 2 of its entries with their certificate, 0 newer than its head\n"
    );
}

#[test]
fn faults_are_told_up_to_a_number() {
    let mut found = verification();
    found.verified = false;
    for index in 0..TOLD + 3 {
        found.fault(format!("entry {index} is odd"));
    }
    let text = render(&found);
    assert!(text.contains("verdict       NOT VERIFIED"), "{text}");
    assert!(
        text.ends_with("fault: entry 49 is odd\nand 3 faults more\n"),
        "{text}"
    );
}
