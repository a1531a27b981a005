//! The Z-Image transformer (diffusers `ZImageTransformer2DModel`, <https://arxiv.org/abs/2511.22699>): one stream of text and image, after
//! some blocks for each alone.
//!
//! Computes with the sequence text, image, as the other family does; the original has the image first, which attention does not see.

mod block;
mod config;

use tch::{Kind, Tensor};

pub use config::ZImageConfig;

use super::{
    attention::Sequence,
    input::{BlockBiases, Observe, TransformerInput},
    rope, time,
};
use crate::{
    nn::{Linear, RmsNorm, layer_norm},
    weights::{Weights, WeightsError},
};
use block::Block;

/// Text and image are filled up to multiples of this with learnt tokens, which attention sees.
pub const PAD_MULTIPLE: usize = 32;

/// Channels of the time's sines and cosines, and inside the layers that read them.
const TIME_SINES: i64 = 256;
const TIME_HIDDEN: i64 = 1024;

/// Of the last norm; not in the configuration.
const LAST_NORM_EPS: f64 = 1e-6;

/// The network.
pub struct ZImageTransformer {
    config: ZImageConfig,
    time_in: Linear,
    time_out: Linear,
    x_embedder: Linear,
    caption_norm: RmsNorm,
    caption_embedder: Linear,
    /// `(1, D)`.
    x_pad: Tensor,
    /// `(1, D)`.
    caption_pad: Tensor,
    noise_refiner: Vec<Block>,
    context_refiner: Vec<Block>,
    layers: Vec<Block>,
    last_modulation: Linear,
    last_linear: Linear,
}

impl ZImageTransformer {
    /// Takes every parameter by the checkpoint's names; the tensors are shared, not copied.
    pub fn load(config: &ZImageConfig, weights: &Weights) -> Result<Self, WeightsError> {
        let (d, token, time) = (
            config.width,
            config.token_channels(),
            config.time_channels(),
        );
        let blocks = |name: &str, count: i64, modulated: bool| -> Result<Vec<_>, WeightsError> {
            (0..count)
                .map(|i| Block::load(&weights.sub(format!("{name}.{i}")), config, modulated))
                .collect()
        };
        let mlp = weights.sub("t_embedder.mlp");
        // Patches of 2 x 2 latents of one frame.
        let last = weights.sub("all_final_layer.2-1");
        Ok(Self {
            time_in: Linear::load_with_bias(&mlp, "0", TIME_SINES, TIME_HIDDEN)?,
            time_out: Linear::load_with_bias(&mlp, "2", TIME_HIDDEN, time)?,
            x_embedder: Linear::load_with_bias(weights, "all_x_embedder.2-1", token, d)?,
            caption_norm: RmsNorm::load(
                weights,
                "cap_embedder.0",
                config.text_channels,
                config.eps,
            )?,
            caption_embedder: Linear::load_with_bias(
                weights,
                "cap_embedder.1",
                config.text_channels,
                d,
            )?,
            x_pad: weights.get_shaped("x_pad_token", &[1, d])?,
            caption_pad: weights.get_shaped("cap_pad_token", &[1, d])?,
            noise_refiner: blocks("noise_refiner", config.refiners, true)?,
            context_refiner: blocks("context_refiner", config.refiners, false)?,
            layers: blocks("layers", config.layers, true)?,
            last_modulation: Linear::load_with_bias(&last, "adaLN_modulation.1", time, d)?,
            last_linear: Linear::load_with_bias(&last, "linear", d, token)?,
            config: config.clone(),
        })
    }

    /// The sizes.
    pub const fn config(&self) -> &ZImageConfig {
        &self.config
    }

    /// The kind that the network computes in: that of its weights.
    pub fn kind(&self) -> Kind {
        self.last_linear.kind()
    }

    /// What [`ZImageTransformer::forward`] reads as text, `(B, T, D)`: the same at every step, since the time does not reach it.
    ///
    /// `states` `(B, T, text channels)` of which the first `real[b]` are of a caption and the others become learnt padding; `ids`
    /// `(B or 1, T, 3 or more)`; `bias` `(B or 1, 1, T or 1, T)`.
    pub fn captions(
        &self,
        states: &Tensor,
        real: &[i64],
        ids: &Tensor,
        bias: Option<&Tensor>,
        observe: Observe<'_>,
    ) -> Tensor {
        let kind = self.kind();
        let embedded = self
            .caption_embedder
            .forward(&self.caption_norm.forward(&states.to_kind(kind)));
        observe("caption", 0, &embedded);
        let (tokens, device) = (states.size()[1], states.device());
        let padding = Tensor::arange(tokens, (Kind::Int64, device))
            .unsqueeze(0)
            .ge_tensor(&Tensor::from_slice(real).to_device(device).unsqueeze(1));
        let text = self
            .caption_pad
            .unsqueeze(0)
            .where_self(&padding.unsqueeze(-1), &embedded);
        let rotations = self.rotations(ids);
        let bias = bias.map(|bias| bias.to_kind(kind));
        let sequence = Sequence {
            rotations: &rotations,
            bias: bias.as_ref(),
        };
        let refine = |text: Tensor, (index, block): (usize, &Block)| {
            let text = block.forward(&text, None, &sequence);
            observe("context_refiner", index, &text);
            text
        };
        self.context_refiner.iter().enumerate().fold(text, refine)
    }

    /// Velocity of the noisy tokens from picture to noise, `(B, N, token channels)`, in the kind of the weights. `input.text` is what
    /// [`ZImageTransformer::captions`] made; the family reads no references.
    pub fn forward(&self, input: &TransformerInput<'_>) -> Tensor {
        self.forward_observed(input, &mut |_, _, _| {})
    }

    /// The same, showing on its way `time` `(B, time channels)`, `patches` `(B, N', D)` and after each block `noise_refiner` `(B, N', D)` and
    /// `layer` `(B, T + N', D)`; `N'` is `N` filled up to a multiple of [`PAD_MULTIPLE`].
    pub fn forward_observed(&self, input: &TransformerInput<'_>, observe: Observe<'_>) -> Tensor {
        let kind = self.kind();
        let (batch, noisy, _) = input.noisy.size3().expect("tokens have three dimensions");
        let text_tokens = input.text.size()[1];
        let padding = (-noisy).rem_euclid(PAD_MULTIPLE as i64);

        // The original's time runs the other way: 0 is noise.
        let sines = time::sines(&(1.0 - input.times), TIME_SINES).to_kind(kind);
        let time = self.time_out.forward(&self.time_in.forward(&sines).silu());
        observe("time", 0, &time);

        let embedded = self.x_embedder.forward(&input.noisy.to_kind(kind));
        let pads = self.x_pad.unsqueeze(0).expand([batch, padding, -1], false);
        let mut image = Tensor::cat(&[embedded, pads], 1);
        observe("patches", 0, &image);

        // Padding stands at the origin.
        let image_ids = input.image_ids.constant_pad_nd([0, 0, 0, padding]);
        let image_rotations = self.rotations(&image_ids);
        let alone = Sequence {
            rotations: &image_rotations,
            bias: None,
        };
        for (index, block) in self.noise_refiner.iter().enumerate() {
            image = block.forward(&image, Some(&time), &alone);
            observe("noise_refiner", index, &image);
        }

        let rotations = Tensor::cat(&[self.rotations(input.text_ids), image_rotations], 1);
        let biases = BlockBiases::of(input, self.layers.len(), |bias| {
            filled(&bias.to_kind(kind), text_tokens + noisy, padding)
        });
        let together = |index: usize| Sequence {
            rotations: &rotations,
            bias: biases.at(index),
        };
        let mut all = Tensor::cat(&[input.text.to_kind(kind), image], 1);
        for (index, block) in self.layers.iter().enumerate() {
            all = block.forward(&all, Some(&time), &together(index));
            observe("layer", index, &all);
        }

        let noisy = layer_norm(&all.narrow(1, text_tokens, noisy), LAST_NORM_EPS);
        let scale = self.last_modulation.forward(&time.silu()).unsqueeze(1) + 1.0;
        // It predicts from noise to picture.
        self.last_linear.forward(&(noisy * scale)).neg()
    }

    fn rotations(&self, ids: &Tensor) -> Tensor {
        rope::rotations(ids, &self.config.axes, self.config.theta, Kind::Float)
    }
}

/// A bias `(B, 1, 1 or size, size)` for `more` tokens at the end that all see and that see all but what nobody sees.
fn filled(bias: &Tensor, size: i64, more: i64) -> Tensor {
    let bias = if bias.size()[2] == size {
        let free = bias.amax([2], true).expand([-1, -1, more, -1], false);
        Tensor::cat(&[bias, &free], 2)
    } else {
        bias.shallow_clone()
    };
    bias.constant_pad_nd([0, more])
}
