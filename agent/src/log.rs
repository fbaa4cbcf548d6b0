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
    // In one piece: the application writes to the same place.
    let line = format!("dockmaster-agent +{ms}ms {message}\n");
    // Where nobody listens there is nobody to tell that nobody listens.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Writes one line to standard error: `say!("enrolled as {id}")`.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::log::line(format_args!($($arg)*)) };
}
