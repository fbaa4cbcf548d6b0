//! From a specification to a running process.

use std::{
    io,
    io::IsTerminal as _,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use rustix::process::{Signal, kill_process_group};

use super::{
    APP, Spec,
    reaper::{Child, Exit, Reaper},
};
use crate::user::Identity;

/// Starts a process in a process group of its own.
///
/// # Errors
/// The reason, and the exit status that a shell would give for it.
pub(super) fn start(title: &str, spec: &Spec, reaper: &Reaper) -> Result<Child, (String, Exit)> {
    let Some((program, arguments)) = spec.command.split_first() else {
        return Err(("its command is empty".to_owned(), Exit::Status(127)));
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(&spec.env).process_group(0);
    if title != APP {
        command.stdin(Stdio::null());
    }
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    if let Some(user) = &spec.user {
        run_as(&mut command, user);
    }
    let child = reaper.spawn(&mut command).map_err(|error| {
        let status = if error.kind() == io::ErrorKind::NotFound {
            127
        } else {
            126
        };
        (
            format!("cannot start {program:?}: {error}"),
            Exit::Status(status),
        )
    })?;
    if title == APP {
        give_terminal(&child);
    }
    Ok(child)
}

/// Makes a command run as a user. The standard library drops the supplementary groups with it.
pub(super) fn run_as(command: &mut Command, user: &Identity) {
    command.uid(user.uid).gid(user.gid);
    if let Some(home) = &user.home {
        command.env("HOME", home);
    }
}

/// With a terminal (`docker run -it`) the application's group has to be the one in front, or its first
/// read would stop it.
fn give_terminal(child: &Child) {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return;
    }
    // From the background the kernel would stop the agent for this call.
    let in_front = rustix::termios::tcgetpgrp(&stdin).ok() == Some(rustix::process::getpgrp());
    if in_front {
        let _ = rustix::termios::tcsetpgrp(&stdin, child.pid);
        // It may have been quicker, and stopped by the kernel for reading from the background.
        let _ = kill_process_group(child.pid, Signal::CONT);
    }
}
