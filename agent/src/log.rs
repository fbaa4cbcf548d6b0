//! Lines for people: one per event, on standard error, with the time since the agent's start.

use std::{fmt, io::Write as _, sync::OnceLock, time::Instant};

static START: OnceLock<Instant> = OnceLock::new();

/// Starts the clock of the lines. Called first in `main`.
pub fn start() {
    START.get_or_init(Instant::now);
}

/// Writes one line. Prefer the macro [`say`](crate::say).
pub fn line(message: fmt::Arguments<'_>) {
    let ms = START.get_or_init(Instant::now).elapsed().as_millis();
    // Where nobody listens there is nobody to tell that nobody listens.
    let _ = writeln!(std::io::stderr(), "dockmaster-agent +{ms}ms {message}");
}

/// Writes one line to standard error: `say!("enrolled as {id}")`.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::log::line(format_args!($($arg)*)) };
}
