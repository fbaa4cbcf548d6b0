//! The life of one process: start, attend, stop, start again.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};

use super::{
    Spec, SuperviseError,
    policy::{Next, Streak},
    reaper::{Child, Exit, Reaper},
    reload, signal, start,
};
use crate::say;

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
    /// Its last start failed: it is not what its specification says, whatever the policy of restarts.
    pub(super) start_failed: bool,
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
    /// An order that came while another one was carried out.
    pub(super) next: Option<Order>,
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
                self.shared.borrow_mut().start_failed = true;
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
        {
            let mut shared = self.shared.borrow_mut();
            shared.running = Some(child.pid);
            shared.start_failed = false;
        }
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
                order = self.order() => order,
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
                    let _ = reply.send(result);
                }
                Some(Order::Restart { spec, reply }) => {
                    let exit = self.end(child, Signal::TERM).await;
                    match self.orders.try_recv() {
                        // No sense in a start only to stop it.
                        Ok(Order::Stop { reply, .. }) => {
                            let _ = reply.send(Some(exit));
                            return Turn::Over;
                        }
                        order => self.next = order.ok(),
                    }
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

    /// The next order. May be dropped and asked again.
    async fn order(&mut self) -> Option<Order> {
        match self.next.take() {
            Some(order) => Some(order),
            None => self.orders.recv().await,
        }
    }

    /// Has the process take up new configuration; its own end and any further order come first.
    async fn reload(&mut self, child: &mut Child) -> Result<(), SuperviseError> {
        let pid = child.pid;
        let signal = tokio::select! {
            biased;
            signal = reload::prepare(&self.spec, &self.reaper, pid) => signal?,
            exit = child.ended() => {
                // Asked once more, `attend` gets the same answer.
                return Err(SuperviseError::Ended(exit));
            }
            order = self.orders.recv() => {
                self.next = order;
                return Err(SuperviseError::Interrupted);
            }
        };
        match signal {
            Some(signal) => {
                child.signal(signal);
                let name = signal::name(signal.as_raw());
                say!("process {} reloads by {name}", self.title);
            }
            None => say!("process {} reloads by command", self.title),
        }
        self.shared.borrow_mut().reloads += 1;
        Ok(())
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
                order = self.order() => order,
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
}
