//! The sync that a commit waits for.

use std::{
    fs::File,
    io::Write as _,
    time::{Duration, Instant},
};

use super::median;

/// About what one issuance puts into the write-ahead log.
const FRAME: [u8; 2048] = [0xA5; 2048];
const SYNCS: usize = 200;

/// The median time of day of one append and its sync, where the master's data lies too.
pub(crate) fn append_and_sync() -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let mut file = File::create(dir.path().join("wal")).unwrap();
    median((0..SYNCS).map(|_| {
        let begin = Instant::now();
        file.write_all(&FRAME).unwrap();
        file.sync_data().unwrap();
        begin.elapsed()
    }))
}
