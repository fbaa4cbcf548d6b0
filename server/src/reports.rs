//! The last report of each node: one small file each. Reports are news, not history, so they are
//! not in the ledger; and they are not in the index, which may be deleted.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use dockmaster_proto::{
    api::nodes::ReceivedReport,
    id::ContainerId,
    report::{ApplyStatus, Report},
    time::UnixMs,
};

/// Files kept at most; beyond it those of containers that reported longest ago go.
const MAX_FILES: usize = 20_000;

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
    statuses: Mutex<HashMap<ContainerId, ApplyStatus>>,
}

impl Reports {
    /// The reports in a directory, which is made when there is none.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(dir: PathBuf) -> Result<Self, ReportError> {
        std::fs::create_dir_all(&dir).map_err(|source| ReportError {
            path: dir.clone(),
            source,
        })?;
        prune(&dir)?;
        let reports = Self {
            dir,
            statuses: Mutex::default(),
        };
        let listing = std::fs::read_dir(&reports.dir).map_err(|source| ReportError {
            path: reports.dir.clone(),
            source,
        })?;
        for entry in listing.flatten() {
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| name.strip_suffix(".json")?.parse::<ContainerId>().ok());
            if let Some(id) = id
                && let Ok(Some(received)) = reports.last(&id)
            {
                reports.remember(&id, received.report.status);
            }
        }
        Ok(reports)
    }

    /// Keeps a node's report in place of its last one.
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
        // Rename, so that a reader never sees half a report. No sync: losing one to a power cut loses news.
        let temporary = self.dir.join(format!("{node}.tmp"));
        std::fs::write(&temporary, bytes)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(|source| ReportError { path, source })?;
        self.remember(node, status);
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
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let word = match statuses.get(node)? {
            ApplyStatus::Unchanged => "unchanged",
            ApplyStatus::Changed => "changed",
            ApplyStatus::Failed => "failed",
        };
        Some(word.to_owned())
    }

    fn remember(&self, node: &ContainerId, status: ApplyStatus) {
        self.statuses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(*node, status);
    }

    fn path(&self, node: &ContainerId) -> PathBuf {
        self.dir.join(format!("{node}.json"))
    }
}

fn prune(dir: &Path) -> Result<(), ReportError> {
    let error = |source| ReportError {
        path: dir.to_owned(),
        source,
    };
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(error)?.flatten() {
        if let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) {
            files.push((modified, entry.path()));
        }
    }
    files.sort();
    let surplus = files.len().saturating_sub(MAX_FILES);
    for (_, path) in files.into_iter().take(surplus) {
        std::fs::remove_file(path).map_err(error)?;
    }
    Ok(())
}
