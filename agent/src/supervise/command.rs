//! Commands that are run to their end: execs, validations, reloads.

use std::{
    collections::BTreeMap, io, os::unix::process::CommandExt as _, process::Command, time::Duration,
};

use tokio::{io::AsyncReadExt as _, net::unix::pipe, time::timeout};

use super::{
    reaper::{Child, Exit, Reaper},
    start::run_as,
};
use crate::user::Identity;

/// How much of a command's output is kept: its end.
const KEPT_OUTPUT: usize = 2048;

/// A command.
#[derive(Debug)]
pub struct Run<'a> {
    /// The program and its arguments.
    pub argv: &'a [String],
    /// Its working directory.
    pub cwd: Option<&'a str>,
    /// The user that it runs as.
    pub user: Option<&'a Identity>,
    /// Additional environment.
    pub env: &'a BTreeMap<String, String>,
    /// After this long its process group is killed.
    pub timeout: Duration,
}

/// Why a command did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is nothing to run.
    #[error("the command is empty")]
    Empty,
    /// It could not be started.
    #[error("cannot start {program:?}: {reason}")]
    Start {
        /// The program.
        program: String,
        /// What the kernel said.
        reason: String,
    },
    /// It ran too long.
    #[error("{program:?} was killed after {seconds} s{}", said(.output))]
    Timeout {
        /// The program.
        program: String,
        /// The time that it had.
        seconds: u64,
        /// The end of what it wrote.
        output: String,
    },
    /// It ended, but not with status 0.
    #[error("{program:?} ended with {exit}{}", said(.output))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        exit: Exit,
        /// The end of what it wrote.
        output: String,
    },
}

fn said(output: &str) -> String {
    let output = output.trim();
    if output.is_empty() {
        String::new()
    } else {
        format!(": {output}")
    }
}

/// Runs a command that has to succeed.
///
/// # Errors
/// [`CommandError`] when it does not.
pub async fn succeed(reaper: &Reaper, run: &Run<'_>) -> Result<(), CommandError> {
    let (exit, output) = finish(reaper, run).await?;
    if exit.is_success() {
        return Ok(());
    }
    Err(CommandError::Failed {
        program: run.argv.first().cloned().unwrap_or_default(),
        exit,
        output,
    })
}

/// A command at work. Whoever loses interest in it (the container is told to end) must not leave it
/// running: dropped before its end, it is killed with its process group.
struct Work(Child);

impl Drop for Work {
    fn drop(&mut self) {
        if !self.0.has_ended() {
            self.0.kill_group();
        }
    }
}

/// Runs a command and tells how it ended and the end of what it wrote. When this is dropped, the command
/// is killed with its process group.
///
/// # Errors
/// [`CommandError`] when it could not be started or took too long.
pub async fn finish(reaper: &Reaper, run: &Run<'_>) -> Result<(Exit, String), CommandError> {
    let (program, arguments) = run.argv.split_first().ok_or(CommandError::Empty)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(run.env).process_group(0);
    if let Some(cwd) = run.cwd {
        command.current_dir(cwd);
    }
    if let Some(user) = run.user {
        run_as(&mut command, user);
    }
    let start_error = |error: io::Error| CommandError::Start {
        program: program.clone(),
        reason: error.to_string(),
    };
    let child = reaper.spawn_captured(&mut command).map_err(start_error)?;
    let mut work = Work(child);
    let child = &mut work.0;
    let mut pipe = child.output.take();
    let mut kept = Vec::new();
    let ended = timeout(run.timeout, async {
        loop {
            tokio::select! {
                // First whatever it wrote, then its end.
                biased;
                () = listen(&mut pipe, &mut kept) => {}
                exit = child.ended() => return exit,
            }
        }
    });
    let ended = ended.await;
    let exit = match ended {
        Ok(exit) => Some(exit),
        Err(_) => {
            child.kill_group();
            child.ended().await;
            None
        }
    };
    // What it wrote just before its end; a daemon that it left behind may hold the pipe open.
    let _ = timeout(Duration::ZERO, async {
        while pipe.is_some() {
            listen(&mut pipe, &mut kept).await;
        }
    })
    .await;
    let output = String::from_utf8_lossy(&kept).into_owned();
    exit.map(|exit| (exit, output.clone()))
        .ok_or_else(|| CommandError::Timeout {
            program: program.clone(),
            seconds: run.timeout.as_secs(),
            output,
        })
}

/// Reads once; at the pipe's end forgets it, and never returns without one.
async fn listen(pipe: &mut Option<pipe::Receiver>, kept: &mut Vec<u8>) {
    let Some(open) = pipe else {
        return std::future::pending().await;
    };
    let mut chunk = [0; 1024];
    match open.read(&mut chunk).await {
        Ok(0) | Err(_) => *pipe = None,
        Ok(count) => {
            kept.extend_from_slice(&chunk[..count]);
            let surplus = kept.len().saturating_sub(KEPT_OUTPUT);
            kept.drain(..surplus);
        }
    }
}
