//! Waits that double. Pure.

use std::time::Duration;

/// A wait that doubles from a first to a longest one.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// A backoff that begins with `first`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The wait for now; the next one is twice as long.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait
    }

    /// Begins anew.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Tells an error that comes again and again at its first, second, fourth, eighth… time.
#[derive(Debug, Default)]
pub struct Complaint {
    last: String,
    times: u64,
}

impl Complaint {
    /// Whether to tell it now.
    pub fn is_news(&mut self, text: &str) -> bool {
        if self.last == text {
            self.times += 1;
        } else {
            text.clone_into(&mut self.last);
            self.times = 1;
        }
        self.times.is_power_of_two()
    }

    /// All is well again; whether there had been something to complain of.
    pub fn settle(&mut self) -> bool {
        self.last.clear();
        std::mem::take(&mut self.times) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        let waits: Vec<u128> = (0..4).map(|_| backoff.wait().as_millis()).collect();
        assert_eq!(waits, [100, 200, 300, 300]);
        backoff.reset();
        assert_eq!(backoff.wait().as_millis(), 100);
    }

    #[test]
    fn the_same_trouble_is_told_less_and_less() {
        let mut complaint = Complaint::default();
        let told = (0..9).filter(|_| complaint.is_news("away")).count();
        assert_eq!(told, 4);
        assert!(complaint.is_news("else"));
        assert!(complaint.settle());
        assert!(!complaint.settle());
    }
}
