use super::*;
use crate::testing::{NOW, Pki, chain, csr, der_of, forge, ip, key, uri};

const MASTER_IP: &str = "192.168.1.10";

#[test]
fn a_master_is_accepted_at_each_of_its_addresses() {
    let pki = Pki::new();
    let chain = chain(&pki.master(), &pki.infra);
    for address in [MASTER_IP, "fd00::10", "::ffff:192.168.1.10"] {
        let peer = verify_master(&chain, &pki.bundle, ip(address), NOW).unwrap();
        assert_eq!(peer.id.to_string(), "spiffe://td.example/master/m1");
    }
    let error = verify_master(&chain, &pki.bundle, ip("192.168.1.11"), NOW).unwrap_err();
    assert!(matches!(error, ChainError::WrongAddress { .. }), "{error}");
}

#[test]
fn everybody_is_known_as_a_client() {
    let pki = Pki::new();
    for (leaf, authority) in [
        (pki.container(), &pki.containers),
        (pki.master(), &pki.infra),
        (pki.operator(), &pki.infra),
        (pki.host(), &pki.infra),
    ] {
        let peer = verify_client(&chain(&leaf, authority), &pki.bundle, NOW).unwrap();
        assert_eq!(peer.id, leaf.subject);
        assert_eq!(peer.serial, leaf.serial);
    }
}

#[test]
fn a_container_never_passes_for_a_master() {
    let pki = Pki::new();
    let chain = chain(&pki.container(), &pki.containers);
    let error = verify_master(&chain, &pki.bundle, ip("172.17.0.5"), NOW).unwrap_err();
    assert!(matches!(error, ChainError::NotAMaster(_)), "{error}");
}

#[test]
fn operators_and_hosts_are_no_servers() {
    let pki = Pki::new();
    for leaf in [pki.operator(), pki.host()] {
        let chain = chain(&leaf, &pki.infra);
        let error = verify_master(&chain, &pki.bundle, ip(MASTER_IP), NOW).unwrap_err();
        assert!(matches!(error, ChainError::Path(_)), "{error}");
    }
}

#[test]
fn the_stolen_key_of_the_container_authority_makes_no_master_and_no_host() {
    let pki = Pki::new();
    let inside = rcgen::SanType::IpAddress(ip("172.17.0.9"));
    let master = forge(
        &pki.containers,
        vec![uri("spiffe://td.example/master/m1"), inside],
    );
    let chain = [master, der_of(&pki.containers)];
    let error = verify_master(&chain, &pki.bundle, ip("172.17.0.9"), NOW).unwrap_err();
    assert!(
        matches!(error, ChainError::WrongAuthority { .. }),
        "{error}"
    );

    let host = forge(&pki.containers, vec![uri("spiffe://td.example/host/h1")]);
    let chain = [host, der_of(&pki.containers)];
    let error = verify_client(&chain, &pki.bundle, NOW).unwrap_err();
    assert!(
        matches!(error, ChainError::WrongAuthority { .. }),
        "{error}"
    );
}

#[test]
fn the_stolen_key_of_the_container_authority_certifies_no_other_ip_and_no_dns_name() {
    let pki = Pki::new();
    let id = || uri("spiffe://td.example/master/m1");
    for name in [
        rcgen::SanType::IpAddress(ip(MASTER_IP)),
        rcgen::SanType::IpAddress(ip("fd00::10")),
        rcgen::SanType::DnsName("www.example.com".try_into().unwrap()),
    ] {
        let shown = format!("{name:?}");
        let chain = [
            forge(&pki.containers, vec![id(), name]),
            der_of(&pki.containers),
        ];
        assert_eq!(
            verify_client(&chain, &pki.bundle, NOW),
            Err(ChainError::Path(webpki::Error::NameConstraintViolation)),
            "{shown}"
        );
    }
}

#[test]
fn another_installation_is_not_trusted() {
    let (ours, theirs) = (Pki::new(), Pki::new());
    let chain = chain(&theirs.master(), &theirs.infra);
    assert_eq!(
        verify_master(&chain, &ours.bundle, ip(MASTER_IP), NOW),
        Err(ChainError::Path(webpki::Error::UnknownIssuer))
    );
}

#[test]
fn another_trust_domain_under_our_root_is_not_trusted() {
    let pki = Pki::new();
    let leaf = forge(&pki.infra, vec![uri("spiffe://other.example/master/m1")]);
    let error = verify_client(&[leaf, der_of(&pki.infra)], &pki.bundle, NOW).unwrap_err();
    assert!(matches!(error, ChainError::TrustDomain { .. }), "{error}");
}

#[test]
fn a_leaf_signed_by_the_root_itself_is_not_accepted() {
    let pki = Pki::new();
    let leaf = forge(&pki.root, vec![uri("spiffe://td.example/master/m1")]);
    assert_eq!(
        verify_client(&[leaf], &pki.bundle, NOW),
        Err(ChainError::NoIntermediate)
    );
}

#[test]
fn an_expired_certificate_and_one_of_the_future_are_refused() {
    let pki = Pki::new();
    let leaf = pki.container();
    let chain = chain(&leaf, &pki.containers);
    for now in [leaf.not_before, leaf.not_after] {
        assert!(verify_client(&chain, &pki.bundle, now).is_ok());
    }
    for now in [
        UnixMs(leaf.not_before.0 - 1000),
        leaf.not_after.plus_ms(1000),
    ] {
        let error = verify_client(&chain, &pki.bundle, now).unwrap_err();
        assert!(matches!(error, ChainError::Path(_)), "{error}");
    }
}

#[test]
fn a_chain_is_bounded() {
    let pki = Pki::new();
    assert_eq!(
        verify_client(&[], &pki.bundle, NOW),
        Err(ChainError::Size(0))
    );
    let long = vec![der_of(&pki.infra); 5];
    assert_eq!(
        verify_client(&long, &pki.bundle, NOW),
        Err(ChainError::Size(5))
    );
    let large = [CertificateDer::from(vec![0x30; 1 << 20])];
    assert_eq!(
        verify_client(&large, &pki.bundle, NOW),
        Err(ChainError::Size(1))
    );
}

#[test]
fn a_chain_without_its_intermediate_is_refused() {
    let pki = Pki::new();
    let leaf = pki.infra.issue_host(
        csr(&key()).public_key(),
        &"h1".parse().unwrap(),
        crate::testing::terms(),
    );
    assert_eq!(
        verify_client(&[leaf.unwrap().der], &pki.bundle, NOW),
        Err(ChainError::Path(webpki::Error::UnknownIssuer))
    );
}
