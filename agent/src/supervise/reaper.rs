//! The one place that waits for processes: those the agent started, and the orphans that PID 1 inherits.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt, io,
    process::{Command, Stdio},
    rc::Rc,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group};
use tokio::{
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::signal;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With a status.
    Status(i32),
    /// By a signal.
    Signal(i32),
}

impl Exit {
    /// Whether it ended well.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Status(0)
    }

    /// The status that a shell would give: 128 and the signal's number for a signal.
    #[must_use]
    pub fn code(self) -> u8 {
        let code = match self {
            Self::Status(status) => status,
            Self::Signal(number) => 128 + number,
        };
        u8::try_from(code & 0xff).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(number) => write!(f, "signal {}", signal::name(*number)),
        }
    }
}

/// Starts processes and learns how they end.
///
/// Nothing else in the agent may wait for a process: it would race this for the exit status. All of
/// it runs on one thread, so between a process's start and its entry in `waiting` no exit is collected.
#[derive(Debug, Clone)]
pub struct Reaper {
    waiting: Rc<RefCell<HashMap<Pid, oneshot::Sender<Exit>>>>,
}

impl Reaper {
    /// Starts to collect exits; must be called inside a [`tokio::task::LocalSet`].
    ///
    /// # Errors
    /// When the kernel refuses a handler for SIGCHLD.
    pub fn start() -> io::Result<Self> {
        let mut children = signal(SignalKind::child())?;
        let reaper = Self {
            waiting: Rc::default(),
        };
        // Where the agent is not PID 1, orphans of the application would go past it without this.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let waiting = Rc::clone(&reaper.waiting);
        tokio::task::spawn_local(async move {
            // Whoever became this program may have left children behind, and their signals are past.
            collect(&waiting);
            while children.recv().await.is_some() {
                collect(&waiting);
            }
        });
        Ok(reaper)
    }

    /// Starts a command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let (sender, exit) = oneshot::channel();
        self.waiting.borrow_mut().insert(pid, sender);
        let output = match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), _) => Some(pipe::Receiver::from_owned_fd(stdout.into())?),
            (None, Some(stderr)) => Some(pipe::Receiver::from_owned_fd(stderr.into())?),
            (None, None) => None,
        };
        Ok(Child {
            pid,
            exit,
            ended: None,
            output,
            waiting: Rc::clone(&self.waiting),
        })
    }

    /// Starts a command whose standard output and error go into one pipe.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_captured(&self, command: &mut Command) -> io::Result<Child> {
        let (reader, writer) = io::pipe()?;
        // Before the start: a command that runs must not be lost for want of a file descriptor.
        let reader = pipe::Receiver::from_owned_fd(reader.into())?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let child = self.spawn(command);
        // The command holds both writing ends; while it does, the pipe never ends.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child?;
        child.output = Some(reader);
        Ok(child)
    }
}

fn collect(waiting: &RefCell<HashMap<Pid, oneshot::Sender<Exit>>>) {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let exit = match (status.exit_status(), status.terminating_signal()) {
                    (Some(status), _) => Exit::Status(status),
                    (None, Some(number)) => Exit::Signal(number),
                    // Stopped or continued: not asked for, and no end.
                    (None, None) => continue,
                };
                // No entry: an orphan that this process inherited.
                if let Some(sender) = waiting.borrow_mut().remove(&pid) {
                    let _ = sender.send(exit);
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// A process that was started.
#[derive(Debug)]
pub struct Child {
    /// Its ID.
    pub pid: Pid,
    exit: oneshot::Receiver<Exit>,
    /// The answer of `exit`, which gives it once only.
    ended: Option<Exit>,
    /// What it writes, where that is captured.
    pub output: Option<pipe::Receiver>,
    waiting: Rc<RefCell<HashMap<Pid, oneshot::Sender<Exit>>>>,
}

impl Child {
    /// Waits for its end; may be dropped and asked again.
    pub async fn ended(&mut self) -> Exit {
        if let Some(exit) = self.ended {
            return exit;
        }
        // The sender lives until the process was waited for.
        let exit = (&mut self.exit).await.unwrap_or(Exit::Status(255));
        *self.ended.insert(exit)
    }

    /// Whether [`ended`](Self::ended) has given its answer.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Sends it a signal; does nothing when it has ended.
    pub fn signal(&self, signal: Signal) {
        // Until it is collected its ID cannot be another's.
        if self.waiting.borrow().contains_key(&self.pid) {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Kills all that is left of its process group.
    pub fn kill_group(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}
