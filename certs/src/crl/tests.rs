use super::*;
use crate::testing::{HOUR, NOW, Pki, der_of, serial};

const TERMS: ListTerms = ListTerms {
    number: 7,
    now: NOW,
    next_update: UnixMs(NOW.0 + HOUR),
};

fn some(count: usize) -> Vec<Revoked> {
    let reasons = RevocationReason::ALL.into_iter().cycle();
    reasons
        .take(count)
        .map(|reason| Revoked {
            serial: serial(),
            at: NOW,
            reason,
        })
        .collect()
}

#[test]
fn a_list_is_checked_against_its_authority_and_that_against_the_bundle() {
    let pki = Pki::new();
    let list = pki.containers.revocation_list(some(9), TERMS).unwrap();
    let root_list = pki.root.revocation_list([], TERMS).unwrap();
    let text = to_pem(&list) + &to_pem(&root_list);
    let checked = check(&text, &[der_of(&pki.containers)], &pki.bundle).unwrap();
    let of = |issuer, revoked| CheckedList {
        issuer,
        number: 7,
        revoked,
    };
    assert_eq!(
        checked,
        [of(pki.containers.key_id(), 9), of(pki.root.key_id(), 0)]
    );
}

#[test]
fn a_list_of_another_installation_or_of_an_unknown_authority_is_refused() {
    let (pki, other) = (Pki::new(), Pki::new());
    let list = other.containers.revocation_list(some(1), TERMS).unwrap();
    let text = to_pem(&list);
    assert_eq!(
        check(&text, &[], &other.bundle),
        Err(ListError::UnknownIssuer)
    );
    assert_eq!(
        check(&text, &[der_of(&other.containers)], &pki.bundle),
        Err(ListError::UnknownIssuer)
    );
}

#[test]
fn a_list_that_was_changed_is_refused() {
    let pki = Pki::new();
    let revoked = some(1);
    let list = pki.containers.revocation_list(revoked.clone(), TERMS);
    let mut list = list.unwrap().to_vec();
    let serial = &revoked[0].serial.as_bytes()[1..];
    let at = list.windows(15).position(|window| window == serial);
    list[at.unwrap()] ^= 1;
    assert_eq!(
        check(&to_pem(&list), &[der_of(&pki.containers)], &pki.bundle),
        Err(ListError::Signature)
    );
}

#[test]
fn a_list_of_a_hundred_thousand_is_read_like_a_small_one() {
    let pki = Pki::new();
    let one = some(1)[0];
    let many = std::iter::repeat_n(one, 100_000);
    let list = pki.containers.revocation_list(many, TERMS).unwrap();
    assert!(list.len() < MAX_LIST_LENGTH / 2, "{}", list.len());
    let checked = check(&to_pem(&list), &[der_of(&pki.containers)], &pki.bundle);
    assert_eq!(checked.unwrap()[0].revoked, 100_000);
}

#[test]
fn what_is_no_list_is_an_error() {
    let pki = Pki::new();
    for text in ["", "hello", &pki.bundle.to_pem()] {
        assert_eq!(check(text, &[], &pki.bundle), Err(ListError::Count));
    }
    let junk = to_pem(&[0x30, 0x00]);
    assert!(matches!(
        check(&junk, &[], &pki.bundle),
        Err(ListError::Unreadable(_))
    ));
}
