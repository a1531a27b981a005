//! A block: normed attention and a normed gated part, both normed again before they are added.

use tch::Tensor;

use super::config::ZImageConfig;
use crate::{
    nn::{Linear, RmsNorm},
    renderer::attention::{Sequence, heads},
    weights::{Weights, WeightsError},
};

/// Of queries and keys; not in the configuration.
const HEAD_NORM_EPS: f64 = 1e-5;

/// Scale and gate of one residual branch, each `(B, 1, D)`.
struct Modulation {
    scale: Tensor,
    gate: Tensor,
}

/// One block; without a modulation the time does not reach it.
pub(super) struct Block {
    modulation: Option<Linear>,
    attention_norm1: RmsNorm,
    attention_norm2: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm_q: RmsNorm,
    norm_k: RmsNorm,
    ffn_norm1: RmsNorm,
    ffn_norm2: RmsNorm,
    w1: Linear,
    w2: Linear,
    w3: Linear,
    head_size: i64,
}

impl Block {
    /// `weights`: what is under `layers.i` or a refiner's.
    pub fn load(
        weights: &Weights,
        config: &ZImageConfig,
        modulated: bool,
    ) -> Result<Self, WeightsError> {
        let (d, hidden, head_size) = (config.width, config.hidden(), config.head_size());
        let attention = weights.sub("attention");
        let feed = weights.sub("feed_forward");
        let square = |name| Linear::load_without_bias(&attention, name, d, d);
        let norm = |name| RmsNorm::load(weights, name, d, config.eps);
        let head_norm = |name| RmsNorm::load(&attention, name, head_size, HEAD_NORM_EPS);
        let modulation = modulated.then(|| {
            Linear::load_with_bias(weights, "adaLN_modulation.0", config.time_channels(), 4 * d)
        });
        Ok(Self {
            modulation: modulation.transpose()?,
            attention_norm1: norm("attention_norm1")?,
            attention_norm2: norm("attention_norm2")?,
            q: square("to_q")?,
            k: square("to_k")?,
            v: square("to_v")?,
            out: square("to_out.0")?,
            norm_q: head_norm("norm_q")?,
            norm_k: head_norm("norm_k")?,
            ffn_norm1: norm("ffn_norm1")?,
            ffn_norm2: norm("ffn_norm2")?,
            w1: Linear::load_without_bias(&feed, "w1", d, hidden)?,
            w2: Linear::load_without_bias(&feed, "w2", hidden, d)?,
            w3: Linear::load_without_bias(&feed, "w3", d, hidden)?,
            head_size,
        })
    }

    /// `x` `(B, S, D)` and the time `(B, time channels)`; a block without modulation ignores it.
    pub fn forward(&self, x: &Tensor, time: Option<&Tensor>, sequence: &Sequence<'_>) -> Tensor {
        let modulations = self.modulation.as_ref().zip(time).map(|(linear, time)| {
            // No activation before it; the order is scale, gate, branch by branch.
            let parts = linear.forward(time).unsqueeze(1).chunk(4, -1);
            let of = |i: usize| Modulation {
                scale: &parts[i] + 1.0,
                gate: parts[i + 1].tanh(),
            };
            [of(0), of(2)]
        });
        let [first, second] = modulations
            .as_ref()
            .map_or([None, None], |[a, b]| [Some(a), Some(b)]);
        let attended = self.attention(&enter(&self.attention_norm1.forward(x), first), sequence);
        let x = leave(x, &self.attention_norm2.forward(&attended), first);
        let h = enter(&self.ffn_norm1.forward(&x), second);
        let inner = self.w1.forward(&h).silu() * self.w3.forward(&h);
        leave(
            &x,
            &self.ffn_norm2.forward(&self.w2.forward(&inner)),
            second,
        )
    }

    fn attention(&self, h: &Tensor, sequence: &Sequence<'_>) -> Tensor {
        let own = |linear: &Linear| heads(&linear.forward(h), self.head_size);
        self.out.forward(&sequence.attend(
            &self.norm_q.forward(&own(&self.q)),
            &self.norm_k.forward(&own(&self.k)),
            &own(&self.v),
        ))
    }
}

fn enter(normed: &Tensor, modulation: Option<&Modulation>) -> Tensor {
    modulation.map_or_else(|| normed.shallow_clone(), |own| normed * &own.scale)
}

fn leave(x: &Tensor, branch: &Tensor, modulation: Option<&Modulation>) -> Tensor {
    modulation.map_or_else(|| x + branch, |own| x.addcmul(&own.gate, branch))
}
