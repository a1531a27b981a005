//! Rotary positions (<https://arxiv.org/abs/2104.09864>) and the ways in which checkpoints stretch them for longer texts.

use std::f64::consts::TAU;

/// How fast each pair of a head turns with the position.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base: pair j of n turns by `theta ^ (-j / n)` a token.
    pub theta: f64,
    /// What is changed about that.
    pub scaling: Scaling,
}

/// Changes of the frequencies. Others (YaRN, dynamic NTK, LongRoPE) are refused when a configuration is read.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    /// As trained.
    None,
    /// All are divided by the factor (<https://arxiv.org/abs/2306.15595>).
    Linear {
        /// How much longer texts may be.
        factor: f64,
    },
    /// Llama 3.1's: slow ones are divided, fast ones kept, those between blended. As transformers' `rope_type: llama3`.
    Llama3 {
        /// How much longer texts may be.
        factor: f64,
        /// Turns within the original context below which a pair is slow.
        low: f64,
        /// Turns within the original context above which a pair is fast.
        high: f64,
        /// The original context, in tokens.
        original: f64,
    },
}

impl Rope {
    /// Without scaling.
    pub const fn new(theta: f64) -> Self {
        Self {
            theta,
            scaling: Scaling::None,
        }
    }

    /// Radians a token for each pair of a head of `head` numbers.
    pub fn frequencies(&self, head: i64) -> Vec<f64> {
        let half = head / 2;
        let plain = |pair: i64| self.theta.powf(-(pair as f64) / half as f64);
        (0..half).map(|pair| self.scaled(plain(pair))).collect()
    }

    fn scaled(&self, frequency: f64) -> f64 {
        match self.scaling {
            Scaling::None => frequency,
            Scaling::Linear { factor } => frequency / factor,
            Scaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                let turns = original * frequency / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let number = |number: f64| number > 0.0 && number <= 1e12;
        if !number(self.theta) {
            return Err(format!("a rotation's base of {}", self.theta));
        }
        let sound = match self.scaling {
            Scaling::None => true,
            Scaling::Linear { factor } => number(factor),
            Scaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => [factor, low, high, original].into_iter().all(number) && low < high,
        };
        if sound {
            Ok(())
        } else {
            Err(format!("a rotation scaled by {:?}", self.scaling))
        }
    }
}
