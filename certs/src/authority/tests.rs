use super::*;
use crate::testing::{LOG_KEY, NOW, Pki, ip, key, seed, serial};

#[test]
fn an_authority_reads_back_from_its_files() {
    let pki = Pki::new();
    for authority in [&pki.root, &pki.containers, &pki.infra] {
        let again =
            Authority::from_pem(&authority.certificate_pem(), &authority.key_pem()).unwrap();
        assert_eq!(again.kind(), authority.kind());
        assert_eq!(again.trust_domain().as_str(), "td.example");
        assert_eq!(again.key_id(), authority.key_id());
        assert_eq!(again.permitted(), authority.permitted());
        assert_eq!(again.der_sha256(), authority.der_sha256());
    }
    // What was loaded signs as what was made.
    let loaded = Authority::from_pem(&pki.root.certificate_pem(), &pki.root.key_pem()).unwrap();
    let infra = Authority::create_infra_intermediate(&loaded, seed()).unwrap();
    let pki = Pki { infra, ..pki };
    let chain = crate::testing::chain(&pki.master(), &pki.infra);
    let dialled = ip("192.168.1.10");
    assert!(crate::chain::verify_master(&chain, &pki.bundle, dialled, NOW).is_ok());
}

#[test]
fn key_and_certificate_of_different_authorities_are_refused() {
    let pki = Pki::new();
    let error = Authority::from_pem(&pki.root.certificate_pem(), &key().to_pem()).unwrap_err();
    assert!(matches!(error, AuthorityError::KeyMismatch), "{error}");
    let error = Authority::from_pem(LOG_KEY, &key().to_pem()).unwrap_err();
    assert!(matches!(error, AuthorityError::NotPem), "{error}");
}

#[test]
fn a_leaf_is_no_authority() {
    let error = Authority::from_pem(&Pki::new().container().pem, &key().to_pem()).unwrap_err();
    assert!(matches!(error, AuthorityError::NotOurs(_)), "{error}");
}

#[test]
fn only_a_root_signs_intermediates() {
    let pki = Pki::new();
    let error = Authority::create_infra_intermediate(&pki.containers, seed()).unwrap_err();
    assert!(
        matches!(error, AuthorityError::NotARoot(AuthorityKind::Containers)),
        "{error}"
    );
}

#[test]
fn the_container_authority_permits_its_ranges_only() {
    let pki = Pki::new();
    for (address, permitted) in [
        ("172.17.0.5", true),
        ("10.255.0.1", true),
        ("172.18.0.1", false),
        ("127.0.0.1", false),
        ("fd00::1", false),
        ("::ffff:172.17.0.5", false),
    ] {
        assert_eq!(pki.containers.permits(ip(address)), permitted, "{address}");
    }
    assert!(pki.infra.permits(ip("198.51.100.1")));
}

#[test]
fn both_address_families_are_always_limited() {
    let root = &Pki::new().root;
    for (permit, ranges) in [
        (&[][..], &["192.0.2.0/32", "100::/64"][..]),
        (&["10.1.2.3/8"], &["10.0.0.0/8", "100::/64"]),
        (&["fd00::/8"], &["fd00::/8", "192.0.2.0/32"]),
        (
            &["fd00::/8", "10.0.0.0/9", "10.128.0.0/9"],
            &["10.0.0.0/8", "fd00::/8"],
        ),
        (&["0.0.0.0/0", "::/0"], &["0.0.0.0/0", "::/0"]),
    ] {
        let permit: Vec<IpNet> = permit.iter().map(|range| range.parse().unwrap()).collect();
        let authority = Authority::create_container_intermediate(root, &permit, seed()).unwrap();
        let shown: Vec<String> = authority
            .permitted()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ranges);
    }
}

#[test]
fn authorities_made_at_once_have_different_names() {
    let (first, second) = (Pki::new(), Pki::new());
    assert_ne!(first.root.subject_der(), second.root.subject_der());
    assert_ne!(first.infra.subject_der(), second.infra.subject_der());
}

#[test]
fn an_intermediate_does_not_outlive_its_root() {
    let root = &Pki::new().root;
    let late = AuthoritySeed {
        now: UnixMs(NOW.0 + ROOT_LIFETIME_MS - 3_600_000),
        ..seed()
    };
    let authority = Authority::create_infra_intermediate(root, late).unwrap();
    assert_eq!(authority.not_after(), root.not_after());
}

#[test]
fn serials_and_times_that_no_certificate_can_carry_are_refused() {
    let domain: TrustDomain = "td.example".parse().unwrap();
    for serial in [Serial::from_bytes([0; 16]), Serial::from_bytes([0xff; 16])] {
        let error = Authority::create_root(&domain, AuthoritySeed { serial, ..seed() });
        assert!(matches!(
            error,
            Err(AuthorityError::Issue(IssueError::BadSerial(_)))
        ));
    }
    for now in [UnixMs(u64::MAX), UnixMs(253_402_300_799_000)] {
        let error = Authority::create_root(&domain, AuthoritySeed { now, ..seed() });
        assert!(matches!(
            error,
            Err(AuthorityError::Issue(IssueError::BadValidity(_)))
        ));
    }
}

#[test]
fn debug_output_has_no_secret() {
    let pki = Pki::new();
    let seed = AuthoritySeed {
        key: key(),
        serial: serial(),
        now: NOW,
    };
    let shown = format!("{:?} {seed:?}", pki.root);
    assert!(shown.contains("td.example"));
    assert!(shown.len() < 500, "{shown}");
}

#[test]
fn a_master_below_a_cross_signed_authority_leads_to_either_root_and_to_no_third() {
    use crate::{bundle::TrustBundle, chain::verify_master, testing::der_of};

    let (old, other) = (Pki::new(), Pki::new());
    let new = Authority::create_root(&"td.example".parse().unwrap(), seed()).unwrap();
    let cross = new.cross_sign(&old.infra, NOW).unwrap();
    let chain = [old.master().der, der_of(&old.infra), cross];
    let bundle = |roots: &[&Authority]| {
        let roots = roots.iter().map(|root| der_of(root)).collect();
        TrustBundle::new(roots, LOG_KEY).unwrap()
    };
    let dialled = "192.168.1.10".parse().unwrap();
    for roots in [&[&old.root][..], &[&new], &[&old.root, &new]] {
        assert!(verify_master(&chain, &bundle(roots), dialled, NOW).is_ok());
    }
    assert!(verify_master(&chain, &bundle(&[&other.root]), dialled, NOW).is_err());
    assert!(matches!(
        new.cross_sign(&old.containers, NOW),
        Err(AuthorityError::NotCrossSigned(_))
    ));
    assert!(matches!(
        old.infra.cross_sign(&old.infra, NOW),
        Err(AuthorityError::NotARoot(_))
    ));
}
