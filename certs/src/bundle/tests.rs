use proptest::prelude::*;

use super::*;
use crate::testing::{LOG_KEY, Pki, der_of};

fn bundle() -> TrustBundle {
    Pki::new().bundle
}

#[test]
fn a_bundle_reads_back_as_written_and_its_pin_covers_the_log_key() {
    let bundle = bundle();
    let text = bundle.to_pem();
    assert!(text.starts_with(&format!("# dockmaster-log-key: {LOG_KEY}\n-----BEGIN")));
    assert_eq!(TrustBundle::parse(&text), Ok(bundle.clone()));
    assert_eq!(bundle.pin(), TrustPin::of(&text));
    assert_eq!(bundle.trust_domain().as_str(), "td.example");

    let other = TrustBundle::new(bundle.roots().to_vec(), "log+00000000+BBBB").unwrap();
    assert_ne!(other.pin(), bundle.pin());
}

#[test]
fn two_roots_stand_in_one_bundle_while_authorities_are_rotated() {
    let (old, new) = (Pki::new(), Pki::new());
    let roots = vec![der_of(&old.root), der_of(&new.root)];
    let bundle = TrustBundle::new(roots, LOG_KEY).unwrap();
    assert_eq!(
        TrustBundle::parse(&bundle.to_pem())
            .unwrap()
            .anchors()
            .len(),
        2
    );
}

#[test]
fn a_bundle_has_one_form_only() {
    let text = bundle().to_pem();
    for other in [
        text.replace('\n', "\r\n"),
        format!("{text}\n"),
        text.trim_end().to_owned(),
        text.replacen("-----BEGIN", "comment\n-----BEGIN", 1),
        text.replacen("-----BEGIN", "\n-----BEGIN", 1),
    ] {
        assert!(TrustBundle::parse(&other).is_err(), "{other}");
    }
    assert_eq!(
        TrustBundle::parse(&format!("{text}\n")),
        Err(BundleError::NotCanonical)
    );
}

#[test]
fn a_bundle_without_its_log_key_is_refused() {
    let text = bundle().to_pem();
    let (_, blocks) = text.split_once('\n').unwrap();
    assert_eq!(TrustBundle::parse(blocks), Err(BundleError::LogKey));
    for key in ["", "two words", "two\nlines", &"x".repeat(513)] {
        assert_eq!(
            TrustBundle::new(bundle().roots().to_vec(), key),
            Err(BundleError::LogKey),
            "{key:?}"
        );
    }
}

#[test]
fn only_roots_are_trusted_and_at_least_one() {
    let pki = Pki::new();
    assert_eq!(
        TrustBundle::new(vec![], LOG_KEY),
        Err(BundleError::Count(0))
    );
    assert_eq!(
        TrustBundle::new(vec![der_of(&pki.root); 9], LOG_KEY),
        Err(BundleError::Count(9))
    );
    let roots = vec![der_of(&pki.root), der_of(&pki.containers)];
    assert_eq!(
        TrustBundle::new(roots, LOG_KEY),
        Err(BundleError::NotARoot {
            number: 2,
            fault: None
        })
    );
}

#[test]
fn roots_of_two_installations_do_not_mix() {
    let roots = vec![
        der_of(&Pki::new().root),
        der_of(&Pki::of_domain("other.example").root),
    ];
    assert!(matches!(
        TrustBundle::new(roots, LOG_KEY),
        Err(BundleError::Mixed { .. })
    ));
}

#[test]
fn a_bundle_is_bounded() {
    let text = "#".repeat(MAX_BUNDLE_LENGTH + 1);
    assert_eq!(
        TrustBundle::parse(&text),
        Err(BundleError::TooLarge(MAX_BUNDLE_LENGTH + 1))
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(# dockmaster-log-key: )?[ -~\n]{0,300}") {
        prop_assert!(TrustBundle::parse(&text).is_err());
    }
}

#[test]
fn a_bundle_is_followed_by_one_with_a_root_in_common_and_the_same_log() {
    let (old, new) = (Pki::new(), Pki::new());
    let bundle = |roots: &[&Pki], log_key: &str| {
        let roots = roots.iter().map(|pki| pki.root.certificate().clone());
        TrustBundle::new(roots.collect(), log_key).unwrap()
    };
    let first = bundle(&[&old], LOG_KEY);
    let both = bundle(&[&old, &new], LOG_KEY);
    let last = bundle(&[&new], LOG_KEY);
    assert!(both.follows(&first) && last.follows(&both) && first.follows(&both));
    assert!(!last.follows(&first));
    assert!(!bundle(&[&old, &new], "td.example/log+00000000+other").follows(&first));
}
