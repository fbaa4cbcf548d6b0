//! From what a crash left to a ledger that can go on.
//!
//! The write-ahead frames are read in order. A frame that cannot be read is the torn end of the
//! last segment, and is cut off, unless a later signed frame shows that it lies in the middle: that
//! is damage, and the ledger does not start. Every root is recomputed and compared with the frame's.
//! Tiles, bundles, documents and the checkpoint are then brought up to the last frame by the
//! publisher's own code; files that are right already are left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::hash::{Hash, leaf_hash};
use dockmaster_tlog::note::VerifierKey;
use dockmaster_tlog::tree::RightEdge;

use crate::blobs::Blobs;
use crate::disk::{FileError, read_if_there};
use crate::error::OpenError;
use crate::frame::{Frame, FrameError, HEADER_BYTES, MAGIC};
use crate::growth::Growth;
use crate::publish::{Public, Round};
use crate::resume;
use crate::tiles::Tiles;
use crate::view::Head;
use crate::wal::{Segment, Tail, Wal, segments};

/// What recovery found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Frames in the write-ahead log.
    pub frames: u64,
    /// Bytes of a torn frame that were cut off.
    pub discarded: u64,
    /// Size of the checkpoint that was published before.
    pub published: Option<u64>,
}

/// A recovered ledger.
pub(crate) struct Recovered {
    pub(crate) report: Recovery,
    pub(crate) head: Head,
    pub(crate) edge: RightEdge,
    pub(crate) tiles: Tiles,
    pub(crate) last_ts: u64,
    /// The segment to go on with.
    pub(crate) wal: Wal,
    /// First index of the oldest segment.
    pub(crate) oldest: u64,
}

/// Runs the recovery of a ledger nobody else has open.
pub(crate) fn recover(
    wal_dir: &Path,
    segment_bytes: u64,
    public: &Public,
    blobs: &Blobs,
    key: &VerifierKey,
) -> Result<Recovered, OpenError> {
    let segments = segments(wal_dir)?;
    let not_there = || OpenError::NotThere {
        dir: wal_dir.to_owned(),
    };
    let oldest = segments.first().ok_or_else(not_there)?.first;
    let published = published(public, key)?;
    let mut replay = Replay {
        public,
        blobs,
        published: published.clone(),
        round: public.begin(),
        log: None,
        frames: 0,
    };
    let tail = read_frames(&segments, key, &mut |frame, at| replay.take(frame, at))?;
    let Replay {
        round, log, frames, ..
    } = replay;
    let log = log.ok_or_else(not_there)?;

    let path = tail.segment.path.clone();
    let wrong = |source| OpenError::Checkpoint { path, source };
    Checkpoint::open(&log.checkpoint, key).map_err(wrong)?;
    let size = log.edge.size();
    if let Some(published) = published.as_ref().filter(|p| p.size > size) {
        let path = public.checkpoint_path();
        return Err(OpenError::LostEnd {
            path,
            published: published.size,
            size,
        });
    }
    // Only now is the torn end cut off and the last frame made durable; a checkpoint must not be
    // published before.
    let wal = Wal::resume(wal_dir, &tail, segment_bytes, public.disk.clone())?;
    round
        .finish(&log.tiles, &log.checkpoint)?
        .remove(&public.disk);
    Ok(Recovered {
        report: Recovery {
            frames,
            discarded: tail.discarded,
            published: published.map(|checkpoint| checkpoint.size),
        },
        head: Head {
            size,
            checkpoint: log.checkpoint,
        },
        edge: log.edge,
        tiles: log.tiles,
        last_ts: log.last_ts,
        wal,
        oldest,
    })
}

fn published(public: &Public, key: &VerifierKey) -> Result<Option<Checkpoint>, OpenError> {
    let path = public.checkpoint_path();
    let Some(bytes) = read_if_there(&path)? else {
        return Ok(None);
    };
    let note = String::from_utf8_lossy(&bytes);
    let opened = Checkpoint::open(&note, key);
    opened
        .map(Some)
        .map_err(|source| OpenError::Checkpoint { path, source })
}

/// Where a frame was found.
#[derive(Debug, Clone, Copy)]
struct At<'a> {
    path: &'a Path,
    offset: u64,
}

/// The log as far as it has been replayed.
struct Log {
    edge: RightEdge,
    tiles: Tiles,
    checkpoint: Arc<str>,
    last_ts: u64,
}

struct Replay<'a> {
    public: &'a Public,
    blobs: &'a Blobs,
    published: Option<Checkpoint>,
    round: Round<'a>,
    log: Option<Log>,
    frames: u64,
}

impl Replay<'_> {
    fn take(&mut self, frame: Frame, at: At<'_>) -> Result<(), OpenError> {
        let log = match self.log.take() {
            Some(log) => log,
            None => self.base(&frame)?,
        };
        let leaves = frame.entries.iter().map(|entry| leaf_hash(entry));
        let (_, edge) = Growth::of(log.edge, leaves);
        check_root(&frame, &edge, at)?;
        self.check_published(edge.size(), frame.root, frame.old_size)?;
        self.blobs.settle_again(&frame.blobs)?;
        let mut tiles = log.tiles;
        for entry in &frame.entries {
            tiles.push(entry, &mut |file| self.round.write(&file))?;
        }
        self.frames += 1;
        let (checkpoint, last_ts) = (frame.checkpoint, frame.ts_ms);
        self.log = Some(Log {
            edge,
            tiles,
            checkpoint,
            last_ts,
        });
        Ok(())
    }

    /// The log before the first frame: nothing, or what the published files hold.
    fn base(&mut self, first: &Frame) -> Result<Log, OpenError> {
        let fits = |edge: &RightEdge| {
            let leaves = first.entries.iter().map(|entry| leaf_hash(entry));
            Growth::of(edge.clone(), leaves).1.root() == first.root
        };
        let root = &self.public.root;
        let from_tiles = resume::from_tiles(root, first.old_size)?;
        let edge = from_tiles.as_ref().and_then(Tiles::edge).filter(fits);
        let (tiles, edge) = match (from_tiles, edge) {
            (Some(tiles), Some(edge)) => (tiles, edge),
            _ => {
                tracing::warn!("hash tiles are missing or damaged; writing them from the entries");
                let tiles = resume::from_entries(root, first.old_size, &mut self.round)?;
                let unfit = || OpenError::Base {
                    path: root.join("tile"),
                };
                let edge = tiles.edge().filter(fits).ok_or_else(unfit)?;
                (tiles, edge)
            }
        };
        self.check_published(edge.size(), edge.root(), edge.size())?;
        Ok(Log {
            edge,
            tiles,
            checkpoint: first.checkpoint.clone(),
            last_ts: first.ts_ms,
        })
    }

    /// A published checkpoint is one of some frame; anything else means that two logs were mixed.
    fn check_published(&self, size: u64, root: Hash, after: u64) -> Result<(), OpenError> {
        let Some(published) = &self.published else {
            return Ok(());
        };
        let passed = after < published.size && published.size < size;
        if passed || (published.size == size && published.root != root) {
            return Err(OpenError::Root {
                path: self.public.checkpoint_path(),
                size: published.size,
            });
        }
        Ok(())
    }
}

/// The checkpoint's first lines are the ones this root gives; its signature is looked at only in
/// the last frame, as the checksum already covers it.
fn check_root(frame: &Frame, edge: &RightEdge, at: At<'_>) -> Result<(), OpenError> {
    let origin = frame.checkpoint.split('\n').next().unwrap_or_default();
    let text = format!("{origin}\n{}\n{}\n\n", edge.size(), edge.root().to_base64());
    if edge.root() != frame.root || !frame.checkpoint.starts_with(&text) {
        return Err(OpenError::Root {
            path: at.path.to_owned(),
            size: edge.size(),
        });
    }
    Ok(())
}

fn read_frames(
    segments: &[Segment],
    key: &VerifierKey,
    visit: &mut dyn FnMut(Frame, At<'_>) -> Result<(), OpenError>,
) -> Result<Tail, OpenError> {
    let mut expected = segments.first().map_or(0, |segment| segment.first);
    let mut tail = None;
    for (i, segment) in segments.iter().enumerate() {
        let is_last = i + 1 == segments.len();
        let path = &segment.path;
        if segment.first != expected {
            let (found, path) = (segment.first, path.clone());
            return Err(OpenError::Gap {
                path,
                offset: 0,
                expected,
                found,
            });
        }
        let bytes = fs::read(path).map_err(FileError::at("read", path))?;
        let (mut start, mut end) = (0, 0);
        while end < bytes.len() {
            let at = At {
                path,
                offset: end as u64,
            };
            match Frame::parse(&bytes[end..]) {
                Ok((frame, _)) if frame.old_size != expected => {
                    let (path, offset, found) = (path.clone(), at.offset, frame.old_size);
                    return Err(OpenError::Gap {
                        path,
                        offset,
                        expected,
                        found,
                    });
                }
                Ok((frame, length)) => {
                    expected = frame.new_size();
                    (start, end) = (end, end + length);
                    visit(frame, at)?;
                }
                Err(_) if is_last && !frame_follows(&bytes[end..], expected, key) => break,
                Err(source) => return Err(damaged(at, source)),
            }
        }
        tail = Some(Tail {
            segment: segment.clone(),
            start: start as u64,
            last_frame: bytes[start..end].to_vec(),
            discarded: (bytes.len() - end) as u64,
        });
    }
    tail.ok_or_else(|| OpenError::NotThere {
        dir: PathBuf::new(),
    })
}

/// Whether a later frame of this log lies behind the unreadable bytes. Only frames whose checkpoint
/// this ledger signed count: an entry may contain anything, also the bytes of a frame.
fn frame_follows(bytes: &[u8], expected: u64, key: &VerifierKey) -> bool {
    let starts = (1..bytes.len()).filter(|&at| bytes[at..].starts_with(MAGIC));
    let later = |at: usize| {
        let size = bytes.get(at + HEADER_BYTES..at + HEADER_BYTES + 8);
        let old_size = size
            .and_then(|size| size.try_into().ok())
            .map(u64::from_be_bytes);
        // The unreadable frame held at least one entry. Cheaper than the checksum, so first.
        old_size.is_some_and(|old_size| old_size > expected)
    };
    starts.filter(|&at| later(at)).any(|at| {
        Frame::parse(&bytes[at..]).is_ok_and(|(frame, _)| {
            Checkpoint::open(&frame.checkpoint, key)
                .is_ok_and(|checkpoint| checkpoint.size == frame.new_size())
        })
    })
}

fn damaged(at: At<'_>, source: FrameError) -> OpenError {
    let (path, offset) = (at.path.to_owned(), at.offset);
    OpenError::Damaged {
        path,
        offset,
        source: Box::new(source),
    }
}
