//! The proxy's configuration, and whose turn it is.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a backend that could not be reached stands at the end of the line.
const REST: Duration = Duration::from_secs(2);

/// What the proxy's configuration says: lines `listen IP:PORT` (one) and `backend IP:PORT` (any
/// number); empty lines and lines that begin with `#` say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where their requests go.
    pub backends: Vec<SocketAddr>,
}

/// Why a configuration cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A line that says nothing known.
    #[error("line {0}: {1:?} is neither \"listen IP:PORT\" nor \"backend IP:PORT\"")]
    Line(usize, String),
    /// Two addresses to listen on.
    #[error("line {0}: there is a second \"listen\"")]
    SecondListen(usize),
    /// No address to listen on.
    #[error("there is no line \"listen IP:PORT\"")]
    NoListen,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// On the first line that is wrong.
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let mut listen = None;
        let mut backends = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || ConfigError::Line(number, line.chars().take(80).collect());
            let (word, address) = line.split_once(char::is_whitespace).ok_or_else(wrong)?;
            let address = address.trim().parse().map_err(|_| wrong())?;
            match word {
                "listen" if listen.is_some() => return Err(ConfigError::SecondListen(number)),
                "listen" => listen = Some(address),
                "backend" => backends.push(address),
                _ => return Err(wrong()),
            }
        }
        let listen = listen.ok_or(ConfigError::NoListen)?;
        Ok(Self { listen, backends })
    }
}

/// The backends in force, taken in turn.
#[derive(Debug, Default)]
pub struct Backends(Mutex<Turns>);

#[derive(Debug, Default)]
struct Turns {
    backends: Vec<SocketAddr>,
    next: usize,
    /// Since when a backend has not been reachable.
    failed: HashMap<SocketAddr, Instant>,
}

impl Backends {
    /// Puts other backends in force; connections to the old ones go on.
    pub fn set(&self, backends: Vec<SocketAddr>) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.failed.retain(|backend, _| backends.contains(backend));
        turns.backends = backends;
    }

    /// All backends in the order in which to try them for one request: the one whose turn it is
    /// first, those that failed lately last.
    #[must_use]
    pub fn in_turn(&self, now: Instant) -> Vec<SocketAddr> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order = turns.backends.clone();
        if !order.is_empty() {
            let first = turns.next % order.len();
            turns.next = turns.next.wrapping_add(1);
            order.rotate_left(first);
        }
        turns
            .failed
            .retain(|_, since| now.saturating_duration_since(*since) < REST);
        order.sort_by_key(|backend| turns.failed.contains_key(backend));
        order
    }

    /// A backend could not be reached, or fell silent before it answered.
    pub fn failed(&self, backend: SocketAddr, now: Instant) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.backends.contains(&backend) {
            turns.failed.insert(backend, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([10, 0, 0, 1], port).into()
    }

    #[test]
    fn a_configuration_is_read_line_by_line() {
        let config =
            Config::read("# made\nlisten 0.0.0.0:80\n\n backend 10.0.0.1:1 \nbackend 10.0.0.1:2\n");
        let config = config.unwrap();
        assert_eq!(config.backends, [at(1), at(2)]);
        assert_eq!(
            Config::read("backend 10.0.0.1:1"),
            Err(ConfigError::NoListen)
        );
        assert_eq!(
            Config::read("listen 0.0.0.0:80\nbackend web:80")
                .unwrap_err()
                .to_string(),
            "line 2: \"backend web:80\" is neither \"listen IP:PORT\" nor \"backend IP:PORT\""
        );
        assert_eq!(
            Config::read("listen 0.0.0.0:80\nlisten 0.0.0.0:81"),
            Err(ConfigError::SecondListen(2))
        );
    }

    #[test]
    fn each_backend_has_its_turn_and_a_failed_one_waits() {
        let now = Instant::now();
        let backends = Backends::default();
        assert_eq!(backends.in_turn(now), []);
        backends.set(vec![at(1), at(2), at(3)]);
        let firsts: Vec<_> = (0..4).map(|_| backends.in_turn(now)[0].port()).collect();
        assert_eq!(firsts, [1, 2, 3, 1]);
        backends.failed(at(2), now);
        assert_eq!(backends.in_turn(now), [at(3), at(1), at(2)]);
        assert_eq!(backends.in_turn(now + REST), [at(3), at(1), at(2)]);
        assert_eq!(backends.in_turn(now + REST)[1], at(2));
    }
}
