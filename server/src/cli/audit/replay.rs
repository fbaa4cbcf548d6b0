//! A log read from its first entry to its last: the root that its entries have, and what they say.

use std::collections::BTreeMap;

use dockmaster_proto::{
    id::{Digest, Serial},
    time::UnixMs,
};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    hash::{Hash, leaf_hash},
    tree::RightEdge,
};
use serde::Deserialize;

/// What a certificate's entry says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logged {
    /// The kind of the entry.
    pub(super) event: String,
    /// The certificate.
    pub(super) serial: Serial,
    /// SHA-256 of its DER.
    pub(super) der_sha256: Digest,
}

impl Logged {
    /// Whether the master keeps the certificate itself beside the entry.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.event.as_str(), "cert_issued" | "cert_renewed")
    }
}

/// Everything that reading the entries gathers.
#[derive(Debug, Default)]
pub(super) struct Replay {
    edge: RightEdge,
    /// The first and the last time.
    pub(super) span: Option<(UnixMs, UnixMs)>,
    /// How many entries of each kind there are.
    pub(super) events: BTreeMap<String, u64>,
    /// The certificates by the index of their entry.
    pub(super) certificates: BTreeMap<u64, Logged>,
}

/// What every entry has, of whatever kind and version.
#[derive(Deserialize)]
struct Head {
    ts_ms: UnixMs,
    event: String,
}

/// What every entry about a new certificate has.
#[derive(Deserialize)]
struct Issuance {
    serial: Serial,
    der_sha256: Digest,
}

/// Kinds of entries that say that a certificate was made.
const ISSUANCES: [&str; 3] = ["cert_issued", "cert_renewed", "operator_granted"];

impl Replay {
    /// Takes the next entry; tells what is wrong with what it says. Its hash counts in any case.
    pub(super) fn push(&mut self, entry: &[u8]) -> Option<String> {
        let index = self.edge.size();
        self.edge.push(leaf_hash(entry));
        self.read(index, entry).err()
    }

    fn read(&mut self, index: u64, entry: &[u8]) -> Result<(), String> {
        let unreadable =
            |error: serde_json::Error| format!("entry {index} cannot be read: {error}");
        let head: Head = serde_json::from_slice(entry).map_err(unreadable)?;
        *self.events.entry(head.event.clone()).or_default() += 1;
        let (first, last) = self
            .span
            .map_or((head.ts_ms, None), |(first, last)| (first, Some(last)));
        self.span = Some((first, head.ts_ms));
        if ISSUANCES.contains(&head.event.as_str()) {
            let Issuance { serial, der_sha256 } =
                serde_json::from_slice(entry).map_err(unreadable)?;
            let logged = Logged {
                event: head.event,
                serial,
                der_sha256,
            };
            self.certificates.insert(index, logged);
        }
        match last {
            Some(last) if head.ts_ms <= last => Err(format!(
                "entry {index} is of {}, which is not after {last}, the time of the entry before it",
                head.ts_ms
            )),
            _ => Ok(()),
        }
    }

    /// Number of entries so far.
    pub(super) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root that the entries have.
    pub(super) fn root(&self) -> Hash {
        self.edge.root()
    }

    /// Compares the entries with what the log signed; tells what is wrong.
    pub(super) fn compare(&self, checkpoint: &Checkpoint) -> Option<String> {
        let (size, root) = (self.size(), self.root());
        let same = size == checkpoint.size && root == checkpoint.root;
        (!same).then(|| {
            format!(
                "the entries are not those that the log signed: {size} entries with root {root}, \
                 but the checkpoint says {} with root {}",
                checkpoint.size, checkpoint.root
            )
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use dockmaster_tlog::note::KeyName;

    use super::*;

    /// An entry as a line.
    pub(in crate::cli::audit) fn entry(ts_ms: u64, event: &str, rest: &str) -> Vec<u8> {
        format!(r#"{{"v":1,"ts_ms":{ts_ms},"event":"{event}"{rest}}}"#).into_bytes()
    }

    /// The fields of an entry about a certificate.
    pub(in crate::cli::audit) fn certificate(serial: Serial, der: &[u8]) -> String {
        let digest = Digest::of(der);
        format!(r#","serial":"{serial}","der_sha256":"{digest}""#)
    }

    fn checkpoint(replay: &Replay) -> Checkpoint {
        Checkpoint {
            origin: KeyName::new("td/dockmaster-log").unwrap(),
            size: replay.size(),
            root: replay.root(),
        }
    }

    #[test]
    fn times_kinds_and_certificates_are_gathered() {
        let serial = Serial::from_bytes([1; 16]);
        let mut replay = Replay::default();
        assert_eq!(replay.push(&entry(5, "ca_created", "")), None);
        assert_eq!(replay.push(&entry(6, "of_the_future", ",\"x\":[]")), None);
        assert_eq!(
            replay.push(&entry(9, "cert_issued", &certificate(serial, b"der"))),
            None
        );
        assert_eq!(replay.span, Some((UnixMs(5), UnixMs(9))));
        assert_eq!(replay.events.len(), 3);
        assert_eq!(replay.certificates[&2].serial, serial);
        assert!(replay.certificates[&2].is_kept());
    }

    #[test]
    fn another_order_or_another_byte_is_another_root() {
        let [a, b] = [entry(1, "x", ""), entry(2, "x", "")];
        let replay = |entries: &[&[u8]]| {
            let mut replay = Replay::default();
            for entry in entries {
                replay.push(entry);
            }
            replay
        };
        let signed = checkpoint(&replay(&[&a, &b]));
        assert_eq!(replay(&[&a, &b]).compare(&signed), None);
        assert!(replay(&[&b, &a]).compare(&signed).is_some());
        assert!(replay(&[&a]).compare(&signed).is_some());
        let spaced = [&b[..], b" "].concat();
        assert!(replay(&[&a, &spaced]).compare(&signed).is_some());
    }

    #[test]
    fn time_that_stands_still_is_told() {
        let mut replay = Replay::default();
        assert_eq!(replay.push(&entry(5, "x", "")), None);
        let told = replay.push(&entry(5, "x", "")).unwrap();
        assert!(
            told.starts_with("entry 1 is of 1970-01-01T00:00:00.005Z"),
            "{told}"
        );
    }

    #[test]
    fn garbage_is_told_and_counts() {
        let mut replay = Replay::default();
        assert!(
            replay
                .push(b"{")
                .unwrap()
                .starts_with("entry 0 cannot be read")
        );
        assert_eq!(replay.size(), 1);
        let issued = entry(1, "cert_issued", "");
        assert!(
            replay
                .push(&issued)
                .unwrap()
                .contains("missing field `serial`")
        );
    }
}
