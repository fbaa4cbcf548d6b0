//! How much is measured at most.

use std::time::{Duration, Instant};

/// The most repetitions that may be asked for.
const MAX: usize = 1000;
/// How long one section repeats its measurement at most.
const TIME: Duration = Duration::from_secs(300);

/// A number of repetitions and a time for them, whichever ends first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Repetitions of the main measurement.
    pub(crate) count: usize,
}

impl Bounds {
    /// 100 repetitions, or `DOCKMASTER_BENCH_COUNT`.
    pub(crate) fn from_environment() -> Self {
        let asked = std::env::var("DOCKMASTER_BENCH_COUNT").ok();
        let count = asked.map_or(100, |text| text.parse().unwrap());
        Self {
            count: count.clamp(1, MAX),
        }
    }

    /// Half as many.
    pub(crate) fn half(self) -> Self {
        Self {
            count: self.count.div_ceil(2),
        }
    }

    /// The numbers of the repetitions, as long as there is time.
    pub(crate) fn turns(self) -> impl Iterator<Item = usize> {
        let end = Instant::now() + TIME;
        (0..self.count).take_while(move |turn| {
            let there_is_time = Instant::now() < end;
            if !there_is_time {
                println!("(the time is over after {turn} of {})", self.count);
            }
            there_is_time
        })
    }
}
