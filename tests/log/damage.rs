//! A copy of a real log with something wrong in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dockmaster_tests::require_all;

use crate::stage::Stage;

/// A copy of a published log.
struct Copy {
    dir: tempfile::TempDir,
    files: Vec<PathBuf>,
}

impl Copy {
    fn of(public: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut folders, mut files) = (vec![PathBuf::new()], Vec::new());
        while let Some(folder) = folders.pop() {
            fs::create_dir_all(dir.path().join(&folder)).unwrap();
            for entry in fs::read_dir(public.join(&folder)).unwrap() {
                let name = folder.join(entry.unwrap().file_name());
                if public.join(&name).is_dir() {
                    folders.push(name);
                } else {
                    fs::copy(public.join(&name), dir.path().join(&name)).unwrap();
                    files.push(name);
                }
            }
        }
        files.sort();
        Self { dir, files }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The files that count at this size: older partial ones lie about until a full one comes.
    fn in_use(&self, size: u64) -> Vec<PathBuf> {
        use dockmaster_tlog::tile::{entries_between, tiles_between};

        let tiles = tiles_between(0, size).into_iter().map(|it| it.path());
        let bundles = entries_between(0, size).into_iter().map(|it| it.path());
        let paths: Vec<PathBuf> = tiles.chain(bundles).map(PathBuf::from).collect();
        assert!(paths.iter().all(|path| self.files.contains(path)));
        paths
    }
}

/// A change of a file, and what it is.
type Damage = (&'static str, fn(&mut Vec<u8>));

/// What can become of a file.
const DAMAGES: [Damage; 5] = [
    ("its first byte changed", |file| file[0] ^= 1),
    ("a byte in the middle changed", |file| {
        let middle = file.len() / 2;
        file[middle] ^= 0x80;
    }),
    ("its last byte changed", |file| {
        *file.last_mut().unwrap() ^= 1;
    }),
    ("its last byte lost", |file| {
        file.pop();
    }),
    ("a byte too many", |file| file.push(0)),
];

#[test]
fn a_changed_lost_or_added_byte_of_any_file_is_noticed() {
    if !require_all(&["go"]) {
        return;
    }
    let stage = Stage::grown(4_000);
    let verifier = stage.verifier();
    let copy = Copy::of(&stage.public());
    let size = stage.head().size;
    let _ = verifier.folder(copy.root()).ok();
    for name in copy.in_use(size) {
        let path = copy.root().join(&name);
        let right = fs::read(&path).unwrap();
        for (what, damage) in DAMAGES {
            let mut wrong = right.clone();
            damage(&mut wrong);
            fs::write(&path, wrong).unwrap();
            let ran = verifier.folder(copy.root());
            assert_eq!(ran.code, 1, "{} with {what}: {ran:?}", name.display());
        }
        fs::remove_file(&path).unwrap();
        let ran = verifier.folder(copy.root());
        assert_eq!(ran.code, 1, "without {}: {ran:?}", name.display());
        fs::write(&path, right).unwrap();
    }
    let _ = verifier.folder(copy.root()).ok();
}

#[test]
fn a_changed_byte_anywhere_in_the_checkpoint_is_noticed() {
    if !require_all(&["go"]) {
        return;
    }
    let stage = Stage::new(5_000);
    let verifier = stage.verifier();
    let copy = Copy::of(&stage.public());
    let path = copy.root().join("checkpoint");
    let right = fs::read(&path).unwrap();
    // The last digit of the signature has two bits that stand for nothing; then come "=" and the end
    // of the line.
    for at in 0..right.len() - 3 {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        fs::write(&path, &wrong).unwrap();
        let ran = verifier.folder(copy.root());
        assert_eq!(ran.code, 1, "byte {at}: {ran:?}");
    }
    fs::write(&path, right).unwrap();
    let _ = verifier.folder(copy.root()).ok();
}
