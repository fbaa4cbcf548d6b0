//! What of a folder a loss of power would leave: a shadow that follows every operation and knows what
//! was made durable.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use dockmaster_ledger::{Act, Moment, Operation};

/// A folder's files as they could be found after a loss of power; `None` is a folder.
pub(crate) type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// How unkind the loss is to what was not synced. What was is there in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing else is there.
    All,
    /// Files have their new names, and not what was written into them.
    Contents,
    /// Files have their new names, and half of what was written into them; zeros behind it.
    Half,
}

/// All of them.
pub(crate) const LOSSES: [Loss; 3] = [Loss::All, Loss::Contents, Loss::Half];

/// What is durable below a root. Files are known by their inodes, as names come and go.
#[derive(Debug)]
pub(crate) struct Shadow {
    root: PathBuf,
    contents: HashMap<u64, Vec<u8>>,
    names: HashMap<PathBuf, BTreeMap<OsString, u64>>,
    /// Folders, by inode: a name that is durable may be one of a folder.
    folders: HashMap<u64, PathBuf>,
}

impl Shadow {
    /// Everything below `root` is durable now.
    pub(crate) fn of(root: &Path) -> Self {
        let mut shadow = Self {
            root: root.to_owned(),
            contents: HashMap::new(),
            names: HashMap::new(),
            folders: HashMap::new(),
        };
        shadow.sync_all(root);
        shadow
    }

    /// Follows one operation.
    pub(crate) fn follow(&mut self, operation: &Operation<'_>) {
        if operation.moment == Moment::Before {
            return;
        }
        let path = operation.path;
        match operation.act {
            // The inode of a file that is gone may come again.
            Act::Create => drop(self.contents.remove(&inode(path))),
            Act::SyncFile => drop(self.contents.insert(inode(path), fs::read(path).unwrap())),
            Act::SyncFolder => self.sync_folder(path),
            Act::SyncFileSystem => self.sync_all(&self.root.clone()),
            Act::MakeFolder | Act::Write | Act::Cut | Act::Rename | Act::Remove => {}
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let inode = inode(&entry.path());
            if entry.path().is_dir() {
                self.folders.insert(inode, entry.path());
            }
            names.insert(entry.file_name(), inode);
        }
        self.names.insert(folder.to_owned(), names);
    }

    fn sync_all(&mut self, folder: &Path) {
        self.sync_folder(folder);
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                self.sync_all(&path);
            } else {
                self.contents.insert(inode(&path), fs::read(&path).unwrap());
            }
        }
    }

    /// What would be found if the power went now.
    pub(crate) fn image(&self, loss: Loss) -> Image {
        let mut image = Image::new();
        match loss {
            Loss::All => self.durable(&self.root, &mut image),
            Loss::Contents | Loss::Half => self.named(&self.root, loss, &mut image),
        }
        image
    }

    fn durable(&self, folder: &Path, image: &mut Image) {
        for (name, inode) in self.names.get(folder).into_iter().flatten() {
            let path = folder.join(name);
            let short = path.strip_prefix(&self.root).unwrap().to_owned();
            if self.folders.get(inode) == Some(&path) {
                image.insert(short, None);
                self.durable(&path, image);
            } else {
                let content = self.contents.get(inode).cloned();
                image.insert(short, Some(content.unwrap_or_default()));
            }
        }
    }

    fn named(&self, folder: &Path, loss: Loss, image: &mut Image) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let short = path.strip_prefix(&self.root).unwrap().to_owned();
            if path.is_dir() {
                image.insert(short, None);
                self.named(&path, loss, image);
                continue;
            }
            let durable = self.contents.get(&inode(&path)).cloned();
            let mut content = durable.unwrap_or_default();
            let written = fs::read(&path).unwrap();
            if loss == Loss::Half && written.len() > content.len() {
                let half = content.len() + (written.len() - content.len()) / 2;
                content.extend_from_slice(&written[content.len()..half]);
                content.resize(written.len(), 0);
            }
            image.insert(short, Some(content));
        }
    }
}

/// Makes an image a folder.
pub(crate) fn restore(image: &Image, folder: &Path) {
    for (path, content) in image {
        let path = folder.join(path);
        match content {
            None => fs::create_dir(path).unwrap(),
            Some(content) => fs::write(path, content).unwrap(),
        }
    }
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}
