//! How a process takes up new configuration without a restart.

use std::time::{Duration, Instant};

use dockmaster_proto::resource::Reload;
use rustix::process::{Pid, Signal};
use tokio::time::sleep;

use super::{Spec, SuperviseError, command, reaper::Reaper, signal};

/// How long a reload command may take.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a process that just started gets to install its handler for the reload signal.
const HANDLER_PATIENCE: Duration = Duration::from_secs(3);
/// So many looks in a row that find a signal blocked mean that it is meant to be.
const BLOCKED_LOOKS: u32 = 8;

/// Does all that takes time for a reload, and gives the signal that is left to be sent. When this is
/// dropped, a command that runs is killed.
///
/// # Errors
/// [`SuperviseError`]; the process goes on as it was.
pub(super) async fn prepare(
    spec: &Spec,
    reaper: &Reaper,
    pid: Pid,
) -> Result<Option<Signal>, SuperviseError> {
    match &spec.reload {
        Reload::Signal(name) => {
            let signal =
                signal::by_name(name).ok_or_else(|| SuperviseError::Signal(name.clone()))?;
            wait_for_handler(pid, signal, name).await?;
            Ok(Some(signal))
        }
        Reload::Command(argv) => {
            let run = command::Run {
                argv,
                cwd: spec.cwd.as_deref(),
                user: spec.user.as_ref(),
                env: &spec.env,
                timeout: RELOAD_TIMEOUT,
            };
            command::succeed(reaper, &run).await?;
            Ok(None)
        }
        // The supervisor orders a restart for it.
        Reload::Restart => Ok(None),
    }
}

/// A signal without a handler ends a process. One that just started may not have come as far as its
/// handler yet, so it gets a while; one that never installs it is spared.
async fn wait_for_handler(pid: Pid, signal: Signal, name: &str) -> Result<(), SuperviseError> {
    let deadline = Instant::now() + HANDLER_PATIENCE;
    let mut pause = Duration::from_millis(1);
    let mut blocked = 0;
    loop {
        match disposition(pid, signal) {
            // Without /proc, or once it ended, there is nothing to find out.
            None | Some(Disposition::Survives) => return Ok(()),
            // Any program blocks all signals for an instant while it starts another; one that takes
            // them up by signalfd keeps them blocked.
            Some(Disposition::Blocked) => {
                blocked += 1;
                if blocked == BLOCKED_LOOKS {
                    return Ok(());
                }
            }
            Some(Disposition::Dies) => blocked = 0,
        }
        if Instant::now() >= deadline {
            return Err(SuperviseError::Uncaught(name.to_owned()));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// What becomes of a process that gets a signal.
enum Disposition {
    /// It catches or ignores it, or nobody dies of it.
    Survives,
    /// It blocks it for now.
    Blocked,
    /// It ends.
    Dies,
}

/// Reads from `/proc` what becomes of a process that gets a signal.
fn disposition(pid: Pid, signal: Signal) -> Option<Disposition> {
    if [Signal::CONT, Signal::CHILD, Signal::WINCH, Signal::URG].contains(&signal) {
        return Some(Disposition::Survives);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let bit = u32::try_from(signal.as_raw() - 1).ok()?;
    let is_in = |mask: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(mask))?;
        let mask = u64::from_str_radix(line.trim(), 16).ok()?;
        Some(mask >> bit & 1 == 1)
    };
    Some(if is_in("SigCgt:")? || is_in("SigIgn:")? {
        Disposition::Survives
    } else if is_in("SigBlk:")? {
        Disposition::Blocked
    } else {
        Disposition::Dies
    })
}
