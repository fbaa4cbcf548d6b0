//! The signals that an entrypoint has to deal with.

use std::{future::poll_fn, io, task::Poll};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

const HANDLED: [Signal; 7] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];

/// What a signal means to an entrypoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// The container has to end.
    Stop(Signal),
    /// It is for the application.
    Forward(Signal),
}

/// The handlers.
#[derive(Debug)]
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Installs the handlers. As PID 1 the agent would not even end by TERM without them.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn install() -> io::Result<Self> {
        let install = |signal: Signal| {
            let stream = unix::signal(SignalKind::from_raw(signal.as_raw()))?;
            Ok((signal, stream))
        };
        HANDLED
            .into_iter()
            .map(install)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Arrived {
        poll_fn(|context| {
            for (signal, stream) in &mut self.0 {
                if let Poll::Ready(Some(())) = stream.poll_recv(context) {
                    return Poll::Ready(match *signal {
                        Signal::TERM | Signal::INT | Signal::QUIT => Arrived::Stop(*signal),
                        other => Arrived::Forward(other),
                    });
                }
            }
            Poll::Pending
        })
        .await
    }
}
