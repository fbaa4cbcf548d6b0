//! The write-ahead log on disk: segments of frames, named by the first index in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Step;
use crate::disk::{Disk, FileError};
use crate::operation::Act;

const SUFFIX: &str = ".wal";
const DIGITS: usize = 20;
/// Written and removed to see whether a full disk has room again.
const ROOM_PROBE: &str = "room.tmp";
const ROOM_BYTES: usize = 1 << 20;

/// The segment that is appended to.
pub(crate) struct Wal {
    dir: PathBuf,
    path: PathBuf,
    file: File,
    first: u64,
    /// Where the last good frame ends and the next begins.
    end: u64,
    segment_bytes: u64,
    disk: Arc<Disk>,
}

/// A segment on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

/// Where the good frames end.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) segment: Segment,
    /// Where the last frame of this segment begins.
    pub(crate) start: u64,
    /// Its bytes; none if the segment is empty.
    pub(crate) last_frame: Vec<u8>,
    /// Bytes behind it that are no frame.
    pub(crate) discarded: u64,
}

impl Wal {
    /// Goes on behind the last good frame of a segment; what follows it is cut off.
    pub(crate) fn resume(
        dir: &Path,
        tail: &Tail,
        segment_bytes: u64,
        disk: Arc<Disk>,
    ) -> Result<Self, FileError> {
        let (path, first) = (tail.segment.path.clone(), tail.segment.first);
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.map_err(FileError::at("open", &path))?;
        let end = tail.start + tail.last_frame.len() as u64;
        if tail.discarded > 0 {
            disk.run(Act::Cut, &path, || file.set_len(end))
                .map_err(FileError::at("cut the torn end off", &path))?;
        }
        // The sync of the last frame may have failed or never returned. From here on it counts, so
        // it is written again: after a failed sync the kernel takes pages for clean that are not.
        let rewrite = || file.write_all_at(&tail.last_frame, tail.start);
        let rewritten = disk.run(Act::Write, &path, rewrite);
        rewritten.map_err(FileError::at("write the last frame again to", &path))?;
        disk.sync_file(&file, &path);
        disk.sync_folder(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            path,
            file,
            first,
            end,
            segment_bytes,
            disk,
        })
    }

    /// First index of the present segment; its name.
    pub(crate) fn segment(&self) -> u64 {
        self.first
    }

    /// Appends a frame whose first entry has this index. Nothing is durable before [`Self::sync`].
    ///
    /// # Errors
    /// When the system refuses, most likely for want of room. The segment then ends where it ended.
    pub(crate) fn append(&mut self, frame: &[u8], index: u64) -> Result<(), FileError> {
        if self.end >= self.segment_bytes && index > self.first {
            self.rotate(index)?;
        }
        let write = || self.file.write_all_at(frame, self.end);
        let write = || self.disk.run(Act::Write, &self.path, write);
        if let Err(error) = self.disk.step(Step::Append).and_then(|()| write()) {
            // A half frame would be taken for a torn tail now and for damage once more follow.
            let cut = || self.file.set_len(self.end);
            if let Err(cut) = self.disk.run(Act::Cut, &self.path, cut) {
                let path = self.path.display();
                self.disk
                    .fatal(&format!("cannot take back half a frame from {path}: {cut}"));
            }
            return Err(FileError::at("append to", &self.path)(error));
        }
        self.end += frame.len() as u64;
        Ok(())
    }

    /// The commit point. Ends the process if it fails.
    pub(crate) fn sync(&self) {
        self.disk.commit_sync(&self.file, &self.path);
    }

    /// Whether the disk has room again.
    pub(crate) fn has_room(&self) -> bool {
        let path = self.dir.join(ROOM_PROBE);
        let attempt = || -> io::Result<()> {
            self.disk.step(Step::Append)?;
            self.disk.run(Act::Write, &path, || {
                let mut file = File::create(&path)?;
                file.write_all(&vec![0xA5; ROOM_BYTES])
            })
        };
        let room = attempt().is_ok();
        // If it cannot be removed it is overwritten by the next attempt.
        let _ = fs::remove_file(&path);
        room
    }

    /// The next segment gets its name before any frame in it is answered. A crash in between
    /// leaves an empty last segment, which recovery takes up.
    fn rotate(&mut self, first: u64) -> Result<(), FileError> {
        let path = self.dir.join(name(first));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let file = self.disk.run(Act::Create, &path, || options.open(&path));
        let file = file.map_err(FileError::at("create", &path))?;
        self.disk.sync_file(&file, &path);
        self.disk.sync_folder(&self.dir)?;
        (self.path, self.file, self.first, self.end) = (path, file, first, 0);
        Ok(())
    }
}

/// File name of the segment that begins at this index.
pub(crate) fn name(first: u64) -> String {
    format!("{first:0DIGITS$}{SUFFIX}")
}

/// The segments of a folder, oldest first. Files of other names are not ours.
pub(crate) fn segments(dir: &Path) -> Result<Vec<Segment>, FileError> {
    let mut found = Vec::new();
    let files = match fs::read_dir(dir) {
        Ok(files) => files,
        // No folder has no segments, and who asks says what that means.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(FileError::at("list", dir)(error)),
    };
    for file in files {
        let file = file.map_err(FileError::at("list", dir))?;
        if let Some(first) = file.file_name().to_str().and_then(parse_name) {
            found.push(Segment {
                first,
                path: file.path(),
            });
        }
    }
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

/// Removes the segments before the one that begins at `first`, oldest first, so that what stays
/// is without gap whenever this is interrupted.
pub(crate) fn drop_before(dir: &Path, first: u64, disk: &Disk) -> Result<(), FileError> {
    for segment in segments(dir)?
        .iter()
        .take_while(|segment| segment.first < first)
    {
        let remove = || fs::remove_file(&segment.path);
        let removed = disk.run(Act::Remove, &segment.path, remove);
        removed.map_err(FileError::at("remove", &segment.path))?;
    }
    disk.sync_folder(dir)
}

fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let decimal = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    decimal.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_name_gives_its_first_index_back() {
        for first in [0, 1, 70_000, u64::MAX] {
            assert_eq!(parse_name(&name(first)), Some(first));
        }
        for other in [
            "room.tmp",
            "1.wal",
            "+0000000000000000001.wal",
            "99999999999999999999.wal",
        ] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
