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

#[test]
fn a_repair_takes_nothing_away_that_an_index_knows() {
    let fixture = Fixture::new();
    append(&fixture.open(), 0..20).unwrap();
    let path = fixture.packs().join("0000000000.pack");
    let packs = fixture.open();
    // The header of the first document: the index alone knows it now.
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(packs.repair().unwrap(), [] as [PathBuf; 0]);
    check(&packs, 0..20);
    check(&fixture.open(), 0..20);
    // And the document itself: damaged, and not never there.
    bytes[60] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(packs.repair().unwrap(), [] as [PathBuf; 0]);
    let digest = Digest::of(&document(0));
    assert_eq!(packs.get(&digest).unwrap(), Found::Damaged(path));
}

#[test]
fn a_repair_that_finds_more_than_an_index_knew_serves_it_at_once() {
    let fixture = Fixture::new();
    append(&fixture.open(), 0..20).unwrap();
    let index = fixture.packs().join("0000000000.index");
    fs::write(&index, index::encode(&Places::new())).unwrap();
    let packs = fixture.open();
    let digest = Digest::of(&document(0));
    assert_eq!(packs.get(&digest).unwrap(), Found::Nowhere);
    assert_eq!(packs.repair().unwrap(), [index]);
    check(&packs, 0..20);
}

/// Puts a folder in a file's place: it opens, and every read of it is an error.
fn make_unreadable(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}

#[test]
fn a_pack_that_cannot_be_read_is_no_reason_not_to_start_and_hides_no_other_copy() {
    let fixture = Fixture::new();
    append(&fixture.open(), 0..3).unwrap();
    append(&fixture.open(), 3..9).unwrap();
    append(&fixture.open(), 0..3).unwrap();
    append(&fixture.open(), [30]).unwrap();
    let names = fixture.names();
    let last = names.iter().rfind(|name| name.ends_with(PACK)).unwrap();
    let bytes = fs::read(fixture.packs().join(last)).unwrap();
    make_unreadable(&fixture.packs().join(last));
    let packs = fixture.open();
    check(&packs, 0..3);
    append(&packs, 9..12).unwrap();
    check(&packs, 9..12);
    let packs = fixture.open();
    check(&packs, (0..3).chain(9..12));
    // No index was made of what could not be read, so that all is there when it can be.
    let unreadable = fixture.packs().join(last);
    assert!(!fixture.packs().join(last.replace(PACK, INDEX)).exists());
    fs::remove_dir(&unreadable).unwrap();
    fs::write(&unreadable, &bytes).unwrap();
    check(&fixture.open(), (0..3).chain(9..12).chain([30]));

    // A sealed one with a good index, and a copy in an older one.
    let fixture = Fixture::new();
    append(&fixture.open(), 0..9).unwrap();
    append(&fixture.open(), 0..9).unwrap();
    append(&fixture.open(), 20..24).unwrap();
    let packs = fixture.open();
    let sealed: Vec<_> = fixture
        .names()
        .into_iter()
        .filter(|name| name.ends_with(INDEX))
        .collect();
    let newer = sealed[sealed.len() - 2].replace(INDEX, PACK);
    make_unreadable(&fixture.packs().join(newer));
    check(&packs, 0..9);
}

#[test]
fn what_is_whole_is_written_again_over_itself_and_nothing_else_is() {
    let fixture = Fixture::new();
    append(&fixture.open(), 0..9).unwrap();
    let packs = fixture.open();
    let path = fixture.packs().join("0000000000.pack");
    let before = fs::read(&path).unwrap();
    for number in 0..9 {
        let document = document(number);
        assert!(packs.rewrite(&Digest::of(&document), &document).unwrap());
    }
    assert!(!packs.rewrite(&Digest::of(b"x"), b"x").unwrap());
    assert_eq!(fs::read(&path).unwrap(), before);
    // All of it is synced, and by the files that were written to.
    assert!(!packs.lock().unsynced.is_empty());
    packs.sync().unwrap();
    assert!(packs.lock().unsynced.is_empty());

    let mut bytes = before;
    bytes[50] ^= 1;
    fs::write(&path, bytes).unwrap();
    let document = document(0);
    assert!(!packs.rewrite(&Digest::of(&document), &document).unwrap());
}

#[test]
fn a_pack_that_cannot_be_written_to_is_followed_by_the_next() {
    let mut fixture = Fixture::new();
    append(&fixture.open(), 0..2).unwrap();
    let broken = fixture.packs().join("0000000000.pack");
    fixture.config.watch = Some(Arc::new(move |operation| {
        if operation.act == Act::Write && operation.path == broken {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(())
    }));
    let packs = fixture.open();
    append(&packs, [2]).unwrap_err();
    append(&packs, 2..4).unwrap();
    check(&packs, 0..4);
    check(&fixture.open(), 0..4);
}

#[test]
fn no_pack_is_ever_written_over() {
    let fixture = Fixture::new();
    append(&fixture.open(), 0..2).unwrap();
    let last = fixture.packs().join("4294967295.pack");
    fs::rename(fixture.packs().join("0000000000.pack"), &last).unwrap();
    let packs = fixture.open();
    append(&packs, 2..9).unwrap_err();
    check(&packs, 0..2);
    let packs = fixture.open();
    check(&packs, 0..2);
}
