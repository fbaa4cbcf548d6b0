//! The life of one process: start, attend, stop, start again.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use dockmaster_proto::resource::Reload;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};

use super::{
    Spec, SuperviseError, command,
    policy::{Next, Streak},
    reaper::{Child, Exit, Reaper},
    signal, start,
};
use crate::say;

/// How long a reload command may take.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a process that just started gets to install its handler for the reload signal.
const HANDLER_PATIENCE: Duration = Duration::from_secs(3);

/// So many looks in a row that find a signal blocked mean that it is meant to be.
const BLOCKED_LOOKS: u32 = 8;

pub(super) type Reply = oneshot::Sender<Result<(), SuperviseError>>;

/// What the supervisor asks of the task of one process.
#[derive(Debug)]
pub(super) enum Order {
    /// Be of this specification without a restart.
    Adopt { spec: Spec, reply: Reply },
    /// Take up new configuration.
    Reload { spec: Spec, reply: Reply },
    /// Stop, and start with this specification.
    Restart { spec: Spec, reply: Reply },
    /// Stop for good.
    Stop {
        signal: Signal,
        reply: oneshot::Sender<Option<Exit>>,
    },
}

/// What others may see of a process.
#[derive(Debug, Default)]
pub(super) struct Shared {
    running: Option<Pid>,
    pub(super) restarts: u32,
    pub(super) reloads: u32,
}

impl Shared {
    pub(super) fn pid(&self) -> Option<u32> {
        let pid = self.running?.as_raw_nonzero().get();
        u32::try_from(pid).ok()
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.running {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The task of one process.
pub(super) struct Keeper {
    pub(super) title: String,
    pub(super) spec: Spec,
    pub(super) reaper: Reaper,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) shared: Rc<RefCell<Shared>>,
    /// Told when the process is the application and stays ended.
    pub(super) app: Option<watch::Sender<Option<Exit>>>,
}

/// Why a phase is over.
enum Turn {
    /// The process ended by itself.
    Ended(Exit),
    /// Start (again), and answer.
    Start(Option<Reply>),
    /// The task is over.
    Over,
}

impl Keeper {
    /// Keeps the process until it is stopped for good; `first` learns whether it started.
    pub(super) async fn run(mut self, first: Reply) {
        let mut streak = Streak::default();
        let mut turn = Turn::Start(Some(first));
        let mut began = Instant::now();
        loop {
            turn = match turn {
                Turn::Over => return,
                Turn::Start(reply) => {
                    began = Instant::now();
                    self.live(reply).await
                }
                Turn::Ended(exit) => match streak.next(self.spec.restart, exit, began.elapsed()) {
                    Next::Again(delay) => {
                        say!(
                            "process {} ended with {exit}; starts again in {delay:?}",
                            self.title
                        );
                        self.rest(Some(delay)).await
                    }
                    Next::Stay => {
                        say!("process {} ended with {exit}", self.title);
                        if let Some(app) = &self.app {
                            app.send_replace(Some(exit));
                        }
                        self.rest(None).await
                    }
                },
            };
        }
    }

    /// From the start of the process to its end.
    async fn live(&mut self, reply: Option<Reply>) -> Turn {
        let mut child = match start::start(&self.title, &self.spec, &self.reaper) {
            Ok(child) => child,
            Err((reason, exit)) => {
                say!("process {}: {reason}", self.title);
                if let Some(reply) = reply {
                    let _ = reply.send(Err(SuperviseError::Start(reason)));
                }
                return Turn::Ended(exit);
            }
        };
        say!(
            "process {} started, pid {}",
            self.title,
            child.pid.as_raw_nonzero()
        );
        self.shared.borrow_mut().running = Some(child.pid);
        if let Some(reply) = reply {
            let _ = reply.send(Ok(()));
        }
        let turn = self.attend(&mut child).await;
        self.shared.borrow_mut().running = None;
        if matches!(turn, Turn::Start(_) | Turn::Ended(_)) && !self.stays_down(&turn) {
            self.shared.borrow_mut().restarts += 1;
        }
        turn
    }

    fn stays_down(&self, turn: &Turn) -> bool {
        let Turn::Ended(exit) = turn else {
            return false;
        };
        Streak::default().next(self.spec.restart, *exit, Duration::ZERO) == Next::Stay
    }

    async fn attend(&mut self, child: &mut Child) -> Turn {
        loop {
            let order = tokio::select! {
                exit = child.ended() => return Turn::Ended(exit),
                order = self.orders.recv() => order,
            };
            match order {
                None => {
                    self.end(child, Signal::TERM).await;
                    return Turn::Over;
                }
                Some(Order::Adopt { spec, reply }) => {
                    self.spec = spec;
                    let _ = reply.send(Ok(()));
                }
                Some(Order::Reload { spec, reply }) => {
                    self.spec = spec;
                    let result = self.reload(child).await;
                    if result.is_ok() {
                        self.shared.borrow_mut().reloads += 1;
                    }
                    let _ = reply.send(result);
                }
                Some(Order::Restart { spec, reply }) => {
                    self.end(child, Signal::TERM).await;
                    self.spec = spec;
                    return Turn::Start(Some(reply));
                }
                Some(Order::Stop { signal, reply }) => {
                    let exit = self.end(child, signal).await;
                    let _ = reply.send(Some(exit));
                    return Turn::Over;
                }
            }
        }
    }

    /// The time while the process does not run: until `delay` is over, or an order comes.
    async fn rest(&mut self, delay: Option<Duration>) -> Turn {
        let wake = async {
            match delay {
                Some(delay) => sleep(delay).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(wake);
        loop {
            let order = tokio::select! {
                () = &mut wake => return Turn::Start(None),
                order = self.orders.recv() => order,
            };
            match order {
                None => return Turn::Over,
                Some(Order::Adopt { spec, reply }) => {
                    self.spec = spec;
                    let _ = reply.send(Ok(()));
                }
                // A process that is down takes up new configuration by being started.
                Some(Order::Reload { spec, reply } | Order::Restart { spec, reply }) => {
                    self.spec = spec;
                    return Turn::Start(Some(reply));
                }
                Some(Order::Stop { reply, .. }) => {
                    let _ = reply.send(None);
                    return Turn::Over;
                }
            }
        }
    }

    /// Stops the process: a signal, its grace, KILL; then whatever its group left behind.
    async fn end(&self, child: &mut Child, signal: Signal) -> Exit {
        child.signal(signal);
        let exit = match timeout(self.spec.grace, child.ended()).await {
            Ok(exit) => exit,
            Err(_) => {
                say!(
                    "process {} did not end within {:?}; it is killed",
                    self.title,
                    self.spec.grace
                );
                child.signal(Signal::KILL);
                child.ended().await
            }
        };
        child.kill_group();
        say!("process {} stopped with {exit}", self.title);
        exit
    }

    async fn reload(&self, child: &Child) -> Result<(), SuperviseError> {
        match &self.spec.reload {
            Reload::Signal(name) => {
                let signal =
                    signal::by_name(name).ok_or_else(|| SuperviseError::Signal(name.clone()))?;
                wait_for_handler(child.pid, signal, name).await?;
                child.signal(signal);
                say!("process {} reloads by {name}", self.title);
                Ok(())
            }
            Reload::Command(argv) => {
                let run = command::Run {
                    argv,
                    cwd: self.spec.cwd.as_deref(),
                    user: self.spec.user.as_ref(),
                    env: &self.spec.env,
                    timeout: RELOAD_TIMEOUT,
                };
                command::succeed(&self.reaper, &run).await?;
                say!("process {} reloads by command", self.title);
                Ok(())
            }
            // The supervisor orders a restart for it.
            Reload::Restart => Ok(()),
        }
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
