use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::config::Config;
use dockmaster_tlog::note::{KeyName, SigningKey};
use tempfile::TempDir;

/// So that a few documents fill a pack.
const SMALL: u64 = 400;

struct Fixture {
    dir: TempDir,
    config: Config,
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        let key = SigningKey::from_seed(KeyName::new("example.org/log").unwrap(), &[7; 32]);
        let path = |name| dir.path().join(name);
        let config = Config::new(path("ledger"), path("blobs"), key, Arc::new(|| 1));
        Self { dir, config }
    }

    fn open(&self) -> Packs {
        let (dir, tmp) = (self.packs(), self.dir.path().join("tmp"));
        Packs::open(dir, tmp, Arc::new(Disk::new(&self.config)), SMALL).unwrap()
    }

    fn packs(&self) -> PathBuf {
        self.dir.path().join("packs")
    }

    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(self.packs()).unwrap();
        let mut names: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn document(number: u8) -> Vec<u8> {
    vec![number; 60 + usize::from(number)]
}

fn append(packs: &Packs, numbers: impl IntoIterator<Item = u8>) -> Result<(), FileError> {
    let documents: Vec<_> = numbers.into_iter().map(document).collect();
    let digests: Vec<_> = documents.iter().map(|it| Digest::of(it)).collect();
    packs.append(digests.iter().zip(documents.iter().map(Vec::as_slice)))
}

#[track_caller]
fn check(packs: &Packs, numbers: impl IntoIterator<Item = u8>) {
    for number in numbers {
        let digest = Digest::of(&document(number));
        assert_eq!(packs.get(&digest).unwrap(), Found::Whole(document(number)));
        assert!(packs.contains(&digest).unwrap());
    }
    let other = Digest::of(b"never here");
    assert_eq!(packs.get(&other).unwrap(), Found::Nowhere);
    assert!(!packs.contains(&other).unwrap());
}

#[test]
fn documents_are_found_in_whichever_pack_they_are_also_in_the_next_life() {
    let fixture = Fixture::new();
    check(&fixture.open(), []);
    let packs = fixture.open();
    for number in 0..20 {
        append(&packs, [number]).unwrap();
        check(&packs, 0..=number);
    }
    // As many at once as fill several packs.
    append(&packs, 20..40).unwrap();
    check(&packs, 0..40);
    let names = fixture.names();
    assert!(
        names.len() > 10 && names[0] == "0000000000.index",
        "{names:?}"
    );
    let packs = fixture.open();
    check(&packs, 0..40);
    append(&packs, 40..50).unwrap();
    check(&packs, 0..50);
    check(&fixture.open(), 0..50);
}

#[test]
fn a_lost_or_damaged_index_is_made_again() {
    let fixture = Fixture::new();
    append(&fixture.open(), 0..20).unwrap();
    let indexes: Vec<_> = fixture
        .names()
        .into_iter()
        .filter(|name| name.ends_with(INDEX))
        .map(|name| fixture.packs().join(name))
        .collect();
    let whole: Vec<_> = indexes.iter().map(|path| fs::read(path).unwrap()).collect();
    fs::remove_file(&indexes[0]).unwrap();
    fs::write(&indexes[1], b"rotten").unwrap();
    let packs = fixture.open();
    check(&packs, 0..20);
    fs::write(&indexes[1], &whole[0]).unwrap();
    assert_eq!(packs.repair().unwrap(), [indexes[1].clone()]);
    check(&packs, 0..20);
    for (path, whole) in indexes.iter().zip(whole) {
        assert_eq!(fs::read(path).unwrap(), whole);
    }
}

#[test]
fn damage_is_told_from_absence_and_mended_by_appending_again() {
    let fixture = Fixture::new();
    append(&fixture.open(), 0..9).unwrap();
    let path = fixture.packs().join("0000000000.pack");
    let mut bytes = fs::read(&path).unwrap();
    bytes[50] ^= 1;
    fs::write(&path, bytes).unwrap();
    let packs = fixture.open();
    let digest = Digest::of(&document(0));
    assert_eq!(packs.get(&digest).unwrap(), Found::Damaged(path.clone()));
    check(&packs, 1..9);
    append(&packs, [0]).unwrap();
    check(&packs, 0..9);
    // A sealed pack that lost its end.
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    check(&packs, [0]);
    append(&packs, 0..9).unwrap();
    check(&packs, 0..9);
}

#[test]
fn a_pack_that_ends_in_the_middle_of_a_document_goes_on_before_it() {
    let fixture = Fixture::new();
    append(&fixture.open(), 0..3).unwrap();
    let path = fixture.packs().join("0000000000.pack");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let packs = fixture.open();
        append(&packs, 7..9).unwrap();
        check(&packs, 7..9);
        check(&fixture.open(), 7..9);
    }
}

#[test]
fn what_could_not_be_written_leaves_nothing_behind() {
    let mut fixture = Fixture::new();
    append(&fixture.open(), 0..2).unwrap();
    let path = fixture.packs().join("0000000000.pack");
    let whole = fs::read(&path).unwrap();
    let is_full = Arc::new(AtomicBool::new(true));
    let (full, torn) = (is_full.clone(), path.clone());
    fixture.config.watch = Some(Arc::new(move |operation| {
        if operation.act == Act::Write && full.load(Ordering::Relaxed) {
            let mut half = fs::read(&torn).unwrap();
            let mut begun = Vec::new();
            record::push(&mut begun, half.len() as u64, &Digest::of(b"x"), &[0; 500]).unwrap();
            half.extend_from_slice(&begun[..200]);
            fs::write(&torn, half).unwrap();
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }));
    let packs = fixture.open();
    let error = append(&packs, [2]).unwrap_err();
    assert!(error.is_no_space() && error.path == path, "{error}");
    assert_eq!(fs::read(&path).unwrap(), whole);
    is_full.store(false, Ordering::Relaxed);
    append(&packs, 2..4).unwrap();
    check(&packs, 0..4);
    check(&fixture.open(), 0..4);
}
