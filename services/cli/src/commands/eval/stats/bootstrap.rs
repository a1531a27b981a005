//! Intervals by resampling prompts: what a number would have been on other prompts of the kind. The same seed gives the same interval.

use serde::{Deserialize, Serialize};

/// Resamples.
const TIMES: usize = 1_000;

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// On the prompts as they are.
    pub value: f64,
    /// 2.5 % of the resamples are below.
    pub low: f64,
    /// 2.5 % are above.
    pub high: f64,
}

/// The number of `measure` over `prompts` prompts, by their indices, with its interval.
pub fn bootstrap(prompts: usize, seed: u64, measure: impl Fn(&[usize]) -> f64) -> Interval {
    let all: Vec<usize> = (0..prompts).collect();
    let value = measure(&all);
    if prompts == 0 {
        return Interval {
            value,
            low: value,
            high: value,
        };
    }
    let mut chance = Chance(seed);
    let mut values: Vec<f64> = (0..TIMES)
        .map(|_| {
            let drawn: Vec<usize> = (0..prompts).map(|_| chance.below(prompts)).collect();
            measure(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((TIMES - 1) as f64 * share).round() as usize];
    Interval {
        value,
        low: at(0.025),
        high: at(0.975),
    }
}

/// SplitMix64: enough to draw prompts with, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, number: usize) -> usize {
        ((u128::from(self.next()) * number as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values: Vec<f64> = (0..60)
            .map(|index| f64::from(index * 37 % 101) / 100.0)
            .collect();
        let mean = |drawn: &[usize]| {
            drawn.iter().map(|index| values[*index]).sum::<f64>() / drawn.len() as f64
        };
        let interval = bootstrap(values.len(), 7, mean);
        assert_eq!(interval, bootstrap(values.len(), 7, mean));
        assert_ne!(interval, bootstrap(values.len(), 8, mean));
        assert!(
            interval.low < interval.value && interval.value < interval.high,
            "{interval:?}"
        );
    }

    #[test]
    fn the_interval_of_a_mean_is_about_two_standard_errors_wide() {
        // A share of one half among 400: standard error 0.025.
        let mean = |drawn: &[usize]| {
            drawn.iter().filter(|index| **index % 2 == 0).count() as f64 / drawn.len() as f64
        };
        let interval = bootstrap(400, 3, mean);
        assert!(
            (interval.high - interval.low - 0.098).abs() < 0.012,
            "{interval:?}"
        );
    }

    #[test]
    fn chance_is_even_and_inside() {
        let mut chance = Chance(1);
        let mut counts = [0; 7];
        for _ in 0..70_000 {
            counts[chance.below(7)] += 1;
        }
        assert!(
            counts
                .iter()
                .all(|count: &i32| (count - 10_000).abs() < 500),
            "{counts:?}"
        );
        assert_eq!(
            bootstrap(0, 1, |drawn| drawn.len() as f64),
            Interval::default()
        );
    }
}
