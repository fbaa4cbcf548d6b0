//! The resource `exec`.

use std::time::Duration;

use dockmaster_proto::resource::Exec;

use super::{Context, Done, Mode, fault::Fault};
use crate::{
    supervise::{
        Refresh,
        command::{self, Run},
    },
    user::{self, Identity},
};

/// How long a command may run that names no time.
const DEFAULT_TIMEOUT_S: u32 = 300;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs a command, if it has to be run.
///
/// # Errors
/// [`Fault`] when it did not succeed in any of its tries.
pub(super) async fn apply(
    context: &Context<'_>,
    spec: &Exec,
    refresh: Refresh,
) -> Result<Done, Fault> {
    if spec.refreshonly && refresh == Refresh::No {
        return Ok(Done::Unchanged);
    }
    if let Some(creates) = &spec.creates
        && context.root.join(creates).exists()
    {
        return Ok(Done::Unchanged);
    }
    let shown = spec.command.join(" ");
    if context.mode == Mode::Noop {
        let guarded = spec.onlyif.is_some() || spec.unless.is_some();
        let note = if guarded {
            ", if its guards allow (a dry run does not run them)"
        } else {
            ""
        };
        return Ok(Done::changed(format!("run {shown}{note}")));
    }
    let user = spec
        .user
        .as_ref()
        .map(|user| user::identity(context.root, user))
        .transpose()?;
    if let Some(guard) = &spec.onlyif
        && !succeeds(context, spec, user.as_ref(), guard).await?
    {
        return Ok(Done::Unchanged);
    }
    if let Some(guard) = &spec.unless
        && succeeds(context, spec, user.as_ref(), guard).await?
    {
        return Ok(Done::Unchanged);
    }
    let mut tries = spec.tries.unwrap_or(1).max(1);
    loop {
        tries -= 1;
        match command::succeed(context.reaper, &run(spec, user.as_ref(), &spec.command)).await {
            Ok(()) => return Ok(Done::changed(format!("ran {shown}"))),
            Err(error) if tries == 0 => return Err(error.into()),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn succeeds(
    context: &Context<'_>,
    spec: &Exec,
    user: Option<&Identity>,
    guard: &[String],
) -> Result<bool, Fault> {
    let (exit, _) = command::finish(context.reaper, &run(spec, user, guard)).await?;
    Ok(exit.is_success())
}

fn run<'a>(spec: &'a Exec, user: Option<&'a Identity>, argv: &'a [String]) -> Run<'a> {
    Run {
        argv,
        cwd: spec.cwd.as_deref(),
        user,
        env: &spec.env,
        timeout: Duration::from_secs(u64::from(spec.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S))),
    }
}
