//! A life's reports: kept in the run dir, and here until the master has them.

use std::time::Duration;

use dockmaster_proto::report::{MAX_REPORT_BYTES, Outcome, Report, ResourceReport};

use super::Life;
use crate::{
    link::{Cause, LinkError},
    rundir, say,
};

/// How long the end of a container is put off for a report that was not sent yet.
const FAREWELL: Duration = Duration::from_secs(1);
/// How much of a text is kept, in characters, where a report is too large.
const SHORT_TEXT: usize = 200;

impl Life<'_> {
    /// Keeps a report until it can be sent.
    pub(super) fn keep(&mut self, report: Report) {
        let report = fit(report, MAX_REPORT_BYTES);
        let bytes = serde_json::to_vec_pretty(&report).unwrap_or_default();
        if let Err(error) = self.run.write(rundir::REPORT, &bytes) {
            say!("{error}");
        }
        self.unsent = Some(report);
    }

    /// Sees to it that the master hears of an alarm, also when there is nothing to apply.
    pub(super) fn pass_alarm_on(&mut self) {
        let Some(alarm) = self.link.alarm() else {
            return;
        };
        let last = || {
            let bytes = self.run.read(rundir::REPORT).ok().flatten()?;
            serde_json::from_slice::<Report>(&bytes).ok()
        };
        let report = self.unsent.clone().or_else(last);
        // Before the first report: that one will have it.
        if let Some(mut report) = report.filter(|report| report.alarm != alarm) {
            report.alarm = alarm.to_owned();
            self.keep(report);
        }
    }

    /// Sends the report that is still here, and first makes it where an apply was interrupted: the
    /// master should show what became of a container that died at once. Waits a moment only.
    pub async fn farewell(&mut self, why: &str) {
        self.interrupted(why);
        let processes = self.process_report();
        let Some(report) = &mut self.unsent else {
            return;
        };
        report.processes = processes;
        let sent = tokio::time::timeout(FAREWELL, async {
            // The connection may have broken just as the application ended.
            if let Err(error) = self.send().await {
                self.link.failed(&error);
                self.send().await?;
            }
            Ok::<(), LinkError>(())
        });
        if !matches!(sent.await, Ok(Ok(()))) {
            say!("the last report did not reach the master; it lies in the run dir");
        }
    }

    /// Sends the report that is still here. It stays until the master has it, also when this is
    /// interrupted.
    pub(super) async fn send(&mut self) -> Result<(), LinkError> {
        let Some(report) = &self.unsent else {
            return Ok(());
        };
        match self.link.report(report).await {
            // A full disk, say: it is sent again with the next round.
            Err(error) if error.is_for_later() => return Ok(()),
            // The master does not want it; sending it again would change nothing.
            Err(error) if error.cause() == Cause::Refused && !error.wants_certificate() => {
                say!("the master does not take the report: {error}");
            }
            sent => sent?,
        }
        self.unsent = None;
        Ok(())
    }
}

/// Leaves out of a report what it takes to make it fit: first the differences, then the ends of long
/// texts, then what is as it should be, at last what worked.
fn fit(mut report: Report, limit: usize) -> Report {
    let size = |report: &Report| serde_json::to_vec(report).map_or(usize::MAX, |bytes| bytes.len());
    for lighten in [clear_diffs, shorten_texts, drop_unchanged] {
        if size(&report) <= limit {
            return report;
        }
        lighten(&mut report.resources);
    }
    if size(&report) > limit {
        let resources = std::mem::take(&mut report.resources);
        let room = limit.saturating_sub(size(&report));
        report.resources = most_telling(resources, room);
    }
    report
}

fn clear_diffs(resources: &mut Vec<ResourceReport>) {
    for resource in resources {
        if let Outcome::Changed { diff, .. } | Outcome::WouldChange { diff, .. } =
            &mut resource.outcome
        {
            diff.clear();
        }
    }
}

fn shorten_texts(resources: &mut Vec<ResourceReport>) {
    for resource in resources {
        let (Outcome::Changed { what: text, .. }
        | Outcome::WouldChange { what: text, .. }
        | Outcome::Failed { error: text }
        | Outcome::Skipped { reason: text }) = &mut resource.outcome
        else {
            continue;
        };
        if let Some((end, _)) = text.char_indices().nth(SHORT_TEXT) {
            text.truncate(end);
            text.push('…');
        }
    }
}

fn drop_unchanged(resources: &mut Vec<ResourceReport>) {
    resources.retain(|resource| resource.outcome != Outcome::Unchanged);
}

/// As many as there is room for, in their order: failures first, then what was skipped for them.
fn most_telling(resources: Vec<ResourceReport>, mut room: usize) -> Vec<ResourceReport> {
    let rank = |resource: &ResourceReport| match resource.outcome {
        Outcome::Failed { .. } => 0,
        Outcome::Skipped { .. } => 1,
        _ => 2,
    };
    let mut by_rank: Vec<usize> = (0..resources.len()).collect();
    by_rank.sort_by_key(|index| rank(&resources[*index]));
    let mut kept = vec![false; resources.len()];
    for index in by_rank {
        // And the comma.
        let size =
            serde_json::to_vec(&resources[index]).map_or(usize::MAX, |bytes| bytes.len() + 1);
        if size > room {
            continue;
        }
        room -= size;
        kept[index] = true;
    }
    let kept = resources.into_iter().zip(kept);
    kept.filter(|(_, kept)| *kept)
        .map(|(resource, _)| resource)
        .collect()
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        id::Digest,
        report::{ApplyStatus, Change},
        time::UnixMs,
    };

    use super::*;
    use crate::{facts, root::Root};

    fn report(outcomes: Vec<Outcome>) -> Report {
        let resources = outcomes.into_iter().enumerate();
        Report {
            catalog: Digest::of(b""),
            agent_version: String::new(),
            started_at_ms: UnixMs(0),
            duration_us: 0,
            status: ApplyStatus::Failed,
            resources: resources
                .map(|(index, outcome)| ResourceReport {
                    resource: format!("file[/{index}]").parse().unwrap(),
                    outcome,
                    duration_us: 1,
                })
                .collect(),
            processes: vec![],
            facts: facts::observe(&Root::new("/nowhere")),
            alarm: String::new(),
        }
    }

    fn changed(diff: &str) -> Outcome {
        Outcome::Changed {
            what: "contents replaced".into(),
            change: Change::Intentional,
            diff: diff.into(),
        }
    }

    #[test]
    fn a_report_that_fits_is_left_alone() {
        let small = report(vec![changed("+x"), Outcome::Unchanged]);
        assert_eq!(fit(small.clone(), MAX_REPORT_BYTES), small);
    }

    #[test]
    fn a_report_that_is_too_large_loses_its_differences_first() {
        let large = report(vec![changed(&"+x\n".repeat(9000)), Outcome::Unchanged]);
        let fitted = fit(large, 10_000);
        assert_eq!(fitted.resources[0].outcome, changed(""));
        assert_eq!(fitted.resources.len(), 2);
    }

    #[test]
    fn failures_are_told_however_large_a_catalog_is() {
        let mut outcomes = vec![Outcome::Unchanged; 5000];
        outcomes.extend(vec![changed(""); 5000]);
        outcomes.push(Outcome::Failed {
            error: "é".repeat(9000),
        });
        let fitted = fit(report(outcomes), 10_000);
        assert!(serde_json::to_vec(&fitted).unwrap().len() <= 10_000);
        let Some(Outcome::Failed { error }) = fitted.resources.last().map(|last| &last.outcome)
        else {
            panic!("the failure is left out");
        };
        assert_eq!(error.chars().count(), SHORT_TEXT + 1);
        assert!(fitted.resources.len() > 10);
    }
}
