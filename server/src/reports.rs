//! The last report of each node: one small file each. Reports are news, not history, so they are
//! not in the ledger; and they are not in the index, which may be deleted.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use dockmaster_proto::{
    api::nodes::ReceivedReport,
    id::ContainerId,
    report::{ApplyStatus, Report},
    time::UnixMs,
};

/// What is kept at most; beyond it the reports that are oldest go.
const BOUNDS: Bounds = Bounds {
    files: 20_000,
    bytes: 256 << 20,
};

#[derive(Debug, Clone, Copy)]
struct Bounds {
    files: usize,
    bytes: u64,
}

/// Why a report cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("the report {path} cannot be kept or read", path = .path.display())]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

impl ReportError {
    /// Whether room is what is missing.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded)
    }
}

/// The reports.
#[derive(Debug)]
pub struct Reports {
    dir: PathBuf,
    bounds: Bounds,
    kept: Mutex<HashMap<ContainerId, Kept>>,
}

/// What is known of a report without reading its file.
#[derive(Debug, Clone, Copy)]
struct Kept {
    received: UnixMs,
    bytes: u64,
    status: ApplyStatus,
}

impl Reports {
    /// The reports in a directory, which is made when there is none.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(dir: PathBuf) -> Result<Self, ReportError> {
        Self::within(BOUNDS, dir)
    }

    fn within(bounds: Bounds, dir: PathBuf) -> Result<Self, ReportError> {
        let error = |source| ReportError {
            path: dir.clone(),
            source,
        };
        std::fs::create_dir_all(&dir).map_err(error)?;
        let mut kept = HashMap::new();
        for entry in std::fs::read_dir(&dir).map_err(error)?.flatten() {
            let path = entry.path();
            match found(&path) {
                Found::Report(id, report) => {
                    kept.insert(id, report);
                }
                // Nobody would ever read it, and nothing else would ever take it away.
                Found::Fragment => remove(&path),
                Found::Foreign => {}
            }
        }
        let reports = Self {
            dir,
            bounds,
            kept: Mutex::new(kept),
        };
        reports.prune(&mut reports.lock(), None);
        Ok(reports)
    }

    /// Keeps a node's report in place of its last one. Where that is more than is kept, the oldest
    /// reports of other nodes go.
    ///
    /// # Errors
    /// When the file cannot be written; the last one is then still there.
    pub fn keep(&self, node: &ContainerId, report: Report, now: UnixMs) -> Result<(), ReportError> {
        let path = self.path(node);
        let status = report.status;
        let received = ReceivedReport {
            received_at_ms: now,
            report,
        };
        let bytes = serde_json::to_vec(&received).map_err(|error| ReportError {
            path: path.clone(),
            source: error.into(),
        })?;
        let report = Kept {
            received: now,
            bytes: bytes.len() as u64,
            status,
        };
        // Rename, so that a reader never sees half a report. No sync: losing one to a power cut loses news.
        let temporary = self.dir.join(format!("{node}.tmp"));
        std::fs::write(&temporary, bytes)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(|source| ReportError { path, source })?;
        let mut kept = self.lock();
        kept.insert(*node, report);
        self.prune(&mut kept, Some(node));
        Ok(())
    }

    /// A node's last report.
    ///
    /// # Errors
    /// When its file cannot be read. One that was cut off by a power loss counts as none.
    pub fn last(&self, node: &ContainerId) -> Result<Option<ReceivedReport>, ReportError> {
        let path = self.path(node);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReportError { path, source }),
        }
    }

    /// The status of a node's last report, as a word.
    #[must_use]
    pub fn last_status(&self, node: &ContainerId) -> Option<String> {
        let word = match self.lock().get(node)?.status {
            ApplyStatus::Unchanged => "unchanged",
            ApplyStatus::Changed => "changed",
            ApplyStatus::Failed => "failed",
        };
        Some(word.to_owned())
    }

    /// Takes the oldest away until the rest is within the bounds. `newest` stays, whatever the clock says.
    fn prune(&self, kept: &mut HashMap<ContainerId, Kept>, newest: Option<&ContainerId>) {
        let mut bytes: u64 = kept.values().map(|report| report.bytes).sum();
        if kept.len() <= self.bounds.files && bytes <= self.bounds.bytes {
            return;
        }
        let mut by_age: Vec<(UnixMs, ContainerId)> = kept
            .iter()
            .filter(|(id, _)| Some(*id) != newest)
            .map(|(id, report)| (report.received, *id))
            .collect();
        by_age.sort_unstable();
        for (_, id) in by_age {
            if kept.len() <= self.bounds.files && bytes <= self.bounds.bytes {
                return;
            }
            if let Some(report) = kept.remove(&id) {
                bytes -= report.bytes;
            }
            remove(&self.path(&id));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, node: &ContainerId) -> PathBuf {
        self.dir.join(format!("{node}.json"))
    }
}

/// What a file in the directory is.
enum Found {
    Report(ContainerId, Kept),
    /// Of a report that a crash or a power loss cut off.
    Fragment,
    /// Not written by us.
    Foreign,
}

fn found(path: &Path) -> Found {
    let id = path
        .file_stem()
        .and_then(|stem| stem.to_str()?.parse().ok());
    let extension = path.extension().and_then(|extension| extension.to_str());
    let id: ContainerId = match (id, extension) {
        (Some(id), Some("json")) => id,
        (Some(_), Some("tmp")) => return Found::Fragment,
        _ => return Found::Foreign,
    };
    let Ok(bytes) = std::fs::read(path) else {
        return Found::Foreign;
    };
    match serde_json::from_slice::<ReceivedReport>(&bytes) {
        Ok(received) => Found::Report(
            id,
            Kept {
                received: received.received_at_ms,
                bytes: bytes.len() as u64,
                status: received.report.status,
            },
        ),
        Err(_) => Found::Fragment,
    }
}

/// Takes a file away, best effort: a report that stays for once is no reason to refuse the next.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "an old report cannot be taken away");
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        facts::{Observed, ObservedFacts},
        id::Digest,
    };

    use super::*;
    use crate::testing::id;

    fn nothing<T>() -> Observed<T> {
        Observed {
            value: None,
            source: String::new(),
        }
    }

    fn report() -> Report {
        Report {
            catalog: Digest::from_bytes([0; 32]),
            agent_version: String::new(),
            started_at_ms: UnixMs(0),
            duration_us: 0,
            status: ApplyStatus::Changed,
            resources: vec![],
            processes: vec![],
            facts: ObservedFacts {
                memory_bytes: nothing(),
                cpu_millis: nothing(),
                ips: nothing(),
                hostname: nothing(),
                kernel: nothing(),
                cgroup_version: nothing(),
                os: nothing(),
            },
            alarm: String::new(),
        }
    }

    fn files(dir: &Path) -> usize {
        std::fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn the_oldest_reports_go_while_the_master_runs_and_when_it_starts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let bounds = Bounds {
            files: 3,
            bytes: u64::MAX,
        };
        let reports = Reports::within(bounds, path.clone()).unwrap();
        for number in 0..10 {
            let now = UnixMs(u64::from(number));
            reports.keep(&id(number), report(), now).unwrap();
        }
        assert_eq!(files(&path), 3);
        assert_eq!(reports.lock().len(), 3);
        assert!(reports.last(&id(6)).unwrap().is_none());
        assert!(reports.last_status(&id(6)).is_none());
        assert!(reports.last_status(&id(9)).is_some());

        // The clock was put back: what just came is still not what goes.
        reports.keep(&id(20), report(), UnixMs(0)).unwrap();
        assert!(reports.last(&id(20)).unwrap().is_some());
        drop(reports);

        let fewer = Bounds { files: 1, ..bounds };
        let reports = Reports::within(fewer, path.clone()).unwrap();
        assert_eq!(files(&path), 1);
        assert!(reports.last_status(&id(9)).is_some());
    }

    #[test]
    fn all_reports_together_have_a_size_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let reports = Reports::open(dir.path().to_owned()).unwrap();
        reports.keep(&id(1), report(), UnixMs(1)).unwrap();
        let bytes = reports.lock()[&id(1)].bytes;
        drop(reports);

        let bounds = Bounds {
            files: 100,
            bytes: bytes * 3,
        };
        let reports = Reports::within(bounds, dir.path().to_owned()).unwrap();
        for number in 2..10 {
            let now = UnixMs(u64::from(number));
            reports.keep(&id(number), report(), now).unwrap();
        }
        assert_eq!(files(dir.path()), 3);
        assert!(reports.last_status(&id(9)).is_some());
    }

    #[test]
    fn what_a_crash_left_of_a_report_is_taken_away_and_what_is_not_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        for name in [format!("{}.tmp", id(1)), format!("{}.json", id(2))] {
            std::fs::write(dir.path().join(name), b"{\"received_at").unwrap();
        }
        std::fs::write(dir.path().join("note.txt"), b"mine").unwrap();
        Reports::open(dir.path().to_owned()).unwrap();
        assert_eq!(files(dir.path()), 1);
        assert!(dir.path().join("note.txt").exists());
    }
}
