//! Times of one kind.

use std::time::{Duration, SystemTime};

/// What was measured, in milliseconds and in the order of measuring.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub(crate) fn add(&mut self, sample: Duration) {
        self.0.push(sample.as_secs_f64() * 1000.0);
    }

    /// Adds the time between two readings of the clock.
    pub(crate) fn between(&mut self, begin: SystemTime, end: SystemTime) {
        self.add(end.duration_since(begin).unwrap());
    }

    /// The smallest sample that `percent` of all samples do not exceed; none without samples.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    /// How far each sample is above its counterpart.
    pub(crate) fn above(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(a, b)| a - b).collect())
    }

    /// A line of a table: what, number, p50, p99, largest.
    pub(crate) fn line(&self, what: &str) {
        println!(
            "| {what:<50} | {:>4} | {:>7.1} | {:>7.1} | {:>7.1} |",
            self.0.len(),
            self.percentile(50),
            self.percentile(99),
            self.percentile(100),
        );
    }
}

/// The head of a table of [`Samples::line`]s.
pub(crate) fn head(title: &str) {
    println!(
        "\n{title}\n\n| {:<50} | {:>4} | {:>7} | {:>7} | {:>7} |",
        "milliseconds", "n", "p50", "p99", "max"
    );
    println!("|{:-<52}|{:->5}:|{0:->8}:|{0:->8}:|{0:->8}:|", "", "");
}
