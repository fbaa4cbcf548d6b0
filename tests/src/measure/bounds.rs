//! How much is measured at most.

use std::time::{Duration, Instant};

/// How long one section repeats its measurement at most.
const TIME: Duration = Duration::from_secs(300);

/// A number of repetitions and a time for them, whichever ends first.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Repetitions of the main measurement.
    pub count: usize,
}

impl Bounds {
    /// So many repetitions, or `DOCKMASTER_BENCH_COUNT`; never more than `most`.
    ///
    /// # Panics
    /// When the variable is no number.
    #[must_use]
    pub fn from_environment(usual: usize, most: usize) -> Self {
        let asked = std::env::var("DOCKMASTER_BENCH_COUNT").ok();
        let count = asked.map_or(usual, |text| text.parse().unwrap());
        Self {
            count: count.clamp(1, most),
        }
    }

    /// Half as many.
    #[must_use]
    pub fn half(self) -> Self {
        Self {
            count: self.count.div_ceil(2),
        }
    }

    /// So many times as many.
    #[must_use]
    pub const fn times(self, factor: usize) -> Self {
        Self {
            count: self.count * factor,
        }
    }

    /// The numbers of the repetitions, as long as there is time.
    pub fn turns(self) -> impl Iterator<Item = usize> {
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

/// The sections of a benchmark that its command line names, or `None` when it is not to run:
/// `cargo test --benches` runs the file too, in another profile and without the word `--bench`.
#[must_use]
pub fn sections() -> Option<Sections> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("skipped: run by \"cargo bench\" only");
        return None;
    }
    let named = arguments.into_iter().filter(|it| !it.starts_with('-'));
    Some(Sections(named.collect()))
}

/// The sections that are asked for.
#[derive(Debug)]
pub struct Sections(Vec<String>);

impl Sections {
    /// Whether this one is: all are, where none is named.
    #[must_use]
    pub fn has(&self, section: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|it| it == section)
    }
}
