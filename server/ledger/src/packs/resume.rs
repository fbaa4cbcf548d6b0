//! Packs of an earlier life: what a crash, a bad disk or hands left of them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::{INDEX, Index, Open, PACK, Pack, Packs, Places, Sealed, index, record};
use crate::disk::{FileError, read_if_there};
use crate::operation::Act;

/// How much of a pack is read at once where some of it may be unreadable.
const BLOCK: usize = 64 << 10;

/// A pack as far as it can be read.
pub(super) struct Scanned {
    pub(super) places: Places,
    /// Where the next document goes.
    pub(super) end: u64,
    /// All of it could be read.
    pub(super) is_readable: bool,
}

impl Packs {
    /// A sealed pack of an earlier life; its index is made again where it is missing or damaged.
    pub(super) fn resume_sealed(&self, number: u32) -> Result<Sealed, FileError> {
        let path = self.path(number, INDEX);
        let known = fs::read(&path).ok().and_then(|bytes| index::check(&bytes));
        if let Some(documents) = known {
            let index = Index::OnDisk(documents);
            return Ok(Sealed { number, index });
        }
        let Scanned {
            places,
            is_readable,
            ..
        } = self.scan(number)?;
        if !is_readable {
            return Ok(Sealed::in_memory(number, places));
        }
        self.replace(&path, &index::encode(&places))?;
        Ok(Sealed::on_disk(number, &places))
    }

    /// The last pack of an earlier life. A document that it ends in the middle of is cut off. When some
    /// of it cannot be read, it takes no more.
    pub(super) fn resume_open(&self, number: u32) -> Result<Result<Open, Sealed>, FileError> {
        let scanned = self.scan(number)?;
        if !scanned.is_readable {
            return Ok(Err(Sealed::in_memory(number, scanned.places)));
        }
        let path = self.path(number, PACK);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(FileError::at("open", &path))?;
        let metadata = file.metadata().map_err(FileError::at("look at", &path))?;
        if scanned.end < metadata.len() {
            self.disk
                .run(Act::Cut, &path, || file.set_len(scanned.end))
                .map_err(FileError::at("cut the torn end off", &path))?;
        }
        let file = Arc::new(file);
        Ok(Ok(Open {
            number,
            pack: Pack { path, file },
            end: scanned.end,
            places: scanned.places.into_iter().collect(),
            is_broken: false,
        }))
    }

    /// Where the documents of a pack are: by what lies in it, and by its index what can be found there
    /// no more, so that it counts as damaged and not as never there.
    pub(super) fn scan(&self, number: u32) -> Result<Scanned, FileError> {
        let path = self.path(number, PACK);
        let (bytes, is_readable) = read_blocks(&path)?;
        if !is_readable {
            tracing::error!(path = %path.display(), "a part of a pack of documents cannot be read; what else is in it is served. Look after the disk");
        }
        let mut places = self.read_index(number).unwrap_or_default();
        let end = record::scan(&bytes, |digest, place| {
            places.insert(digest, place);
        });
        Ok(Scanned {
            places,
            end: end as u64,
            is_readable,
        })
    }

    /// The index of a pack, where it is whole.
    pub(super) fn read_index(&self, number: u32) -> Option<Places> {
        let bytes = read_if_there(&self.path(number, INDEX)).ok()??;
        index::decode(&bytes)
    }

    /// The numbers of the packs that are there, in order. Files of other names are not ours.
    pub(super) fn numbers(&self) -> Result<Vec<u32>, FileError> {
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
}

/// A file, with zeros where it cannot be read, and whether it could.
fn read_blocks(path: &Path) -> Result<(Vec<u8>, bool), FileError> {
    let file = File::open(path).map_err(FileError::at("open", path))?;
    let length = file.metadata().map_err(FileError::at("look at", path))?;
    let length = usize::try_from(length.len()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    let mut is_readable = true;
    let mut at = 0;
    for block in bytes.chunks_mut(BLOCK) {
        is_readable &= file.read_exact_at(block, at).is_ok();
        at += block.len() as u64;
    }
    Ok((bytes, is_readable))
}

fn parse_name(name: &str) -> Option<u32> {
    let (digits, kind) = name.split_once('.')?;
    let is_decimal = digits.len() == 10 && digits.bytes().all(|it| it.is_ascii_digit());
    (is_decimal && kind == PACK).then(|| digits.parse().ok())?
}
