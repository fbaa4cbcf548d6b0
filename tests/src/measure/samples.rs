//! Times of one kind.

use std::time::{Duration, SystemTime};

/// What was measured, in milliseconds and in the order of measuring.
#[derive(Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn add(&mut self, sample: Duration) {
        self.0.push(sample.as_secs_f64() * 1000.0);
    }

    /// Adds the time between two readings of the clock.
    ///
    /// # Panics
    /// When the clock went backwards.
    pub fn between(&mut self, begin: SystemTime, end: SystemTime) {
        self.add(end.duration_since(begin).unwrap());
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that `per_mille` of all samples do not exceed; none without samples.
    #[must_use]
    pub fn per_mille(&self, per_mille: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
        sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    /// The same for hundredths.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        self.per_mille(10 * percent)
    }

    /// How far each sample is above its counterpart.
    #[must_use]
    pub fn above(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(a, b)| a - b).collect())
    }

    /// A line of a table: what, number, p50, p99, largest.
    pub fn line(&self, what: &str) {
        println!(
            "| {what:<50} | {:>4} | {:>7.1} | {:>7.1} | {:>7.1} |",
            self.count(),
            self.percentile(50),
            self.percentile(99),
            self.percentile(100),
        );
    }
}

/// The head of a table of [`Samples::line`]s.
pub fn head(title: &str) {
    println!(
        "\n{title}\n\n| {:<50} | {:>4} | {:>7} | {:>7} | {:>7} |",
        "milliseconds", "n", "p50", "p99", "max"
    );
    println!("|{:-<52}|{:->5}:|{0:->8}:|{0:->8}:|{0:->8}:|", "", "");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample_that_was_measured() {
        let mut samples = Samples::default();
        assert!(samples.percentile(50).is_nan());
        for number in (1..=1000).rev() {
            samples.add(Duration::from_millis(number));
        }
        let found = [1, 500, 990, 999, 1000].map(|per_mille| samples.per_mille(per_mille));
        assert_eq!(found, [1.0, 500.0, 990.0, 999.0, 1000.0]);
    }
}
