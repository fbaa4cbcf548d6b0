//! Reports: what an agent did with a catalog.

use serde::{Deserialize, Serialize};

use crate::{catalog::ResourceRef, facts::ObservedFacts, id::Digest, time::UnixMs};

/// The largest report in bytes that a master takes.
pub const MAX_REPORT_BYTES: usize = 1 << 20;

/// The longest alarm in characters that a master takes up; its text ends there.
pub const MAX_ALARM_CHARS: usize = 500;

/// The result of one apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The catalog.
    pub catalog: Digest,
    /// The agent's version.
    pub agent_version: String,
    /// When the apply began, by the container's clock.
    pub started_at_ms: UnixMs,
    /// How long it took.
    pub duration_us: u64,
    /// The result as a whole.
    pub status: ApplyStatus,
    /// Each resource in the order in which it was dealt with.
    pub resources: Vec<ResourceReport>,
    /// The supervised processes after the apply.
    pub processes: Vec<ProcessReport>,
    /// What the agent observes.
    pub facts: ObservedFacts,
    /// That the master's log contradicts what the agent has seen of it; empty when it does not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alarm: String,
}

impl Report {
    /// Ends the alarm after [`MAX_ALARM_CHARS`]: whoever has a container's key may write anything there,
    /// and it is for a person to read.
    pub fn bound_alarm(&mut self) {
        if let Some((end, _)) = self.alarm.char_indices().nth(MAX_ALARM_CHARS) {
            self.alarm.truncate(end);
        }
    }
}

/// The result as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyStatus {
    /// Everything is as the catalog says and nothing had to be done.
    Unchanged,
    /// Everything is as the catalog says.
    Changed,
    /// Something failed or was skipped.
    Failed,
}

/// What became of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceReport {
    /// The resource.
    pub resource: ResourceRef,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub duration_us: u64,
}

/// What became of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was as it should be.
    Unchanged,
    /// It was changed.
    Changed {
        /// What was done, in words.
        what: String,
        /// Whether the catalog changed or the container drifted.
        change: Change,
        /// The difference as a unified diff; capped, and empty where there is none to show.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        diff: String,
    },
    /// It would have been changed, had this not been a dry run.
    WouldChange {
        /// What would have been done, in words.
        what: String,
        /// The difference as a unified diff.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        diff: String,
    },
    /// It could not be made so.
    Failed {
        /// What went wrong.
        error: String,
    },
    /// It was not tried.
    Skipped {
        /// Why not.
        reason: String,
    },
}

/// Why a resource had to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The catalog is a new one.
    Intentional,
    /// The catalog is the same; something inside the container had changed it.
    Corrective,
}

/// A supervised process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Its title.
    pub title: String,
    /// Its process ID inside the container; none when it does not run.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// How often it took up new configuration.
    pub reloads: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Observed;

    fn unseen<T>() -> Observed<T> {
        Observed {
            value: None,
            source: String::new(),
        }
    }

    #[test]
    fn an_alarm_ends_where_a_person_would_stop_reading() {
        let mut report = Report {
            catalog: Digest::from_bytes([1; 32]),
            agent_version: String::new(),
            started_at_ms: UnixMs(0),
            duration_us: 0,
            status: ApplyStatus::Unchanged,
            resources: vec![],
            processes: vec![],
            facts: ObservedFacts {
                memory_bytes: unseen(),
                cpu_millis: unseen(),
                ips: unseen(),
                hostname: unseen(),
                kernel: unseen(),
                cgroup_version: unseen(),
                os: unseen(),
            },
            alarm: "ä".repeat(MAX_ALARM_CHARS),
        };
        let longest = report.clone();
        report.bound_alarm();
        assert_eq!(report, longest);
        report.alarm.push_str("b and more");
        report.bound_alarm();
        assert_eq!(report, longest);
    }
}
