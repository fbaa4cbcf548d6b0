//! A file as the source of truth, for hosts without a container engine: whoever may write it
//! vouches for the containers in it.

mod format;

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, Metadata},
    io::Read as _,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dockmaster_proto::{
    facts::ContainerFacts,
    id::{ContainerId, Name},
};
use tokio::{sync::mpsc, time::MissedTickBehavior};

pub(crate) use self::format::read as raw;
pub use self::format::{FormatError, MAX_FILE};
use crate::{Observation, chain, known::Known};

/// How often the file is looked at; it is read only when it was written.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// Why an inventory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the inventory file {path}; does it exist, and may this user read it?")]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// It is too large.
    #[error("the inventory file {path} is larger than {MAX_FILE} bytes; use several hosts")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Something in it is wrong.
    #[error("the inventory file {path} is not used")]
    Format {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: FormatError,
    },
}

/// The containers that a file lists. Its form:
///
/// ```yaml
/// containers:
///   - id: 1f3c… # 64 hex digits; the identity
///     name: web-1
///     image: app:1
///     labels: {role: web} # optional
///     ips: # in the network HOST/file, unless a network is named
///       - 127.1.0.2
///       - {ip: 10.0.0.7, network: backend}
///     started_at: 2026-11-24T14:03:00Z # optional; a new value means a restart
///     image_digest: sha256:… # optional
///     limits: {memory_bytes: 58720256, cpu_millis: 500} # optional
/// ```
///
/// or the same as JSON, when its name ends in `.json`. Replace it by `rename(2)`, and no reader
/// ever sees half of it. While it is broken the last good state stays in force.
#[derive(Debug)]
pub struct FileInventory {
    path: PathBuf,
    host: Name,
    read: Mutex<State>,
}

/// What the last readings gave.
#[derive(Debug, Default)]
struct State {
    /// The file as it was at the last reading, good or not.
    stamp: Option<Stamp>,
    /// The last good content.
    good: Option<Arc<Content>>,
    /// Why the last reading was not good.
    trouble: Option<Arc<FileError>>,
}

/// What tells one writing of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// A good content, ready for questions.
#[derive(Debug)]
struct Content {
    containers: BTreeMap<ContainerId, ContainerFacts>,
    by_ip: HashMap<IpAddr, Vec<ContainerId>>,
}

impl Content {
    fn new(all: Vec<ContainerFacts>) -> Self {
        let mut by_ip = HashMap::<_, Vec<_>>::new();
        for facts in &all {
            let mut ips: Vec<_> = facts.attachments.iter().flat_map(|at| &at.ips).collect();
            ips.sort_unstable();
            ips.dedup();
            for ip in ips {
                by_ip.entry(*ip).or_default().push(facts.id);
            }
        }
        let containers = all.into_iter().map(|facts| (facts.id, facts)).collect();
        Self { containers, by_ip }
    }

    fn all(&self) -> Vec<ContainerFacts> {
        self.containers.values().cloned().collect()
    }
}

impl FileInventory {
    /// An inventory of the containers that this file lists, on the host of this name. The file
    /// need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, host: Name) -> Self {
        Self {
            path: path.into(),
            host,
            read: Mutex::default(),
        }
    }

    pub(crate) async fn watch(&self, observations: mpsc::Sender<Observation>) {
        let mut ticks = tokio::time::interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = Known::default();
        let mut seen: Option<Arc<Content>> = None;
        let mut told: Option<String> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = observations.closed() => return,
            }
            let (good, trouble) = self.look();
            let news = match (good, trouble) {
                (_, Some(error)) => {
                    let reason = chain(&*error);
                    if told.as_ref() == Some(&reason) {
                        continue;
                    }
                    tracing::warn!(reason, "the inventory file cannot be used");
                    told = Some(reason.clone());
                    seen = None;
                    vec![Observation::Lost(reason)]
                }
                (Some(good), None) => {
                    told = None;
                    if seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &good)) {
                        continue;
                    }
                    let anew = seen.replace(Arc::clone(&good)).is_none();
                    if anew {
                        vec![known.snapshot(good.all(), Vec::new())]
                    } else {
                        known.difference(good.all())
                    }
                }
                (None, None) => continue,
            };
            for observation in news {
                if observations.send(observation).await.is_err() {
                    return;
                }
            }
        }
    }

    pub(crate) fn inspect(
        &self,
        id: &ContainerId,
    ) -> Result<Option<ContainerFacts>, Arc<FileError>> {
        Ok(self.content()?.containers.get(id).cloned())
    }

    pub(crate) fn find(&self, ip: IpAddr) -> Result<Vec<ContainerFacts>, Arc<FileError>> {
        let content = self.content()?;
        let ids = content.by_ip.get(&ip.to_canonical());
        let found = ids.into_iter().flatten();
        Ok(found
            .filter_map(|id| content.containers.get(id).cloned())
            .collect())
    }

    /// The file's content now, or its last good one.
    fn content(&self) -> Result<Arc<Content>, Arc<FileError>> {
        match self.look() {
            (Some(good), _) => Ok(good),
            (None, Some(trouble)) => Err(trouble),
            (None, None) => Ok(Arc::new(Content::new(Vec::new()))),
        }
    }

    /// Reads the file if it was written since the last time. The files are small and local, and
    /// hardly ever written, so that this is no reason to leave the thread.
    fn look(&self) -> (Option<Arc<Content>>, Option<Arc<FileError>>) {
        let mut state = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // The stamp is taken first: a writing in between is seen at the next look.
        let stamp = std::fs::metadata(&self.path).map(|meta| Stamp::of(&meta));
        if state.stamp.is_none() || state.stamp != stamp.as_ref().ok().copied() {
            state.stamp = stamp.ok();
            match self.read_anew() {
                Ok(content) => {
                    state.good = Some(Arc::new(content));
                    state.trouble = None;
                }
                Err(error) => state.trouble = Some(Arc::new(error)),
            }
        }
        (state.good.clone(), state.trouble.clone())
    }

    fn read_anew(&self) -> Result<Content, FileError> {
        let path = || self.path.clone();
        let unreadable = |source| FileError::Read {
            path: path(),
            source,
        };
        let mut text = String::new();
        let file = File::open(&self.path).map_err(unreadable)?;
        file.take(MAX_FILE + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        if text.len() as u64 > MAX_FILE {
            return Err(FileError::TooLarge { path: path() });
        }
        let all =
            format::read(&text, &self.path, &self.host).map_err(|source| FileError::Format {
                path: path(),
                source,
            })?;
        Ok(Content::new(all))
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::LeaseCause;

    use super::*;

    fn entry(digit: char, ip: &str) -> String {
        let id = digit.to_string().repeat(64);
        format!("  - {{id: {id}, name: c{digit}, image: app, ips: [{ip}]}}\n")
    }

    struct Scene {
        _dir: tempfile::TempDir,
        path: PathBuf,
        inventory: Arc<FileInventory>,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("inventory.yaml");
            let inventory = FileInventory::new(&path, "h1".parse().unwrap());
            Self {
                _dir: dir,
                path,
                inventory: Arc::new(inventory),
            }
        }

        fn write(&self, entries: &str) {
            let new = self.path.with_extension("new");
            std::fs::write(&new, format!("containers:\n{entries}")).unwrap();
            std::fs::rename(new, &self.path).unwrap();
        }

        fn watch(&self) -> mpsc::Receiver<Observation> {
            let (tx, rx) = mpsc::channel(16);
            let inventory = Arc::clone(&self.inventory);
            tokio::spawn(async move { inventory.watch(tx).await });
            rx
        }
    }

    async fn next(rx: &mut mpsc::Receiver<Observation>) -> Observation {
        let next = tokio::time::timeout(Duration::from_secs(10), rx.recv());
        next.await.expect("news within ten seconds").unwrap()
    }

    fn name(observation: &Observation) -> String {
        match observation {
            Observation::Snapshot {
                containers: all, ..
            } => {
                let names: Vec<_> = all.iter().map(|facts| facts.name.as_str()).collect();
                format!("snapshot {}", names.join(" "))
            }
            Observation::Up(facts) => format!("up {}", facts.name),
            Observation::Down { id, cause } => {
                assert_eq!(*cause, LeaseCause::Died);
                format!("down c{}", &id.to_string()[..1])
            }
            Observation::Lost(reason) => format!("lost {reason}"),
        }
    }

    #[tokio::test]
    async fn each_writing_is_told_as_its_differences() {
        let scene = Scene::new();
        scene.write(&entry('a', "127.1.0.1"));
        let mut rx = scene.watch();
        assert_eq!(name(&next(&mut rx).await), "snapshot ca");
        scene.write(&entry('b', "127.1.0.1"));
        assert_eq!(name(&next(&mut rx).await), "down ca");
        assert_eq!(name(&next(&mut rx).await), "up cb");
    }

    #[tokio::test]
    async fn a_broken_file_is_told_once_and_the_last_good_state_stays() {
        let scene = Scene::new();
        let mut rx = scene.watch();
        assert!(name(&next(&mut rx).await).starts_with("lost cannot read the inventory file"));
        scene.write(&entry('a', "127.1.0.1"));
        assert_eq!(name(&next(&mut rx).await), "snapshot ca");
        scene.write("  - {id: x}\n");
        let lost = name(&next(&mut rx).await);
        assert!(
            lost.contains("inventory.yaml is not used: line 2: "),
            "{lost}"
        );
        let found = scene.inventory.find("127.1.0.1".parse().unwrap()).unwrap();
        assert_eq!(found.len(), 1);
        scene.write(&entry('a', "127.1.0.1"));
        assert_eq!(name(&next(&mut rx).await), "snapshot ca");
    }

    #[test]
    fn a_question_sees_the_file_as_it_is_now() {
        let scene = Scene::new();
        let ip = "127.1.0.1".parse().unwrap();
        assert!(scene.inventory.find(ip).is_err());
        scene.write(&entry('a', "127.1.0.1"));
        assert_eq!(scene.inventory.find(ip).unwrap()[0].name, "ca");
        scene.write(&entry('b', "127.1.0.1"));
        assert_eq!(scene.inventory.find(ip).unwrap()[0].name, "cb");
        let id = "a".repeat(64).parse().unwrap();
        assert_eq!(scene.inventory.inspect(&id).unwrap(), None);
    }
}
