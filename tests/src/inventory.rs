//! Containers that exist only on paper: an inventory file for tests without an engine.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// An inventory file, for `dockmaster serve --inventory`.
#[derive(Debug)]
pub struct Inventory {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

/// A container in an inventory file.
#[derive(Debug, Clone)]
pub struct StandIn {
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its addresses, all in one network.
    pub ips: Vec<IpAddr>,
    /// That network; the file's own where none is given.
    pub network: Option<String>,
    /// When it was started (RFC 3339); 1970 where none is given.
    pub started_at: Option<String>,
}

impl StandIn {
    /// The `number`th stand-in, at a loopback address of its own.
    #[must_use]
    pub fn numbered(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self {
            id: format!("{number:064x}"),
            name: format!("stand-in-{number}"),
            labels: Vec::new(),
            ips: vec![[127, 77, high, low].into()],
            network: None,
            started_at: None,
        }
    }

    /// With this label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Started then; another time is another run.
    #[must_use]
    pub fn started(mut self, at: &str) -> Self {
        self.started_at = Some(at.to_owned());
        self
    }

    fn json(&self) -> Value {
        let labels: serde_json::Map<_, _> = self
            .labels
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        let ip = |ip: &IpAddr| match &self.network {
            Some(network) => json!({ "ip": ip, "network": network }),
            None => json!(ip),
        };
        let ips: Vec<Value> = self.ips.iter().map(ip).collect();
        json!({
            "id": self.id, "name": self.name, "image": "stand-in:1",
            "labels": labels, "ips": ips, "started_at": self.started_at,
        })
    }
}

impl Inventory {
    /// A file that lists these.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn new(containers: &[StandIn]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory.json");
        let inventory = Self { path, _dir: dir };
        inventory.set(containers);
        inventory
    }

    /// Replaces the list, at once.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn set(&self, containers: &[StandIn]) {
        let list: Vec<_> = containers.iter().map(StandIn::json).collect();
        let new = self.path.with_extension("new");
        fs::write(&new, json!({ "containers": list }).to_string()).unwrap();
        fs::rename(new, &self.path).unwrap();
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
