use proptest::prelude::*;

use super::*;
use crate::note::{Cosigner, SigningKey};

const TEXT: &str = "If you think cryptography is the answer,\n\nask again.\n";

fn log_key() -> SigningKey {
    SigningKey::from_seed(KeyName::new("example.org/log").unwrap(), &[1; 32])
}

fn witness(number: u8) -> Cosigner {
    let name = KeyName::new(format!("example.net/witness{number}")).unwrap();
    Cosigner::from_seed(name, &[number; 32])
}

#[test]
fn a_signed_note_verifies_and_is_written_as_it_was_read() {
    let key = log_key();
    let written = key.sign(TEXT).unwrap();
    let note = SignedNote::parse(&written).unwrap();
    assert_eq!(note.to_string(), written);
    let note = note.verify(&[key.verifier().clone()]).unwrap();
    assert_eq!(note.text(), TEXT);
    assert_eq!(note.signatures().len(), 1);
    assert_eq!(note.signatures()[0].time, None);
}

#[test]
fn the_sample_note_of_the_specification_reads() {
    let sample = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
        ed è subito sera.\n\n\u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5\
        ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note = SignedNote::parse(sample).unwrap();
    assert_eq!(note.signatures()[0].id().to_string(), "367ba04b");
    assert_eq!(note.to_string(), sample);
}

#[test]
fn a_signature_by_an_unknown_key_is_ignored() {
    let mut note = SignedNote::parse(&log_key().sign(TEXT).unwrap()).unwrap();
    witness(9).cosign(&mut note, 5).unwrap();
    let opened = note
        .clone()
        .verify(&[log_key().verifier().clone()])
        .unwrap();
    assert_eq!(opened.signatures().len(), 1);
    assert_eq!(
        note.verify(&[witness(8).verifier().clone()]),
        Err(NoteError::NotSigned)
    );
}

#[test]
fn a_key_that_shares_only_its_name_is_unknown() {
    let namesake = SigningKey::from_seed(log_key().name().clone(), &[2; 32]);
    let note = SignedNote::parse(&namesake.sign(TEXT).unwrap()).unwrap();
    assert_eq!(
        note.verify(&[log_key().verifier().clone()]),
        Err(NoteError::NotSigned)
    );
}

#[test]
fn a_bad_signature_by_a_known_key_refuses_the_whole_note() {
    let known = [log_key().verifier().clone(), witness(3).verifier().clone()];
    let mut note = SignedNote::parse(&log_key().sign(TEXT).unwrap()).unwrap();
    // The witness signed another text.
    let mut other = SignedNote::parse(&log_key().sign("other\n").unwrap()).unwrap();
    witness(3).cosign(&mut other, 5).unwrap();
    note.add(other.signatures()[1].clone()).unwrap();
    assert!(matches!(
        note.verify(&known),
        Err(NoteError::BadSignature { .. })
    ));
    // A second, bad line by the same key is no better than a first one.
    let mut twice = SignedNote::parse(&log_key().sign(TEXT).unwrap()).unwrap();
    twice.add(other.signatures()[0].clone()).unwrap();
    assert!(matches!(
        twice.verify(&known),
        Err(NoteError::BadSignature { .. })
    ));
}

#[test]
fn cosignatures_carry_their_time_and_count_once() {
    let mut note = SignedNote::parse(&log_key().sign(TEXT).unwrap()).unwrap();
    witness(3).cosign(&mut note, 1_679_315_147).unwrap();
    witness(3).cosign(&mut note, 1_679_315_148).unwrap();
    witness(4).cosign(&mut note, MAX_TIME).unwrap();
    let keys = [witness(3).verifier().clone(), witness(4).verifier().clone()];
    let note = SignedNote::parse(&note.to_string())
        .unwrap()
        .verify(&keys)
        .unwrap();
    let times: Vec<_> = note
        .signatures()
        .iter()
        .map(|signature| signature.time)
        .collect();
    assert_eq!(times, [Some(1_679_315_147), Some(MAX_TIME)]);
}

#[test]
fn a_cosignature_is_bound_to_its_time() {
    let mut note = SignedNote::parse(&log_key().sign(TEXT).unwrap()).unwrap();
    assert_eq!(
        witness(3).cosign(&mut note, u64::MAX),
        Err(NoteError::Time { time: u64::MAX })
    );
    witness(3).cosign(&mut note, 7).unwrap();
    note.signatures[1].bytes[7] = 8;
    let known = [witness(3).verifier().clone()];
    assert!(matches!(
        note.verify(&known),
        Err(NoteError::BadSignature { .. })
    ));
}

#[test]
fn a_signature_of_the_wrong_length_is_bad_and_not_a_panic() {
    for key in [log_key().verifier().clone(), witness(3).verifier().clone()] {
        for length in [1, 7, 8, 9, 63, 65, 71, 73] {
            let mut note = SignedNote::parse(&log_key().sign(TEXT).unwrap()).unwrap();
            note.signatures = vec![Signature::by(&key, vec![0; length])];
            assert!(matches!(
                note.verify(std::slice::from_ref(&key)),
                Err(NoteError::BadSignature { .. })
            ));
        }
    }
}

#[test]
fn text_that_is_not_a_note_is_refused() {
    let line = log_key()
        .sign(TEXT)
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .to_owned();
    for wrong in [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        "text\n".into(),
        "text\n\n".into(),
        "text\n\n\n".into(),
        format!("text\n{line}\n"),
        format!("\n{line}\n"),
        format!("text\n\n{line}"),
        format!("text\n\n{line}\n\n"),
        format!("text\n\n{line}\nmore\n"),
        format!("te\txt\n\n{line}\n"),
        format!("text\r\n\r\n{line}\r\n"),
        format!("text\n\n{line} \n"),
        format!("text\n\n-{line}\n"),
        "text\n\n\u{2014} name AAAAAA==\n".into(),
        "text\n\n\u{2014} na+me AAAAAAA=\n".into(),
        "text\n\n\u{2014}  AAAAAAA=\n".into(),
    ] {
        assert!(SignedNote::parse(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_note_is_bounded_in_size_and_signatures() {
    let line = "\u{2014} name AAAAAAA=\n";
    assert!(SignedNote::parse(&format!("text\n\n{}", line.repeat(MAX_SIGNATURES))).is_ok());
    assert_eq!(
        SignedNote::parse(&format!("text\n\n{}", line.repeat(MAX_SIGNATURES + 1))),
        Err(NoteError::TooManySignatures)
    );
    let long = format!("{}\n\n{line}", "x".repeat(MAX_NOTE_BYTES));
    assert!(matches!(
        SignedNote::parse(&long),
        Err(NoteError::TooLarge { .. })
    ));
}

proptest! {
    #[test]
    fn any_text_is_refused_or_read_back(
        note in "(\\PC|\n){0,40}\n\n(\u{2014} [a-z+ ]{1,3} [A-Za-z0-9+/=]{6,12}\n){0,3}|\\PC*",
    ) {
        if let Ok(read) = SignedNote::parse(&note) {
            prop_assert_eq!(read.to_string(), note);
        }
    }

    #[test]
    fn any_signed_text_reads_back(text in "(\\PC|\n){0,60}\n") {
        let written = log_key().sign(&text).unwrap();
        let note = SignedNote::parse(&written).unwrap();
        prop_assert_eq!(note.text(), &text);
        prop_assert!(note.verify(&[log_key().verifier().clone()]).is_ok());
    }

    #[test]
    fn a_changed_note_does_not_verify(at: prop::sample::Index, by in "\\PC|\n") {
        let written = log_key().sign(TEXT).unwrap();
        let mut chars: Vec<String> = written.chars().map(String::from).collect();
        let at = at.index(chars.len());
        prop_assume!(chars[at] != by);
        chars[at] = by;
        let verdict = SignedNote::parse(&chars.concat())
            .and_then(|note| note.verify(&[log_key().verifier().clone()]));
        prop_assert!(verdict.is_err());
    }
}
