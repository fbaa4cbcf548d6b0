//! Small documents, many to a file: certificates above all, one for each issuance.
//!
//! A file each would cost more than everything else that is done for a certificate after its answer,
//! and a block and an inode for good. Documents are appended to the pack with the highest number; a
//! pack that has become large gets an index beside it and takes no more. Nothing else is ever put in
//! the place of a document, and one may be there twice: of one pack the newest counts, and an older pack's where
//! that is damaged.
//!
//! What is appended is not synced until [`Packs::sync`]; a retained write-ahead frame holds it until
//! then. So a crash may leave anything behind the bytes that were there at the last sync, and recovery
//! writes again what the frames hold.

mod index;
mod record;
mod resume;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::record::Place;
use crate::digest::Digest;
use crate::disk::{Disk, FileError, Folders};
use crate::operation::Act;

const PACK: &str = "pack";
const INDEX: &str = "index";
/// Where the documents of one pack are.
type Places = BTreeMap<Digest, Place>;

/// The packs of a folder.
pub(crate) struct Packs {
    dir: PathBuf,
    /// For files that are not whole yet.
    tmp: PathBuf,
    disk: Arc<Disk>,
    /// Bytes after which a pack takes no more.
    pack_bytes: u64,
    state: Mutex<State>,
    /// Held by whoever writes.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Packs that take no more, oldest first.
    sealed: Arc<Vec<Sealed>>,
    open: Option<Open>,
    /// The number of the next pack; none when there are no more.
    next: Option<u32>,
    /// What was written to and not synced since.
    unsynced: Vec<Pack>,
    /// A file was made that its folder may not have yet.
    has_new_name: bool,
}

/// A pack's file. It is held open until what was written by it is synced: an error that the system meets
/// before is told to whoever holds it.
#[derive(Debug, Clone)]
struct Pack {
    path: PathBuf,
    file: Arc<File>,
}

/// A pack that takes no more.
#[derive(Debug, Clone)]
struct Sealed {
    number: u32,
    index: Index,
}

#[derive(Debug, Clone)]
enum Index {
    /// On disk, with so many documents.
    OnDisk(u32),
    /// Of a pack that cannot be read whole: what else is in it may be readable at the next start, so that
    /// this is not what there is for good.
    InMemory(Arc<Places>),
}

impl Sealed {
    /// With the index of these places on disk.
    fn on_disk(number: u32, places: &Places) -> Self {
        // A pack is smaller than 4 GiB, and each document takes some of it.
        let index = Index::OnDisk(places.len() as u32);
        Self { number, index }
    }

    /// Without one.
    fn in_memory(number: u32, places: Places) -> Self {
        let index = Index::InMemory(Arc::new(places));
        Self { number, index }
    }
}

/// The pack that is appended to; its index is in memory.
struct Open {
    number: u32,
    pack: Pack,
    end: u64,
    places: HashMap<Digest, Place>,
    /// It could not be written to, though there is room.
    is_broken: bool,
}

/// What became of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Here it is.
    Whole(Vec<u8>),
    /// It was in this pack, and what is there now is something else.
    Damaged(PathBuf),
    /// It was never here.
    Nowhere,
}

impl Packs {
    /// Opens the packs of a folder, which need not exist yet. Makes lost indexes again.
    pub(crate) fn open(
        dir: PathBuf,
        tmp: PathBuf,
        disk: Arc<Disk>,
        pack_bytes: u64,
    ) -> Result<Self, FileError> {
        let packs = Self {
            dir,
            tmp,
            disk,
            pack_bytes,
            state: Mutex::default(),
            turn: Mutex::default(),
        };
        let numbers = packs.numbers()?;
        let is_gap = |pair: &[u32]| pair[1] - pair[0] > 1;
        if numbers.first().is_some_and(|first| *first > 0) || numbers.windows(2).any(is_gap) {
            tracing::error!(dir = %packs.dir.display(), "packs of documents are missing: their numbers have gaps; restore a backup");
        }
        let mut state = State {
            next: Some(0),
            // An earlier life may have died between the making of a file and the sync of its name.
            has_new_name: !numbers.is_empty(),
            ..State::default()
        };
        if let Some((last, before)) = numbers.split_last() {
            let mut sealed = Vec::new();
            for number in before {
                sealed.push(packs.resume_sealed(*number)?);
            }
            match packs.resume_open(*last)? {
                Ok(open) => state.open = Some(open),
                Err(unreadable) => sealed.push(unreadable),
            }
            state.sealed = Arc::new(sealed);
            state.next = last.checked_add(1);
        }
        *packs.lock() = state;
        Ok(packs)
    }

    /// Appends documents, as a rule those that are not there. Durable after [`Self::sync`].
    pub(crate) fn append<'a>(
        &self,
        documents: impl IntoIterator<Item = (&'a Digest, &'a [u8])>,
    ) -> Result<(), FileError> {
        let _turn = self.take_turn();
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let (pack, end) = self.current()?;
            let mut bytes = Vec::new();
            let mut places = Vec::new();
            while let Some((digest, document)) = documents
                .next_if(|_| bytes.is_empty() || end + (bytes.len() as u64) < self.pack_bytes)
            {
                // There is room: no pack is near 4 GiB, and no document.
                if let Some(place) = record::push(&mut bytes, end, digest, document) {
                    places.push((*digest, place));
                }
            }
            self.extend(&pack, &bytes, end)?;
            if let Some(open) = &mut self.lock().open {
                open.end = end + bytes.len() as u64;
                open.places.extend(places);
            }
        }
        Ok(())
    }

    /// Writes a document again over itself, where it is whole: it may be so in memory alone, after a sync
    /// that failed. False where it is not whole.
    pub(crate) fn rewrite(&self, digest: &Digest, document: &[u8]) -> Result<bool, FileError> {
        let _turn = self.take_turn();
        let written = self.search(digest, |pack, place| {
            if read(pack, place, digest)?.is_none() {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            let start = place.start();
            if record::push(&mut bytes, start, digest, document) != Some(place) {
                return Ok(None);
            }
            let file = OpenOptions::new().write(true).open(&pack.path);
            let file = file.map_err(FileError::at("open", &pack.path))?;
            let pack = Pack {
                path: pack.path.clone(),
                file: Arc::new(file),
            };
            self.write(&pack, &bytes, start)?;
            Ok(Some(()))
        })?;
        Ok(written.is_some())
    }

    /// Makes all that was written durable. Ends the process if it fails.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        let _turn = self.take_turn();
        let (unsynced, has_new_name) = {
            let state = self.lock();
            (state.unsynced.clone(), state.has_new_name)
        };
        for Pack { path, file } in &unsynced {
            self.disk.sync_file(file, path);
        }
        if has_new_name {
            self.disk.sync_folder(&self.dir)?;
            // The folder itself may be new.
            if let Some(parent) = self.dir.parent() {
                self.disk.sync_folder(parent)?;
            }
        }
        let mut state = self.lock();
        state.unsynced.clear();
        state.has_new_name = false;
        Ok(())
    }

    /// The document of this name, checked against it.
    pub(crate) fn get(&self, digest: &Digest) -> Result<Found, FileError> {
        let mut damaged = None;
        let whole = self.search(digest, |pack, place| {
            let found = read(pack, place, digest)?;
            if found.is_none() {
                damaged.get_or_insert_with(|| pack.path.clone());
            }
            Ok(found)
        })?;
        Ok(match (whole, damaged) {
            (Some(bytes), _) => Found::Whole(bytes),
            (None, Some(path)) => Found::Damaged(path),
            (None, None) => Found::Nowhere,
        })
    }

    /// Whether there is a document of this name; its content is not looked at.
    pub(crate) fn contains(&self, digest: &Digest) -> Result<bool, FileError> {
        Ok(self.search(digest, |_, _| Ok(Some(())))?.is_some())
    }

    /// Makes the index of every sealed pack again. Gives those that were not what they should be.
    pub(crate) fn repair(&self) -> Result<Vec<PathBuf>, FileError> {
        let _turn = self.take_turn();
        let mut sealed = self.lock().sealed.as_ref().clone();
        let mut mended = Vec::new();
        for pack in &mut sealed {
            let scanned = self.scan(pack.number)?;
            let places = scanned.places;
            if !scanned.is_readable {
                *pack = Sealed::in_memory(pack.number, places);
                continue;
            }
            let known = self.read_index(pack.number);
            if known.is_none_or(|known| known != places) {
                let path = self.path(pack.number, INDEX);
                self.replace(&path, &index::encode(&places))?;
                mended.push(path);
            }
            *pack = Sealed::on_disk(pack.number, &places);
        }
        self.lock().sealed = Arc::new(sealed);
        Ok(mended)
    }
}

impl Packs {
    /// Goes through all places that a document has, the newest first, until `visit` is content with one.
    /// What cannot be read is an error only when none of the rest will do.
    fn search<T>(
        &self,
        digest: &Digest,
        mut visit: impl FnMut(&Pack, Place) -> Result<Option<T>, FileError>,
    ) -> Result<Option<T>, FileError> {
        let (open, sealed) = {
            let state = self.lock();
            let open = state.open.as_ref();
            let open = open.and_then(|open| Some((open.pack.clone(), *open.places.get(digest)?)));
            (open, state.sealed.clone())
        };
        let mut trouble = None;
        let in_open = open.map(|(pack, place)| visit(&pack, place));
        let in_sealed = sealed.iter().rev().map(|sealed| {
            let Some(place) = self.place(sealed, digest)? else {
                return Ok(None);
            };
            let path = self.path(sealed.number, PACK);
            let file = File::open(&path).map_err(FileError::at("open", &path))?;
            let file = Arc::new(file);
            visit(&Pack { path, file }, place)
        });
        for found in in_open.into_iter().chain(in_sealed) {
            match found {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        trouble.map_or(Ok(None), Err)
    }

    /// The pack to append to, and its end.
    fn current(&self) -> Result<(Pack, u64), FileError> {
        let is_over = |open: &Open| open.end >= self.pack_bytes || open.is_broken;
        if self.lock().open.as_ref().is_some_and(is_over) {
            self.seal()?;
        }
        let next = {
            let state = self.lock();
            if let Some(open) = &state.open {
                return Ok((open.pack.clone(), open.end));
            }
            state.next
        };
        if !self.dir.is_dir() {
            let make = || fs::create_dir_all(&self.dir);
            let made = self.disk.run(Act::MakeFolder, &self.dir, make);
            made.map_err(FileError::at("make the folder", &self.dir))?;
        }
        let Some(number) = next else {
            let error = io::Error::other("there are no numbers left");
            return Err(FileError::at("make another pack in", &self.dir)(error));
        };
        let path = self.path(number, PACK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = self.disk.run(Act::Create, &path, || options.open(&path));
        let file = Arc::new(file.map_err(FileError::at("create", &path))?);
        let pack = Pack { path, file };
        let mut state = self.lock();
        state.next = number.checked_add(1);
        state.has_new_name = true;
        state.open = Some(Open {
            number,
            pack: pack.clone(),
            end: 0,
            places: HashMap::new(),
            is_broken: false,
        });
        Ok((pack, 0))
    }

    /// Gives the open pack its index.
    fn seal(&self) -> Result<(), FileError> {
        let (number, places) = {
            let state = self.lock();
            let Some(open) = &state.open else {
                return Ok(());
            };
            (open.number, open.places.clone())
        };
        let places: Places = places.into_iter().collect();
        self.replace(&self.path(number, INDEX), &index::encode(&places))?;
        let mut state = self.lock();
        Arc::make_mut(&mut state.sealed).push(Sealed::on_disk(number, &places));
        state.open = None;
        Ok(())
    }

    /// Writes behind the end, or takes back what was written of it: what looks like a document and is
    /// cut short would hide those that follow it. A pack that cannot be written to, though there is
    /// room, takes no more.
    fn extend(&self, pack: &Pack, bytes: &[u8], end: u64) -> Result<(), FileError> {
        let written = self.write(pack, bytes, end);
        if let Err(error) = &written {
            let cut = || pack.file.set_len(end);
            // What cannot be cut off is overwritten by the next.
            let _ = self.disk.run(Act::Cut, &pack.path, cut);
            if let Some(open) = &mut self.lock().open {
                open.is_broken = !error.is_no_space();
            }
        }
        written
    }

    fn write(&self, pack: &Pack, bytes: &[u8], at: u64) -> Result<(), FileError> {
        {
            let mut state = self.lock();
            if !state.unsynced.iter().any(|known| known.path == pack.path) {
                state.unsynced.push(pack.clone());
            }
        }
        let write = || pack.file.write_all_at(bytes, at);
        let written = self.disk.run(Act::Write, &pack.path, write);
        written.map_err(FileError::at("write to", &pack.path))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let mut folders = Folders::below(&self.dir);
        self.disk.replace(&self.tmp, path, bytes, &mut folders)?;
        folders.sync(&self.disk)
    }

    fn place(&self, pack: &Sealed, digest: &Digest) -> Result<Option<Place>, FileError> {
        let documents = match &pack.index {
            Index::OnDisk(documents) => *documents,
            Index::InMemory(places) => return Ok(places.get(digest).copied()),
        };
        let path = self.path(pack.number, INDEX);
        let file = File::open(&path).map_err(FileError::at("open", &path))?;
        let read = |at, bytes: &mut [u8]| file.read_exact_at(bytes, at);
        index::find(documents, digest, read).map_err(FileError::at("read", &path))
    }

    fn path(&self, number: u32, kind: &str) -> PathBuf {
        self.dir.join(format!("{number:010}.{kind}"))
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section is short and leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What lies at a place, if it is the document.
fn read(pack: &Pack, place: Place, digest: &Digest) -> Result<Option<Vec<u8>>, FileError> {
    let Some(length) = place.length() else {
        return Ok(None);
    };
    let mut bytes = vec![0; length];
    match pack.file.read_exact_at(&mut bytes, u64::from(place.at)) {
        Ok(()) => Ok((Digest::of(&bytes) == *digest).then_some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(FileError::at("read", &pack.path)(error)),
    }
}

#[cfg(test)]
mod tests;
