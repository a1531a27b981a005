//! A block with separate weights for image and text that attend to each other.

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

/// Weights of one stream: image or text.
struct Stream {
    q: Linear,
    k: Linear,
    v: Linear,
    norm_q: RmsNorm,
    norm_k: RmsNorm,
    out: Linear,
    linear_in: Linear,
    linear_out: Linear,
}

/// Names of a stream's parts in the checkpoint.
struct Names {
    q: &'static str,
    k: &'static str,
    v: &'static str,
    norm_q: &'static str,
    norm_k: &'static str,
    out: &'static str,
    feed: &'static str,
}

const IMAGE: Names = Names {
    q: "to_q",
    k: "to_k",
    v: "to_v",
    norm_q: "norm_q",
    norm_k: "norm_k",
    out: "to_out.0",
    feed: "ff",
};

const TEXT: Names = Names {
    q: "add_q_proj",
    k: "add_k_proj",
    v: "add_v_proj",
    norm_q: "norm_added_q",
    norm_k: "norm_added_k",
    out: "to_add_out",
    feed: "ff_context",
};

impl Stream {
    fn load(
        weights: &Weights,
        config: &TransformerConfig,
        names: &Names,
    ) -> Result<Self, WeightsError> {
        let (d, hidden) = (config.width(), config.hidden);
        let attn = weights.sub("attn");
        let feed = weights.sub(names.feed);
        let square = |name| Linear::load_without_bias(&attn, name, d, d);
        let norm = |name| RmsNorm::load(&attn, name, config.head_size, config.eps);
        Ok(Self {
            q: square(names.q)?,
            k: square(names.k)?,
            v: square(names.v)?,
            norm_q: norm(names.norm_q)?,
            norm_k: norm(names.norm_k)?,
            out: square(names.out)?,
            linear_in: Linear::load_without_bias(&feed, "linear_in", d, 2 * hidden)?,
            linear_out: Linear::load_without_bias(&feed, "linear_out", hidden, d)?,
        })
    }

    /// Queries, keys and values `(B, S, heads, head)` of `x` `(B, S, D)`.
    fn project(&self, x: &Tensor, head_size: i64) -> [Tensor; 3] {
        [
            self.norm_q.forward(&heads(&self.q.forward(x), head_size)),
            self.norm_k.forward(&heads(&self.k.forward(x), head_size)),
            heads(&self.v.forward(x), head_size),
        ]
    }

    /// Both residual branches: what attention gave, then the gated part.
    fn finish(&self, x: &Tensor, attended: &Tensor, modulation: &[Modulation], eps: f64) -> Tensor {
        let x = modulation[0].leave(x, &self.out.forward(attended));
        let inner = gated(&self.linear_in.forward(&modulation[1].enter(&x, eps)));
        modulation[1].leave(&x, &self.linear_out.forward(&inner))
    }
}

/// One double block.
pub(super) struct DoubleBlock {
    image: Stream,
    text: Stream,
    head_size: i64,
    eps: f64,
}

impl DoubleBlock {
    /// `weights`: what is under `transformer_blocks.i`.
    pub fn load(weights: &Weights, config: &TransformerConfig) -> Result<Self, WeightsError> {
        Ok(Self {
            image: Stream::load(weights, config, &IMAGE)?,
            text: Stream::load(weights, config, &TEXT)?,
            head_size: config.head_size,
            eps: config.eps,
        })
    }

    /// `image` `(B, N, D)` and `text` `(B, T, D)` with two modulated branches each; the sequence is text, then image.
    pub fn forward(
        &self,
        image: &Tensor,
        text: &Tensor,
        image_modulation: &[Modulation],
        text_modulation: &[Modulation],
        sequence: &Sequence<'_>,
    ) -> (Tensor, Tensor) {
        let (t, n) = (text.size()[1], image.size()[1]);
        let [iq, ik, iv] = self
            .image
            .project(&image_modulation[0].enter(image, self.eps), self.head_size);
        let [tq, tk, tv] = self
            .text
            .project(&text_modulation[0].enter(text, self.eps), self.head_size);
        let attended = sequence.attend(
            &Tensor::cat(&[tq, iq], 1),
            &Tensor::cat(&[tk, ik], 1),
            &Tensor::cat(&[tv, iv], 1),
        );
        (
            self.image
                .finish(image, &attended.narrow(1, t, n), image_modulation, self.eps),
            self.text
                .finish(text, &attended.narrow(1, 0, t), text_modulation, self.eps),
        )
    }
}
