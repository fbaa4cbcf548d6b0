//! Small documents, many to a file: certificates above all, one for each issuance.
//!
//! A file each would cost more than everything else that is done for a certificate after its answer,
//! and a block and an inode for good. Documents are appended to the pack with the highest number; a
//! pack that has become large gets an index beside it and takes no more. Nothing is ever changed in
//! place, and a document may be there twice: the newer one counts, and the older where the newer is
//! damaged.
//!
//! What is appended is not synced. As with a document's own file, a retained write-ahead frame holds
//! it until the whole file system was synced; so a crash may leave anything behind the bytes that were
//! there at the last sync, and recovery appends again what is then missing or damaged.

mod index;
mod record;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::record::Place;
use crate::blobs::Digest;
use crate::disk::{Disk, FileError, Folders, read_if_there};
use crate::operation::Act;

const PACK: &str = "pack";
const INDEX: &str = "index";

/// The packs of a folder.
pub(crate) struct Packs {
    dir: PathBuf,
    /// For files that are not whole yet.
    tmp: PathBuf,
    disk: Arc<Disk>,
    /// Bytes after which a pack takes no more.
    pack_bytes: u64,
    state: Mutex<State>,
    /// Held by whoever appends.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Packs that take no more, oldest first.
    sealed: Arc<Vec<Sealed>>,
    open: Option<Open>,
    /// The number of the next pack.
    next: u32,
}

/// A pack with an index on disk.
#[derive(Debug, Clone)]
struct Sealed {
    number: u32,
    documents: u32,
}

/// The pack that is appended to; its index is in memory.
struct Open {
    number: u32,
    file: Arc<File>,
    end: u64,
    places: HashMap<Digest, Place>,
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
        let mut state = State::default();
        if let Some((last, before)) = numbers.split_last() {
            let sealed = before.iter().map(|number| packs.resume_sealed(*number));
            state.sealed = Arc::new(sealed.collect::<Result<_, _>>()?);
            state.open = Some(packs.resume_open(*last)?);
            state.next = last.saturating_add(1);
        }
        *packs.lock() = state;
        Ok(packs)
    }

    /// Appends documents, as a rule those that are not there. Durable only after a sync of the file
    /// system.
    pub(crate) fn append<'a>(
        &self,
        documents: impl IntoIterator<Item = (&'a Digest, &'a [u8])>,
    ) -> Result<(), FileError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let (number, file, end) = self.current()?;
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
            self.write(&self.path(number, PACK), &file, &bytes, end)?;
            if let Some(open) = &mut self.lock().open {
                open.end = end + bytes.len() as u64;
                open.places.extend(places);
            }
        }
        Ok(())
    }

    /// The document of this name, checked against it.
    pub(crate) fn get(&self, digest: &Digest) -> Result<Found, FileError> {
        let (open, sealed) = {
            let state = self.lock();
            let open = state.open.as_ref();
            let open = open.and_then(|open| {
                let place = *open.places.get(digest)?;
                Some((open.number, open.file.clone(), place))
            });
            (open, state.sealed.clone())
        };
        let mut damaged = None;
        if let Some((number, file, place)) = open {
            match self.read(&file, number, place, digest)? {
                Found::Nowhere => {}
                Found::Damaged(path) => damaged = Some(path),
                found @ Found::Whole(_) => return Ok(found),
            }
        }
        for pack in sealed.iter().rev() {
            let Some(place) = self.place(pack, digest)? else {
                continue;
            };
            let path = self.path(pack.number, PACK);
            let file = File::open(&path).map_err(FileError::at("open", &path))?;
            match self.read(&file, pack.number, place, digest)? {
                Found::Nowhere => {}
                Found::Damaged(path) => damaged = Some(path),
                found @ Found::Whole(_) => return Ok(found),
            }
        }
        Ok(damaged.map_or(Found::Nowhere, Found::Damaged))
    }

    /// Whether there is a document of this name; its content is not looked at.
    pub(crate) fn contains(&self, digest: &Digest) -> Result<bool, FileError> {
        let sealed = {
            let state = self.lock();
            if state
                .open
                .as_ref()
                .is_some_and(|it| it.places.contains_key(digest))
            {
                return Ok(true);
            }
            state.sealed.clone()
        };
        for pack in sealed.iter().rev() {
            if self.place(pack, digest)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the index of every sealed pack again. Gives those that were not what they should be.
    pub(crate) fn repair(&self) -> Result<Vec<PathBuf>, FileError> {
        let sealed = self.lock().sealed.clone();
        let mut mended = Vec::new();
        for pack in sealed.iter() {
            let path = self.path(pack.number, INDEX);
            let bytes = index::encode(&self.scan(pack.number)?.0);
            if read_if_there(&path)?.as_deref() != Some(&bytes) {
                self.replace(&path, &bytes)?;
                mended.push(path);
            }
        }
        Ok(mended)
    }
}

impl Packs {
    /// The pack to append to, and its end.
    fn current(&self) -> Result<(u32, Arc<File>, u64), FileError> {
        if self
            .lock()
            .open
            .as_ref()
            .is_some_and(|it| it.end >= self.pack_bytes)
        {
            self.seal()?;
        }
        let next = {
            let state = self.lock();
            if let Some(open) = &state.open {
                return Ok((open.number, open.file.clone(), open.end));
            }
            state.next
        };
        if !self.dir.is_dir() {
            let make = || fs::create_dir_all(&self.dir);
            let made = self.disk.run(Act::MakeFolder, &self.dir, make);
            made.map_err(FileError::at("make the folder", &self.dir))?;
        }
        let path = self.path(next, PACK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = self.disk.run(Act::Create, &path, || options.open(&path));
        let file = Arc::new(file.map_err(FileError::at("create", &path))?);
        let mut state = self.lock();
        state.next = next.saturating_add(1);
        state.open = Some(Open {
            number: next,
            file: file.clone(),
            end: 0,
            places: HashMap::new(),
        });
        Ok((next, file, 0))
    }

    /// Gives the open pack its index.
    fn seal(&self) -> Result<(), FileError> {
        let (number, places) = {
            let state = self.lock();
            let Some(open) = &state.open else {
                return Ok(());
            };
            let places = open.places.iter().map(|(digest, place)| (*digest, *place));
            (open.number, places.collect::<BTreeMap<_, _>>())
        };
        self.replace(&self.path(number, INDEX), &index::encode(&places))?;
        let mut state = self.lock();
        Arc::make_mut(&mut state.sealed).push(Sealed {
            number,
            // A pack is smaller than 4 GiB.
            documents: places.len() as u32,
        });
        state.open = None;
        Ok(())
    }

    /// Writes behind the end, or takes back what was written of it: what looks like a document and is
    /// cut short would hide those that follow it.
    fn write(&self, path: &Path, file: &File, bytes: &[u8], end: u64) -> Result<(), FileError> {
        let write = || file.write_all_at(bytes, end);
        let written = self.disk.run(Act::Write, path, write);
        if written.is_err() {
            // What cannot be cut off is overwritten by the next.
            let _ = self.disk.run(Act::Cut, path, || file.set_len(end));
        }
        written.map_err(FileError::at("append to", path))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let mut folders = Folders::below(&self.dir);
        self.disk.replace(&self.tmp, path, bytes, &mut folders)?;
        folders.sync(&self.disk)
    }

    /// A sealed pack of an earlier life; its index is made again where it is missing or damaged.
    fn resume_sealed(&self, number: u32) -> Result<Sealed, FileError> {
        let path = self.path(number, INDEX);
        let known = read_if_there(&path)?.and_then(|bytes| index::check(&bytes));
        let documents = match known {
            Some(documents) => documents,
            None => {
                let (places, _) = self.scan(number)?;
                self.replace(&path, &index::encode(&places))?;
                places.len() as u32
            }
        };
        Ok(Sealed { number, documents })
    }

    /// The last pack of an earlier life. A document that it ends in the middle of is cut off.
    fn resume_open(&self, number: u32) -> Result<Open, FileError> {
        let (places, end) = self.scan(number)?;
        let path = self.path(number, PACK);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(FileError::at("open", &path))?;
        let metadata = file.metadata().map_err(FileError::at("look at", &path))?;
        if end < metadata.len() {
            self.disk
                .run(Act::Cut, &path, || file.set_len(end))
                .map_err(FileError::at("cut the torn end off", &path))?;
        }
        Ok(Open {
            number,
            file: Arc::new(file),
            end,
            places: places.into_iter().collect(),
        })
    }

    /// Where the documents of a pack are, and where the next one goes.
    fn scan(&self, number: u32) -> Result<(BTreeMap<Digest, Place>, u64), FileError> {
        let path = self.path(number, PACK);
        let bytes = fs::read(&path).map_err(FileError::at("read", &path))?;
        let mut places = BTreeMap::new();
        let end = record::scan(&bytes, |digest, place| {
            places.insert(digest, place);
        });
        Ok((places, end as u64))
    }

    fn place(&self, pack: &Sealed, digest: &Digest) -> Result<Option<Place>, FileError> {
        let path = self.path(pack.number, INDEX);
        let file = File::open(&path).map_err(FileError::at("open", &path))?;
        let read = |at, bytes: &mut [u8]| file.read_exact_at(bytes, at);
        index::find(pack.documents, digest, read).map_err(FileError::at("read", &path))
    }

    fn read(
        &self,
        file: &File,
        number: u32,
        place: Place,
        digest: &Digest,
    ) -> Result<Found, FileError> {
        let path = || self.path(number, PACK);
        let mut bytes = vec![0; place.length as usize];
        match file.read_exact_at(&mut bytes, u64::from(place.at)) {
            Ok(()) if Digest::of(&bytes) == *digest => Ok(Found::Whole(bytes)),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Err(FileError::at("read", &path())(error))
            }
            _ => Ok(Found::Damaged(path())),
        }
    }

    /// The numbers of the packs that are there, in order. Files of other names are not ours.
    fn numbers(&self) -> Result<Vec<u32>, FileError> {
        let files = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(FileError::at("list", &self.dir))?,
        };
        let mut numbers = Vec::new();
        for file in files {
            let file = file.map_err(FileError::at("list", &self.dir))?;
            numbers.extend(file.file_name().to_str().and_then(parse_name));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, number: u32, kind: &str) -> PathBuf {
        self.dir.join(format!("{number:010}.{kind}"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section is short and leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_name(name: &str) -> Option<u32> {
    let (digits, kind) = name.split_once('.')?;
    let is_decimal = digits.len() == 10 && digits.bytes().all(|it| it.is_ascii_digit());
    (is_decimal && kind == PACK).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests;
