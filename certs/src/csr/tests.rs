use proptest::prelude::*;
use rcgen::{
    Attribute, BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData as _, SanType,
};

use super::*;
use crate::testing;

const BINDING: [u8; 32] = [0x5a; 32];
const CHALLENGE_PASSWORD: &[u64] = &[1, 2, 840, 113549, 1, 9, 7];

/// A request as a general-purpose library makes it, with whatever a hostile client asks for.
fn foreign_request(key: &impl rcgen::SigningKey, params: &CertificateParams) -> Vec<u8> {
    let password = der::value(der::UTF8_STRING, STANDARD.encode(BINDING).as_bytes());
    let attribute = Attribute {
        oid: CHALLENGE_PASSWORD,
        values: der::value(der::SET, &password),
    };
    params
        .serialize_request_with_attributes(key, vec![attribute])
        .unwrap()
        .der()
        .to_vec()
}

/// A request with an arbitrary key, algorithm and signature.
fn raw_request(spki: &[u8], algorithm: &[u8]) -> Vec<u8> {
    let info = der::constructed(
        der::SEQUENCE,
        &[
            der::integer(0),
            der::value(der::SEQUENCE, &[]),
            spki.to_vec(),
            der::value(der::CONTEXT_0, &[]),
        ],
    );
    let signature = der::value(der::BIT_STRING, &[0; 65]);
    der::constructed(der::SEQUENCE, &[info, algorithm.to_vec(), signature])
}

#[test]
fn our_own_request_is_accepted_for_its_connection_only() {
    let key = testing::key();
    let der = create_request(&key, &BINDING).unwrap();
    let csr = VerifiedCsr::parse(&der, &BINDING).unwrap();
    assert_eq!(csr.public_key(), key.public_key());
    assert_eq!(csr.sha256(), Digest::of(&der));
    assert_eq!(
        VerifiedCsr::parse(&der, &[0; 32]),
        Err(CsrError::WrongBinding)
    );
}

#[test]
fn a_request_for_a_ca_with_foreign_names_yields_only_its_key() {
    let key = testing::key();
    let mut params = CertificateParams::new(vec!["master.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    params.subject_alt_names.push(SanType::URI(
        "spiffe://td.example/master/m1".try_into().unwrap(),
    ));
    let der = foreign_request(&key, &params);
    let csr = VerifiedCsr::parse(&der, &BINDING).unwrap();
    assert_eq!(csr.public_key().spki(), key.subject_public_key_info());
}

#[test]
fn a_request_is_der_to_its_last_byte() {
    let mut der = create_request(&testing::key(), &BINDING).unwrap();
    der.push(0);
    assert_eq!(
        VerifiedCsr::parse(&der, &BINDING),
        Err(CsrError::Malformed(DerError::Trailing))
    );
    der.truncate(der.len() - 2);
    assert_eq!(
        VerifiedCsr::parse(&der, &BINDING),
        Err(CsrError::Malformed(DerError::Truncated))
    );
}

#[test]
fn a_megabyte_is_refused_unread() {
    let der = vec![0x30; 1 << 20];
    assert_eq!(
        VerifiedCsr::parse(&der, &BINDING),
        Err(CsrError::TooLarge(1 << 20))
    );
}

#[test]
fn keys_on_other_curves_and_of_other_kinds_are_refused() {
    for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let der = foreign_request(&key, &CertificateParams::default());
        assert_eq!(
            VerifiedCsr::parse(&der, &BINDING),
            Err(CsrError::WrongKey),
            "{algorithm:?}"
        );
    }
    // rsaEncryption with a modulus of 2048 bits; the signature does not matter, the key is refused.
    let modulus = der::constructed(
        der::SEQUENCE,
        &[der::value(der::INTEGER, &[0x51; 256]), der::integer(65537)],
    );
    let rsa = der::constructed(
        der::SEQUENCE,
        &[
            b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00".to_vec(),
            der::value(der::BIT_STRING, &[&[0], &modulus[..]].concat()),
        ],
    );
    let sha256_with_rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00";
    assert_eq!(
        VerifiedCsr::parse(&raw_request(&rsa, sha256_with_rsa), &BINDING),
        Err(CsrError::WrongKey)
    );
}

#[test]
fn a_point_that_is_not_on_the_curve_proves_nothing() {
    let key = testing::key();
    let mut der = create_request(&key, &BINDING).unwrap();
    let spki = key.public_key().spki();
    let at = der
        .windows(spki.len())
        .position(|part| part == spki)
        .unwrap();
    der[at + 40] ^= 1;
    assert_eq!(
        VerifiedCsr::parse(&der, &BINDING),
        Err(CsrError::NoPossession)
    );
}

#[test]
fn the_signature_algorithm_is_the_one_of_the_profile() {
    let ecdsa_with_sha512 = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04";
    let der = raw_request(testing::key().public_key().spki(), ecdsa_with_sha512);
    assert_eq!(
        VerifiedCsr::parse(&der, &BINDING),
        Err(CsrError::WrongSignatureAlgorithm)
    );
}

#[test]
fn somebody_elses_key_cannot_be_requested() {
    let (mine, theirs) = (testing::key(), testing::key());
    let der = create_request(&theirs, &BINDING).unwrap();
    let mut outer = Reader::new(&der).enter(der::SEQUENCE).unwrap();
    let info = outer.expect(der::SEQUENCE).unwrap().whole.to_vec();
    let forged = signed(&mine, info).unwrap();
    assert_eq!(
        VerifiedCsr::parse(&forged, &BINDING),
        Err(CsrError::NoPossession)
    );
}

#[test]
fn a_request_without_exactly_one_binding_is_refused() {
    let key = testing::key();
    let der = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    assert_eq!(
        VerifiedCsr::parse(der.der(), &BINDING),
        Err(CsrError::NoBinding)
    );

    let password = der::value(der::PRINTABLE_STRING, STANDARD.encode(BINDING).as_bytes());
    let attribute = || Attribute {
        oid: CHALLENGE_PASSWORD,
        values: der::value(der::SET, &password),
    };
    let twice = CertificateParams::default()
        .serialize_request_with_attributes(&key, vec![attribute(), attribute()])
        .unwrap();
    assert_eq!(
        VerifiedCsr::parse(twice.der(), &BINDING),
        Err(CsrError::Malformed(DerError::Value(
            "a second challengePassword"
        )))
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(VerifiedCsr::parse(&bytes, &BINDING).is_err());
    }

    #[test]
    fn any_changed_byte_makes_a_request_invalid(at in 0_usize..4096, flip in 1_u8..) {
        let mut der = create_request(testing::fixed_key(), &BINDING).unwrap();
        let at = at % der.len();
        der[at] ^= flip;
        prop_assert!(VerifiedCsr::parse(&der, &BINDING).is_err());
    }
}
