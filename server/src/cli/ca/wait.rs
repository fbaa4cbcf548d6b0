//! `dockmaster ca rotate --wait`.

use std::time::Duration;

use dockmaster_proto::{
    api::authority::{AuthorityReport, Phase, RotationReport},
    id::TrustPin,
};

use super::ask;
use crate::cli::{error::CliError, output, progress::Progress, remote::Remote};

/// How often a rotation is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Waits for the nodes: first that they know the new root, then that they have certificates under it.
///
/// # Errors
/// When the rotation is taken back meanwhile, or the master does not answer.
pub(super) async fn wait(
    remote: &mut Remote,
    mut report: AuthorityReport,
) -> Result<AuthorityReport, CliError> {
    let wanted = report.rotation.as_ref().map(|rotation| rotation.new_pin);
    let mut bar: Option<Bar> = None;
    while let Some(rotation) = going_on(&report, wanted)? {
        let count = Count::of(rotation);
        if bar.as_ref().is_some_and(|bar| bar.what != count.what) {
            bar = None;
            output::note(&Count::known(rotation).line());
        }
        if rotation.phase == Phase::Switched && rotation.behind.is_empty() {
            drop(bar);
            output::note(&count.line());
            break;
        }
        bar.get_or_insert_with(|| Bar::start(&count)).show(&count);
        tokio::time::sleep(LOOK).await;
        report = ask(remote).await?;
    }
    Ok(report)
}

/// The rotation that is waited for; none when it is finished already.
///
/// # Errors
/// When it is taken back.
fn going_on(
    report: &AuthorityReport,
    wanted: Option<TrustPin>,
) -> Result<Option<&RotationReport>, CliError> {
    let is_wanted = |pin: TrustPin| wanted.is_none_or(|wanted| wanted == pin);
    match &report.rotation {
        None if is_wanted(report.pin) => Ok(None),
        Some(rotation) if is_wanted(rotation.new_pin) && rotation.phase != Phase::Withdrawing => {
            Ok(Some(rotation))
        }
        _ => Err(CliError::failed(
            "the rotation is taken back",
            "\"dockmaster ca show\" says how far that is; then \"dockmaster ca rotate\" begins another",
        )),
    }
}

/// Nodes that are where they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    what: &'static str,
    done: u64,
    of: u64,
}

impl Count {
    /// What this phase waits for.
    const fn of(rotation: &RotationReport) -> Self {
        match rotation.phase {
            Phase::Announced => Self::known(rotation),
            Phase::Switched | Phase::Withdrawing => Self {
                what: "nodes with new certificates",
                done: rotation.renewed,
                of: rotation.nodes,
            },
        }
    }

    const fn known(rotation: &RotationReport) -> Self {
        Self {
            what: "nodes that know the new root",
            done: rotation.acknowledged,
            of: rotation.nodes,
        }
    }

    fn line(self) -> String {
        let Self { what, done, of } = self;
        format!("{what}: {done} of {of}")
    }
}

/// A count that a person watches.
struct Bar {
    what: &'static str,
    bar: Progress,
    shown: u64,
}

impl Bar {
    fn start(count: &Count) -> Self {
        Self {
            what: count.what,
            bar: Progress::start(count.what, count.of),
            shown: 0,
        }
    }

    /// A bar does not go back, also where nodes that were done have ended.
    fn show(&mut self, count: &Count) {
        self.bar.advance(count.done.saturating_sub(self.shown));
        self.shown = self.shown.max(count.done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ca::tests::{report, rotation};

    #[test]
    fn a_rotation_that_was_finished_meanwhile_is_no_more_waited_for_and_one_taken_back_is_an_error()
    {
        let (this, another) = (TrustPin::of("x"), TrustPin::of("y"));
        let finished = report(None);
        assert_eq!(going_on(&finished, Some(this)).unwrap(), None);
        assert_eq!(going_on(&finished, None).unwrap(), None);
        assert!(going_on(&finished, Some(another)).is_err());
        for phase in [Phase::Announced, Phase::Switched] {
            let report = report(Some(rotation(phase)));
            assert!(going_on(&report, Some(this)).unwrap().is_some());
            assert!(going_on(&report, Some(another)).is_err(), "a later one");
        }
        let back = report(Some(rotation(Phase::Withdrawing)));
        assert!(going_on(&back, Some(this)).is_err());
    }

    #[test]
    fn each_phase_counts_what_it_waits_for() {
        let line = |phase| Count::of(&rotation(phase)).line();
        assert_eq!(
            line(Phase::Announced),
            "nodes that know the new root: 2 of 3"
        );
        assert_eq!(line(Phase::Switched), "nodes with new certificates: 1 of 3");
    }
}
