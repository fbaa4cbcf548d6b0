//! The duties of PID 1: start processes, keep them, pass signals on, collect what dies.
//!
//! Everything runs on one thread inside a [`tokio::task::LocalSet`]; each process has a task of its
//! own that alone decides about it, and the [`Supervisor`] sends orders to these tasks.

pub mod command;
mod keep;
pub mod policy;
pub mod reaper;
mod reload;
pub mod signal;
mod start;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use dockmaster_proto::{
    report::ProcessReport,
    resource::{Reload, RestartPolicy},
};
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use self::keep::{Order, Shared};
use self::reaper::{Exit, Reaper};
use crate::user::Identity;

/// The title of the process that the container is for: the command after `--`.
pub const APP: &str = "app";

/// What a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Additional environment.
    pub env: BTreeMap<String, String>,
    /// The user that it runs as.
    pub user: Option<Identity>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// How it takes up new configuration.
    pub reload: Reload,
    /// The time between the signal to stop and KILL.
    pub grace: Duration,
}

impl Spec {
    /// A process with the defaults of its title.
    #[must_use]
    pub fn new(title: &str, command: Vec<String>) -> Self {
        Self {
            command,
            env: BTreeMap::new(),
            user: None,
            cwd: None,
            restart: if title == APP {
                RestartPolicy::Never
            } else {
                RestartPolicy::Always
            },
            reload: Reload::Restart,
            grace: Duration::from_secs(10),
        }
    }

    /// Whether a running process of that specification need not be restarted to be of this one.
    fn runs_like(&self, other: &Self) -> bool {
        (&self.command, &self.env, &self.user, &self.cwd)
            == (&other.command, &other.env, &other.user, &other.cwd)
    }
}

/// Why a process could not be started or could not take up new configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuperviseError {
    /// It did not start.
    #[error("{0}")]
    Start(String),
    /// The signal is unknown.
    #[error("there is no signal {0:?}; write it like HUP, USR1 or TERM")]
    Signal(String),
    /// The process would die of the signal.
    #[error(
        "the process does not catch signal {0}: it would die of it; declare \"reload: restart\" or another signal"
    )]
    Uncaught(String),
    /// The command that reloads did not succeed.
    #[error("the reload command failed: {0}")]
    Command(#[from] command::CommandError),
    /// It ended instead.
    #[error("the process ended with {0} while it was to reload")]
    Ended(Exit),
    /// It was told to stop meanwhile.
    #[error("the reload was broken off: the process was told something else meanwhile")]
    Interrupted,
    /// Its task is gone: the agent is shutting down.
    #[error("the agent is shutting down")]
    Shutdown,
}

/// What was done to a process to bring it up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// It ran already and nothing had changed.
    Unchanged,
    /// It was started.
    Started,
    /// It was restarted.
    Restarted,
    /// It was told to reload.
    Reloaded,
}

/// All supervised processes.
#[derive(Debug)]
pub struct Supervisor {
    reaper: Reaper,
    processes: RefCell<BTreeMap<String, Handle>>,
    app: watch::Sender<Option<Exit>>,
}

#[derive(Debug)]
struct Handle {
    spec: Spec,
    orders: mpsc::UnboundedSender<Order>,
    shared: Rc<RefCell<Shared>>,
}

impl Supervisor {
    /// A supervisor without processes.
    #[must_use]
    pub fn new(reaper: Reaper) -> Self {
        Self {
            reaper,
            processes: RefCell::default(),
            app: watch::Sender::new(None),
        }
    }

    /// The reaper that all commands go through.
    #[must_use]
    pub fn reaper(&self) -> &Reaper {
        &self.reaper
    }

    /// Whether a process was started (it may have ended meanwhile).
    #[must_use]
    pub fn knows(&self, title: &str) -> bool {
        self.processes.borrow().contains_key(title)
    }

    /// What [`bring`](Self::bring) would do.
    #[must_use]
    pub fn would(&self, title: &str, spec: &Spec, refresh: Refresh) -> Brought {
        let processes = self.processes.borrow();
        match processes.get(title) {
            None => Brought::Started,
            Some(handle) if handle.shared.borrow().start_failed => Brought::Started,
            Some(handle) if !handle.spec.runs_like(spec) => Brought::Restarted,
            Some(_) => match (refresh, &spec.reload) {
                (Refresh::No, _) => Brought::Unchanged,
                (Refresh::Yes, Reload::Restart) => Brought::Restarted,
                (Refresh::Yes, _) => Brought::Reloaded,
            },
        }
    }

    /// Starts a process, or restarts or reloads it so that it is what `spec` says.
    ///
    /// # Errors
    /// [`SuperviseError`]; a process that runs goes on as it was where a reload failed.
    pub async fn bring(
        &self,
        title: &str,
        spec: Spec,
        refresh: Refresh,
    ) -> Result<Brought, SuperviseError> {
        let brought = self.would(title, &spec, refresh);
        let (reply, answer) = oneshot::channel();
        if !self.knows(title) {
            self.start(title, spec, reply);
            let answer = answer.await.map_err(|_| SuperviseError::Shutdown)?;
            return answer.map(|()| brought);
        }
        let order = match brought {
            Brought::Unchanged => Order::Adopt {
                spec: spec.clone(),
                reply,
            },
            // One that is down is started by it.
            Brought::Started | Brought::Restarted => Order::Restart {
                spec: spec.clone(),
                reply,
            },
            Brought::Reloaded => Order::Reload {
                spec: spec.clone(),
                reply,
            },
        };
        if let Some(handle) = self.processes.borrow_mut().get_mut(title) {
            handle.spec = spec;
            let _ = handle.orders.send(order);
        }
        let answer = answer.await.map_err(|_| SuperviseError::Shutdown)?;
        answer.map(|()| brought)
    }

    fn start(&self, title: &str, spec: Spec, reply: keep::Reply) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let shared = Rc::<RefCell<Shared>>::default();
        let handle = Handle {
            spec: spec.clone(),
            orders,
            shared: Rc::clone(&shared),
        };
        self.processes.borrow_mut().insert(title.to_owned(), handle);
        let keeper = keep::Keeper {
            title: title.to_owned(),
            spec,
            reaper: self.reaper.clone(),
            orders: receiver,
            next: None,
            shared,
            app: (title == APP).then(|| self.app.clone()),
        };
        tokio::task::spawn_local(keeper.run(reply));
    }

    /// The titles of all processes.
    #[must_use]
    pub fn titles(&self) -> Vec<String> {
        self.processes.borrow().keys().cloned().collect()
    }

    /// Stops a process and forgets it.
    pub async fn remove(&self, title: &str) {
        let Some(answer) = self.stop(title, Signal::TERM) else {
            return;
        };
        let _ = answer.await;
        // Not before: whoever shuts down meanwhile has to wait for it too.
        self.processes.borrow_mut().remove(title);
    }

    fn stop(&self, title: &str, signal: Signal) -> Option<oneshot::Receiver<Option<Exit>>> {
        let processes = self.processes.borrow();
        let (reply, answer) = oneshot::channel();
        let _ = processes
            .get(title)?
            .orders
            .send(Order::Stop { signal, reply });
        Some(answer)
    }

    /// Passes a signal on to the application.
    pub fn forward(&self, signal: Signal) {
        if let Some(app) = self.processes.borrow().get(APP) {
            app.shared.borrow().signal(signal);
        }
    }

    /// Waits for the end of the application; never ends where there is none or it is started again.
    pub async fn app_ended(&self) -> Exit {
        let mut app = self.app.subscribe();
        match app.wait_for(Option::is_some).await.map(|exit| *exit) {
            Ok(Some(exit)) => exit,
            // The sender lives as long as `self`.
            _ => std::future::pending().await,
        }
    }

    /// Stops all processes: the application by `signal`, the others by TERM, each with its grace.
    /// Gives the application's exit, where there is one.
    pub async fn shutdown(&self, signal: Signal) -> Option<Exit> {
        let mut answers = Vec::new();
        for title in self.titles() {
            let is_app = title == APP;
            let signal = if is_app { signal } else { Signal::TERM };
            answers.extend(self.stop(&title, signal).map(|answer| (is_app, answer)));
        }
        let mut exit = *self.app.borrow();
        for (is_app, answer) in answers {
            let ended = answer.await.ok().flatten();
            if is_app && exit.is_none() {
                exit = ended;
            }
        }
        exit
    }

    /// The state of all processes.
    #[must_use]
    pub fn report(&self) -> Vec<ProcessReport> {
        let processes = self.processes.borrow();
        let report = processes.iter().map(|(title, handle)| {
            let shared = handle.shared.borrow();
            ProcessReport {
                title: title.clone(),
                pid: shared.pid(),
                restarts: shared.restarts,
                reloads: shared.reloads,
            }
        });
        report.collect()
    }
}

/// Whether something that notifies a resource changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Nothing did.
    No,
    /// Something did.
    Yes,
}
