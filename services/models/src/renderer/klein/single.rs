//! A block that sees text and image as one sequence and computes attention beside the gated part.

use tch::Tensor;

use super::{
    block::{Modulation, gated},
    config::TransformerConfig,
};
use crate::{
    nn::{Linear, RmsNorm},
    renderer::attention::{Sequence, heads},
    weights::{Weights, WeightsError},
};

/// One single block.
pub(super) struct SingleBlock {
    to_qkv_mlp_proj: Linear,
    to_out: Linear,
    norm_q: RmsNorm,
    norm_k: RmsNorm,
    width: i64,
    hidden: i64,
    head_size: i64,
    eps: f64,
}

impl SingleBlock {
    /// `weights`: what is under `single_transformer_blocks.i`.
    pub fn load(weights: &Weights, config: &TransformerConfig) -> Result<Self, WeightsError> {
        let (d, hidden) = (config.width(), config.hidden);
        let attn = weights.sub("attn");
        Ok(Self {
            to_qkv_mlp_proj: Linear::load_without_bias(
                &attn,
                "to_qkv_mlp_proj",
                d,
                3 * d + 2 * hidden,
            )?,
            to_out: Linear::load_without_bias(&attn, "to_out", d + hidden, d)?,
            norm_q: RmsNorm::load(&attn, "norm_q", config.head_size, config.eps)?,
            norm_k: RmsNorm::load(&attn, "norm_k", config.head_size, config.eps)?,
            width: d,
            hidden,
            head_size: config.head_size,
            eps: config.eps,
        })
    }

    /// `x` `(B, S, D)`, text then image.
    pub fn forward(&self, x: &Tensor, modulation: &Modulation, sequence: &Sequence<'_>) -> Tensor {
        let d = self.width;
        let parts = self
            .to_qkv_mlp_proj
            .forward(&modulation.enter(x, self.eps))
            .split_with_sizes([d, d, d, 2 * self.hidden], -1);
        let [q, k, v] = [0, 1, 2].map(|i| heads(&parts[i], self.head_size));
        let attended = sequence.attend(&self.norm_q.forward(&q), &self.norm_k.forward(&k), &v);
        let out = self
            .to_out
            .forward(&Tensor::cat(&[attended, gated(&parts[3])], -1));
        modulation.leave(x, &out)
    }
}
