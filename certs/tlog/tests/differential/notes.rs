//! Notes, checkpoints and keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::note::{KeyName, SignedNote, SigningKey, VerifierKey};
use dockmaster_tlog::tree::RightEdge;
use proptest::prelude::*;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};

use crate::others::ours;

#[test]
fn checkpoints_and_keys_are_read_by_the_others_and_theirs_by_us() {
    let name = KeyName::new("example.org/log").unwrap();
    let key = SigningKey::from_seed(name.clone(), &[7; 32]);
    let checkpoint = Checkpoint {
        origin: name,
        size: 0,
        root: RightEdge::new().root(),
    };
    let our_note = checkpoint.sign(&key);

    let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let read = signed_note::Note::from_bytes(our_note.as_bytes()).unwrap();
    assert_eq!(read.verify(&known).unwrap().0.len(), 1);
    let read = tlog_tiles::Checkpoint::from_bytes(read.text()).unwrap();
    assert_eq!((read.origin(), read.size()), ("example.org/log", 0));
    assert_eq!(ours(read.hash()), checkpoint.root);

    let seed = STANDARD.encode([&[1_u8][..], &[7; 32]].concat());
    let private = format!("PRIVATE+KEY+example.org/log+{}+{seed}", key.verifier().id());
    let signer = StandardSigner::new(&private).unwrap();
    let mut note = signed_note::Note::new(checkpoint.to_text().as_bytes(), &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    // Ed25519 is deterministic, so even the signature is the same.
    assert_eq!(String::from_utf8(note.to_bytes()).unwrap(), our_note);
}

proptest! {
    #[test]
    fn a_note_we_read_is_read_by_the_others(
        note in "(\\PC|\n){0,20}\n\n(\u{2014} [a-z]{1,3} [A-Za-z0-9+/]{8}\n){1,3}",
    ) {
        if SignedNote::parse(&note).is_ok() {
            let other = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
            prop_assert_eq!(other.to_bytes(), note.as_bytes());
        }
    }

    #[test]
    fn a_verifier_key_we_read_is_read_by_the_others(name in "[a-z./]{1,12}", seed: [u8; 32]) {
        let key = SigningKey::from_seed(KeyName::new(name).unwrap(), &seed);
        let text = key.verifier().to_string();
        prop_assert!(StandardVerifier::new(&text).is_ok());
        prop_assert_eq!(VerifierKey::parse(&text), Ok(key.verifier().clone()));
    }
}
