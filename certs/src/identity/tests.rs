use dockmaster_proto::id::ContainerId;
use proptest::prelude::*;

use super::*;
use crate::{
    profile::ContainerLeaf,
    testing::{self, Pki, container_leaf, forge, forge_with, ip, uri},
};

#[test]
fn a_container_is_who_its_host_attested() {
    let pki = Pki::new();
    let issued = pki.container();
    let leaf = container_leaf();
    let peer = peer_identity(&issued.der).unwrap();
    assert_eq!(peer.id, leaf.subject());
    assert_eq!(peer.serial, issued.serial);
    assert_eq!(peer.not_after, issued.not_after);
    assert_eq!(peer.ips, leaf.ips);
    assert_eq!(peer.addresses, leaf.addresses);
    assert_eq!(peer.role, None);
}

#[test]
fn an_operator_has_a_role_and_nobody_else_has() {
    let pki = Pki::new();
    let operator = peer_identity(&pki.operator().der).unwrap();
    assert_eq!(operator.role.unwrap().as_str(), "admin");
    assert_eq!(operator.id.to_string(), "spiffe://td.example/operator/ada");
    for other in [pki.master(), pki.host()] {
        assert_eq!(peer_identity(&other.der).unwrap().role, None);
    }
}

#[test]
fn names_beside_one_spiffe_id_and_ips_are_refused() {
    let pki = Pki::new();
    let id = || uri("spiffe://td.example/master/m1");
    let dns = rcgen::SanType::DnsName("m1.example".try_into().unwrap());
    let address = rcgen::SanType::IpAddress(ip("10.0.0.1"));
    let mail = rcgen::SanType::Rfc822Name("a@b.example".try_into().unwrap());
    for names in [
        vec![],
        vec![address.clone()],
        vec![id(), dns],
        vec![id(), mail],
        vec![id(), id()],
        vec![id(), rcgen::SanType::IpAddress(ip("::ffff:10.0.0.1"))],
    ] {
        let shown = format!("{names:?}");
        let der = forge(&pki.infra, names);
        assert_eq!(peer_identity(&der), Err(IdentityError::Names), "{shown}");
    }
    assert!(peer_identity(&forge(&pki.infra, vec![id(), address])).is_ok());
    assert!(matches!(
        peer_identity(&forge(
            &pki.infra,
            vec![uri("https://td.example/master/m1")]
        )),
        Err(IdentityError::NotOurs(_))
    ));
}

#[test]
fn a_container_or_operator_without_its_extension_contradicts_itself() {
    let pki = Pki::new();
    let container = format!("spiffe://td.example/host/h1/container/{}", "c5".repeat(32));
    for id in [container.as_str(), "spiffe://td.example/operator/ada"] {
        assert_eq!(
            peer_identity(&forge(&pki.infra, vec![uri(id)])),
            Err(IdentityError::Contradiction)
        );
    }
}

#[test]
fn spiffe_id_subject_and_extension_must_name_one_container() {
    let pki = Pki::new();
    let leaf = container_leaf();
    let other_container = ContainerLeaf {
        container: ContainerId::from_bytes([1; 32]),
        ..leaf.clone()
    };
    let other_host = ContainerLeaf {
        host: "h2".parse().unwrap(),
        ..leaf.clone()
    };
    let read = |uri_of: &ContainerLeaf, subject_of: &ContainerLeaf, attested: &ContainerLeaf| {
        let content = ContainerExtension::of(attested).to_der();
        let extension = rcgen::CustomExtension::from_oid_content(oid::CONTAINER_EXTENSION, content);
        peer_identity(&forge_with(
            &pki.containers,
            vec![uri(&uri_of.subject().to_string())],
            &subject_of.container.to_string(),
            vec![extension],
        ))
    };
    assert!(read(&leaf, &leaf, &leaf).is_ok());
    for (uri_of, subject_of, attested) in [
        (&other_container, &leaf, &leaf),
        (&leaf, &other_container, &leaf),
        (&leaf, &leaf, &other_container),
        (&leaf, &leaf, &other_host),
    ] {
        assert_eq!(
            read(uri_of, subject_of, attested),
            Err(IdentityError::Contradiction)
        );
    }
}

#[test]
fn an_authority_is_no_peer() {
    let pki = Pki::new();
    for authority in [&pki.root, &pki.containers, &pki.infra] {
        assert!(peer_identity(authority.certificate()).is_err());
    }
}

proptest! {
    #[test]
    fn no_changed_bytes_make_the_reader_panic(
        changes in prop::collection::vec((0_usize..2048, any::<u8>()), 1..4),
    ) {
        static LEAF: std::sync::LazyLock<Vec<u8>> =
            std::sync::LazyLock::new(|| Pki::new().container().der.to_vec());
        let mut der = LEAF.clone();
        for (at, to) in changes {
            let at = at % der.len();
            der[at] = to;
        }
        let _ = peer_identity(&der);
        let _ = crate::authority::AuthorityFacts::parse(&der);
    }

    #[test]
    fn no_bytes_are_a_peer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(peer_identity(&bytes).is_err());
    }
}

#[test]
fn a_megabyte_is_not_parsed() {
    let mut der = testing::der_of(&Pki::new().root).to_vec();
    der.resize(1 << 20, 0);
    assert_eq!(peer_identity(&der), Err(IdentityError::Unreadable));
}
