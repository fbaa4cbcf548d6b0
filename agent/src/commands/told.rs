//! Work that a signal may end.

use rustix::process::Signal;

use crate::signals::{Arrived, Signals};

/// Does some work, unless a signal says first that the container has to end; then the work is dropped.
///
/// # Errors
/// The signal.
pub(super) async fn unless_told<T>(
    signals: &mut Signals,
    work: impl Future<Output = T>,
) -> Result<T, Signal> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            arrived = signals.next() => match arrived {
                Arrived::Stop(signal) => return Err(signal),
                // There is no application that it could be for.
                Arrived::Forward(_) => {}
            },
        }
    }
}
