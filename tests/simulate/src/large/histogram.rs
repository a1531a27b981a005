//! Counts of durations, in 2 % steps, so that percentiles of millions take no memory.

use atelier_domain::Millis;
use serde::Serialize;

/// Buckets to a factor of two; the relative error is half of 1/32.
const STEPS: usize = 32;

/// Durations in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Millis,
}

/// What is told of a histogram, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many durations.
    pub count: u64,
    /// Half are shorter.
    pub p50_s: f64,
    /// Nine of ten are shorter.
    pub p90_s: f64,
    /// 99 of 100 are shorter.
    pub p99_s: f64,
    /// The longest.
    pub max_s: f64,
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, duration: Millis) {
        let bucket = bucket(duration);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.longest = self.longest.max(duration);
    }

    /// Counts all of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// The duration that `part` (0..1) of all do not exceed, in milliseconds.
    fn quantile(&self, part: f64) -> Millis {
        let wanted = (self.total as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(bucket).min(self.longest);
            }
        }
        self.longest
    }

    /// The usual ones.
    pub fn percentiles(&self) -> Percentiles {
        let seconds = |ms: Millis| ms as f64 / 1_000.0;
        Percentiles {
            count: self.total,
            p50_s: seconds(self.quantile(0.5)),
            p90_s: seconds(self.quantile(0.9)),
            p99_s: seconds(self.quantile(0.99)),
            max_s: seconds(self.longest),
        }
    }
}

/// Below `STEPS` a bucket for each millisecond, then `STEPS` for each doubling.
fn bucket(ms: Millis) -> usize {
    let ms = ms as usize;
    if ms < STEPS {
        return ms;
    }
    let doublings = (ms / STEPS).ilog2() as usize;
    (doublings + 1) * STEPS + (ms >> doublings) - STEPS
}

fn middle(bucket: usize) -> Millis {
    if bucket < STEPS {
        return bucket as Millis;
    }
    let doublings = bucket / STEPS - 1;
    let first = (bucket % STEPS + STEPS) << doublings;
    (first + (1 << doublings) / 2) as Millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_two_percent_of_what_is_in_it() {
        for ms in (0..100_000).chain([86_400_000, u64::from(u32::MAX)]) {
            let near = middle(bucket(ms));
            assert!(near.abs_diff(ms) as f64 <= ms as f64 * 0.02, "{ms}: {near}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::default();
        for ms in 1..=10_000 {
            histogram.add(ms);
        }
        let told = histogram.percentiles();
        assert!((told.p50_s - 5.0).abs() < 0.1, "{told:?}");
        assert!((told.p99_s - 9.9).abs() < 0.2, "{told:?}");
        assert_eq!((told.count, told.max_s), (10_000, 10.0));
    }
}
