//! The resource `process`: handed to the supervisor, where there is one.

use std::time::Duration;

use dockmaster_proto::resource::Process;

use super::{Context, Done, Mode, fault::Fault};
use crate::{
    root::Root,
    supervise::{APP, Brought, Refresh, Spec, Supervisor},
    user,
};

/// Who runs the processes of a catalog.
#[derive(Debug, Clone, Copy)]
pub enum Processes<'a> {
    /// Nobody: a catalog is applied and that is all (`once`, `apply`).
    Left,
    /// This agent; the command after `--` is the application's where the catalog gives none.
    Kept {
        /// The supervisor.
        supervisor: &'a Supervisor,
        /// The command after `--`; empty for none.
        command: &'a [String],
    },
}

/// Starts a process, or brings it up to date.
///
/// # Errors
/// [`Fault`].
pub(super) async fn apply(
    context: &Context<'_>,
    title: &str,
    process: &Process,
    refresh: Refresh,
) -> Result<Done, Fault> {
    let Processes::Kept {
        supervisor,
        command,
    } = context.processes
    else {
        return Ok(Done::Unchanged);
    };
    let spec = specification(context.root, title, process, command)?;
    let brought = match context.mode {
        Mode::Noop => supervisor.would(title, &spec, refresh),
        Mode::Apply => supervisor.bring(title, spec, refresh).await?,
    };
    Ok(match brought {
        Brought::Unchanged => Done::Unchanged,
        Brought::Started => Done::changed("started"),
        Brought::Restarted => Done::changed("restarted"),
        Brought::Reloaded => Done::changed("reloaded"),
    })
}

/// What a process of a catalog is, with all defaults filled in.
///
/// # Errors
/// [`Fault::NoCommand`], [`Fault::User`].
pub fn specification(
    root: &Root,
    title: &str,
    process: &Process,
    command: &[String],
) -> Result<Spec, Fault> {
    let command = match &process.command {
        Some(command) => command.clone(),
        None if title == APP => command.to_vec(),
        None => Vec::new(),
    };
    if command.is_empty() {
        return Err(Fault::NoCommand(title.to_owned()));
    }
    let mut spec = Spec::new(title, command);
    spec.env.clone_from(&process.env);
    spec.cwd.clone_from(&process.cwd);
    spec.user = process
        .user
        .as_ref()
        .map(|user| user::identity(root, user))
        .transpose()?;
    spec.restart = process.restart.unwrap_or(spec.restart);
    if let Some(reload) = &process.reload {
        spec.reload = reload.clone();
    }
    if let Some(grace) = process.stop_grace_s {
        spec.grace = Duration::from_secs(u64::from(grace));
    }
    Ok(spec)
}
