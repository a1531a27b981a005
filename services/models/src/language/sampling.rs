//! Which token comes next, by its logits.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::LanguageError;

/// How freely tokens are drawn. In the order in which transformers does it: temperature, then the likeliest, then the nucleus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0, or as good as that, always takes the likeliest token and ignores the rest, seeds included.
    pub temperature: f64,
    /// Only so many of the likeliest are drawn from; 0: all.
    pub top_k: usize,
    /// Only the likeliest that together have this probability are drawn from (<https://arxiv.org/abs/1904.09751>); 1: all.
    pub top_p: f64,
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
    };
}

/// Temperatures below it are 0: the second token of a pair that is a thousandth apart would come once in e^10 times, and a logit that is
/// divided by much less overflows.
const COLD: f64 = 1e-4;

/// Draws tokens, the same ones from the same seed.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// An error where a number is none that can be sampled with.
    pub fn new(sampling: Sampling, seed: u64) -> Result<Self, LanguageError> {
        let Sampling {
            temperature, top_p, ..
        } = sampling;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(LanguageError::Sampling(format!(
                "a temperature of {temperature}; use 0 or more"
            )));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(LanguageError::Sampling(format!(
                "a top_p of {top_p}; use more than 0 and at most 1"
            )));
        }
        Ok(Self {
            sampling,
            rng: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// One of the tokens by logits `(vocabulary)`, or one `among` some of them, which must be one at least.
    pub fn pick(&mut self, logits: &Tensor, among: Option<&[u32]>) -> u32 {
        let chosen = match among {
            None => self.index(logits),
            Some(tokens) => {
                let ids: Vec<i64> = tokens.iter().map(|id| i64::from(*id)).collect();
                let ids = Tensor::from_slice(&ids).to_device(logits.device());
                return tokens[self.index(&logits.index_select(0, &ids))];
            }
        };
        chosen as u32
    }

    fn index(&mut self, logits: &Tensor) -> usize {
        let Sampling {
            temperature,
            top_k,
            top_p,
        } = self.sampling;
        if temperature < COLD {
            return logits.argmax(0, false).int64_value(&[]) as usize;
        }
        let all = logits.size()[0];
        let most = i64::try_from(top_k).unwrap_or(i64::MAX);
        let (logits, ids) = if most > 0 && most < all {
            let (logits, ids) = logits.topk(most, 0, true, true);
            (logits, Some(ids))
        } else if top_p < 1.0 {
            let (logits, ids) = logits.sort(0, true);
            (logits, Some(ids))
        } else {
            (logits.shallow_clone(), None)
        };
        let shares = (logits / temperature).softmax(0, Kind::Float);
        let up_to = shares.cumsum(0, Kind::Float);
        // The first one that reaches the probability is still in.
        let (inside, total) = if top_p < 1.0 {
            let before = &up_to - &shares;
            let inside = before.lt(top_p).sum(Kind::Int64).int64_value(&[]).max(1);
            (inside, up_to.double_value(&[inside - 1]))
        } else {
            (shares.size()[0], 1.0)
        };
        let point = self.rng.random::<f64>() * total;
        let below = up_to.lt(point).sum(Kind::Int64).int64_value(&[]);
        let index = below.min(inside - 1);
        let id = ids.map_or(index, |ids| ids.int64_value(&[index]));
        id as usize
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::LN_2;

    use super::*;

    fn counts(sampling: Sampling, logits: &[f32], among: Option<&[u32]>) -> Vec<usize> {
        let logits = Tensor::from_slice(logits);
        let mut sampler = Sampler::new(sampling, 5).unwrap();
        let mut counts = vec![0; 5];
        for _ in 0..4000 {
            counts[sampler.pick(&logits, among) as usize] += 1;
        }
        counts
    }

    /// Shares of one, two, four and eight fifteenths, and nothing.
    const LOGITS: [f32; 5] = [0.0, LN_2, 2.0 * LN_2, 3.0 * LN_2, -1e30];

    #[test]
    fn tokens_come_as_often_as_they_are_likely() {
        let sampling = Sampling {
            temperature: 1.0,
            ..Sampling::GREEDY
        };
        let near = |found: &[usize], shares: [f64; 5]| {
            let right = found
                .iter()
                .zip(shares)
                .all(|(count, share)| (*count as f64 / 4000.0 - share).abs() < 0.03);
            assert!(right, "{found:?} are not {shares:?}");
        };
        let of = |n: f64, d: f64| n / d;
        let all = [
            of(1.0, 15.0),
            of(2.0, 15.0),
            of(4.0, 15.0),
            of(8.0, 15.0),
            0.0,
        ];
        near(&counts(sampling, &LOGITS, None), all);
        let two = Sampling {
            top_k: 2,
            ..sampling
        };
        near(
            &counts(two, &LOGITS, None),
            [0.0, 0.0, of(1.0, 3.0), of(2.0, 3.0), 0.0],
        );
        // Eight and four fifteenths are 0.8: the third is needed for 0.81 and is whole then.
        let nucleus = |top_p| Sampling { top_p, ..sampling };
        near(
            &counts(nucleus(0.79), &LOGITS, None),
            [0.0, 0.0, of(1.0, 3.0), of(2.0, 3.0), 0.0],
        );
        near(
            &counts(nucleus(0.81), &LOGITS, None),
            [0.0, of(1.0, 7.0), of(2.0, 7.0), of(4.0, 7.0), 0.0],
        );
        near(
            &counts(nucleus(1e-9), &LOGITS, None),
            [0.0, 0.0, 0.0, 1.0, 0.0],
        );
        near(
            &counts(sampling, &LOGITS, Some(&[0, 1])),
            [of(1.0, 3.0), of(2.0, 3.0), 0.0, 0.0, 0.0],
        );
        let warm = Sampling {
            temperature: 0.5,
            ..sampling
        };
        near(
            &counts(warm, &LOGITS, Some(&[1, 2])),
            [0.0, 0.2, 0.8, 0.0, 0.0],
        );
        near(
            &counts(Sampling::GREEDY, &LOGITS, None),
            [0.0, 0.0, 0.0, 1.0, 0.0],
        );
    }

    #[test]
    fn the_coldest_draw_the_likeliest() {
        for temperature in [f64::MIN_POSITIVE, 1e-45, 1e-12, 0.99 * COLD, COLD] {
            let cold = Sampling {
                temperature,
                ..Sampling::GREEDY
            };
            let likeliest = [0, 0, 0, 4000, 0];
            assert_eq!(counts(cold, &LOGITS, None), likeliest, "{temperature}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let sampling = Sampling {
            temperature: 2.0,
            top_k: 4,
            top_p: 0.95,
        };
        let draw = |seed| -> Vec<u32> {
            let mut sampler = Sampler::new(sampling, seed).unwrap();
            let logits = Tensor::from_slice(&LOGITS);
            (0..40).map(|_| sampler.pick(&logits, None)).collect()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn numbers_that_mean_nothing_are_refused() {
        for wrong in [
            Sampling {
                temperature: -1.0,
                ..Sampling::GREEDY
            },
            Sampling {
                temperature: f64::NAN,
                ..Sampling::GREEDY
            },
            Sampling {
                top_p: 0.0,
                ..Sampling::GREEDY
            },
            Sampling {
                top_p: 1.5,
                ..Sampling::GREEDY
            },
        ] {
            assert!(matches!(
                Sampler::new(wrong, 0),
                Err(LanguageError::Sampling(_))
            ));
        }
    }
}
