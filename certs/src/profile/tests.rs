use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::*;
use crate::testing::{Pki, container_leaf, csr, held, ip, key, serial};

#[test]
fn a_containers_certificate_is_as_the_profile_says() {
    let pki = Pki::new();
    let (key, leaf) = (key(), container_leaf());
    let issued = pki.containers.issue_container(&csr(&key), &leaf).unwrap();
    assert_eq!(issued.subject, leaf.subject());
    assert_eq!(issued.serial, leaf.serial);
    assert_eq!(issued.spki_sha256, key.public_key().spki_sha256());
    assert_eq!(issued.issuer_key_id, pki.containers.key_id());
    assert_eq!(
        issued.not_before,
        UnixMs(leaf.started_at_ms.0 / 1000 * 1000)
    );

    let (_, read) = X509Certificate::from_der(&issued.der).unwrap();
    let subject = read.subject().to_string();
    assert_eq!(subject, format!("serialNumber={}", leaf.container));
    assert_eq!(read.raw_serial_as_string().replace(':', ""), {
        let mut text = leaf.serial.to_string();
        while text.starts_with("00") {
            text.drain(..2);
        }
        text
    });
}

#[test]
fn the_check_notices_every_field_that_differs() {
    let pki = Pki::new();
    let (key, leaf) = (key(), container_leaf());
    let issued = pki.containers.issue_container(&csr(&key), &leaf).unwrap();
    let check = |leaf: &ContainerLeaf| {
        check_container_leaf(&issued.der, key.public_key(), leaf, &pki.containers)
    };
    assert_eq!(check(&leaf), Ok(()));

    type Change = fn(&mut ContainerLeaf);
    let changes: [Change; 11] = [
        |leaf| leaf.trust_domain = "other".parse().unwrap(),
        |leaf| leaf.host = "h2".parse().unwrap(),
        |leaf| leaf.container = ContainerId::from_bytes([1; 32]),
        |leaf| leaf.addresses[0].epoch += 1,
        |leaf| leaf.addresses[1] = held("backend", "10.1.2.4", 1),
        |leaf| leaf.ips[0] = ip("172.17.0.6"),
        |leaf| leaf.ips.truncate(1),
        |leaf| leaf.started_at_ms.0 += 1,
        |leaf| leaf.image_digest.push('0'),
        |leaf| leaf.validity.not_after.0 += 1000,
        |leaf| leaf.serial = serial(),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = leaf.clone();
        change(&mut other);
        assert!(check(&other).is_err(), "change {number}");
    }
    let stranger = crate::testing::key();
    let theirs = &Pki::new().containers;
    assert!(
        check_container_leaf(&issued.der, stranger.public_key(), &leaf, &pki.containers).is_err()
    );
    assert!(check_container_leaf(&issued.der, key.public_key(), &leaf, theirs).is_err());
}

#[test]
fn a_shared_address_gives_an_identity_without_ip() {
    let pki = Pki::new();
    let leaf = ContainerLeaf {
        ips: vec![],
        addresses: vec![],
        image_digest: String::new(),
        ..container_leaf()
    };
    let issued = pki.containers.issue_container(&csr(&key()), &leaf).unwrap();
    let peer = crate::identity::peer_identity(&issued.der).unwrap();
    assert_eq!(peer.ips, Vec::<IpAddr>::new());
}

#[test]
fn an_ip_that_is_not_held_not_permitted_or_nobodys_is_refused() {
    let pki = Pki::new();
    let issue = |ips: &[&str], held_ips: &[&str]| {
        let leaf = ContainerLeaf {
            ips: ips.iter().map(|text| ip(text)).collect(),
            addresses: held_ips.iter().map(|ip| held("n", ip, 1)).collect(),
            ..container_leaf()
        };
        pki.containers.issue_container(&csr(&key()), &leaf)
    };
    assert!(issue(&["172.17.0.5"], &["172.17.0.5", "127.0.0.1"]).is_ok());
    assert_eq!(
        issue(&["172.18.0.5"], &["172.18.0.5"]),
        Err(IssueError::NotPermitted(ip("172.18.0.5")))
    );
    for (ips, held_ips) in [
        (&["172.17.0.5"][..], &["172.17.0.6"][..]),
        (&["172.17.0.5", "172.17.0.5"], &["172.17.0.5"]),
        (&["::ffff:172.17.0.5"], &["172.17.0.5"]),
        (&["0.0.0.0"], &["0.0.0.0"]),
        (&["224.0.0.1"], &["224.0.0.1"]),
    ] {
        let error = issue(ips, held_ips).unwrap_err();
        assert!(
            matches!(error, IssueError::BadIp { .. }),
            "{ips:?}: {error}"
        );
    }
}

#[test]
fn an_authority_issues_only_its_own_kind_in_its_own_trust_domain() {
    let pki = Pki::new();
    let csr = csr(&key());
    for other in [&pki.infra, &pki.root] {
        assert!(matches!(
            other.issue_container(&csr, &container_leaf()),
            Err(IssueError::WrongAuthority { .. })
        ));
    }
    let (name, terms) = ("m1".parse().unwrap(), crate::testing::terms());
    assert!(matches!(
        pki.containers.issue_host(csr.public_key(), &name, terms),
        Err(IssueError::WrongAuthority { .. })
    ));
    let foreign = ContainerLeaf {
        trust_domain: "other.example".parse().unwrap(),
        ..container_leaf()
    };
    assert!(matches!(
        pki.containers.issue_container(&csr, &foreign),
        Err(IssueError::WrongTrustDomain { .. })
    ));
}

#[test]
fn a_validity_lies_within_its_authoritys() {
    let pki = Pki::new();
    let long = Validity::backdated(crate::testing::NOW, 91 * 24 * 3_600_000);
    let mut leaf = ContainerLeaf {
        validity: long,
        ..container_leaf()
    };
    let csr = csr(&key());
    assert!(matches!(
        pki.containers.issue_container(&csr, &leaf),
        Err(IssueError::OutlivesAuthority { .. })
    ));
    leaf.validity = long.within(pki.containers.not_after());
    assert!(pki.containers.issue_container(&csr, &leaf).is_ok());
    leaf.validity.not_after = leaf.validity.not_before;
    assert!(matches!(
        pki.containers.issue_container(&csr, &leaf),
        Err(IssueError::BadValidity(_))
    ));
}

#[test]
fn a_certificate_is_bounded() {
    let pki = Pki::new();
    let csr = csr(&key());
    let digest = ContainerLeaf {
        image_digest: "x".repeat(257),
        ..container_leaf()
    };
    assert!(matches!(
        pki.containers.issue_container(&csr, &digest),
        Err(IssueError::TooLong { .. })
    ));
    let addresses = ContainerLeaf {
        addresses: vec![held("n", "172.17.0.5", 1); 65],
        ips: vec![],
        ..container_leaf()
    };
    assert_eq!(
        pki.containers.issue_container(&csr, &addresses),
        Err(IssueError::TooManyIps(65))
    );
}

#[test]
fn every_small_serial_survives() {
    let pki = Pki::new();
    let csr = csr(&key());
    for at in 0..16 {
        for byte in [0x01, 0x7f, 0x80, 0xff] {
            let mut bytes = [0; 16];
            bytes[at] = byte;
            let serial = Serial::from_bytes(bytes);
            let leaf = ContainerLeaf {
                serial,
                ..container_leaf()
            };
            match pki.containers.issue_container(&csr, &leaf) {
                Ok(issued) => {
                    let peer = crate::identity::peer_identity(&issued.der).unwrap();
                    assert_eq!(peer.serial, serial);
                }
                Err(error) => {
                    assert_eq!(error, IssueError::BadSerial(serial));
                    assert!(at == 0 && byte >= 0x80);
                }
            }
        }
    }
}
