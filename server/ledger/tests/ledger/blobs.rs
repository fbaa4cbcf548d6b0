use std::fs;
use std::path::PathBuf;

use dockmaster_ledger::{BlobError, Digest, MAX_BLOB_BYTES};

use crate::fixture::Fixture;

fn file(fixture: &Fixture, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    let blobs = fixture.public().join("../../blobs");
    blobs.join(&name[..2]).join(&name[2..])
}

#[test]
fn a_document_is_kept_under_the_digest_of_its_content() {
    let fixture = Fixture::new();
    let opened = fixture.open().unwrap();
    let digest = opened.blobs().put(b"a site").unwrap();
    assert_eq!(digest, Digest::of(b"a site"));
    assert_eq!(fs::read(file(&fixture, &digest)).unwrap(), b"a site");
    assert_eq!(opened.blobs().put(b"a site").unwrap(), digest);
    drop(opened);
    let opened = fixture.open().unwrap();
    assert!(opened.blobs().contains(&digest).unwrap());
    assert_eq!(opened.blobs().get(&digest).unwrap().unwrap(), b"a site");
}

#[test]
fn a_damaged_document_is_never_given_out_and_is_mended_by_putting_it_again() {
    let fixture = Fixture::new();
    let opened = fixture.open().unwrap();
    let digest = opened.blobs().put(b"a site").unwrap();
    fs::write(file(&fixture, &digest), b"a sit").unwrap();
    let damaged = opened.blobs().get(&digest).unwrap_err();
    assert!(matches!(damaged, BlobError::Damaged { .. }), "{damaged}");
    opened.blobs().put(b"a site").unwrap();
    assert_eq!(opened.blobs().get(&digest).unwrap().unwrap(), b"a site");
}

#[test]
fn a_document_beyond_the_limit_is_refused() {
    let fixture = Fixture::new();
    let opened = fixture.open().unwrap();
    let refusal = opened
        .blobs()
        .put(&vec![0; MAX_BLOB_BYTES + 1])
        .unwrap_err();
    assert!(matches!(refusal, BlobError::TooLong(_)), "{refusal}");
}

#[test]
fn a_digest_has_exactly_one_spelling() {
    let digest = Digest::of(b"");
    let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(digest.to_string(), text);
    assert_eq!(text.parse(), Ok(digest));
    for other in [
        &text[1..],
        &text.to_uppercase(),
        &text.replace('e', "g"),
        "",
    ] {
        assert!(other.parse::<Digest>().is_err(), "{other}");
    }
}
