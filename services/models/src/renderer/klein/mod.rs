//! The FLUX.2 klein transformer: predicts the velocity of noisy image tokens from text states and reference tokens.
//!
//! Parameters carry the checkpoint's names. Every operation is differentiable in them: the trainer runs this same code.

mod block;
mod config;
mod double;
mod single;

use tch::{Kind, Tensor};

use super::{
    attention::Sequence,
    input::{BlockBiases, Observe, TransformerInput},
    rope, time,
};
use crate::{
    nn::Linear,
    weights::{Weights, WeightsError},
};
use block::{Modulation, modulate};
pub use config::TransformerConfig;
use double::DoubleBlock;
use single::SingleBlock;

/// The network.
pub struct Transformer {
    config: TransformerConfig,
    time_linear_1: Linear,
    time_linear_2: Linear,
    double_modulation_image: Linear,
    double_modulation_text: Linear,
    single_modulation: Linear,
    x_embedder: Linear,
    context_embedder: Linear,
    double_blocks: Vec<DoubleBlock>,
    single_blocks: Vec<SingleBlock>,
    norm_out: Linear,
    proj_out: Linear,
}

impl Transformer {
    /// Takes every parameter of [`TransformerConfig::parameters`]; the tensors are shared, not copied.
    pub fn load(config: &TransformerConfig, weights: &Weights) -> Result<Self, WeightsError> {
        let d = config.width();
        let time = weights.sub("time_guidance_embed.timestep_embedder");
        Ok(Self {
            time_linear_1: Linear::load_without_bias(&time, "linear_1", config.time_channels, d)?,
            time_linear_2: Linear::load_without_bias(&time, "linear_2", d, d)?,
            double_modulation_image: Linear::load_without_bias(
                weights,
                "double_stream_modulation_img.linear",
                d,
                6 * d,
            )?,
            double_modulation_text: Linear::load_without_bias(
                weights,
                "double_stream_modulation_txt.linear",
                d,
                6 * d,
            )?,
            single_modulation: Linear::load_without_bias(
                weights,
                "single_stream_modulation.linear",
                d,
                3 * d,
            )?,
            x_embedder: Linear::load_without_bias(weights, "x_embedder", config.in_channels, d)?,
            context_embedder: Linear::load_without_bias(
                weights,
                "context_embedder",
                config.text_channels,
                d,
            )?,
            double_blocks: (0..config.double_blocks)
                .map(|i| DoubleBlock::load(&weights.sub(format!("transformer_blocks.{i}")), config))
                .collect::<Result<_, _>>()?,
            single_blocks: (0..config.single_blocks)
                .map(|i| {
                    SingleBlock::load(
                        &weights.sub(format!("single_transformer_blocks.{i}")),
                        config,
                    )
                })
                .collect::<Result<_, _>>()?,
            norm_out: Linear::load_without_bias(weights, "norm_out.linear", d, 2 * d)?,
            proj_out: Linear::load_without_bias(weights, "proj_out", d, config.in_channels)?,
            config: config.clone(),
        })
    }

    /// The sizes.
    pub const fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// Velocity of the noisy tokens, `(B, N, in_channels)`, in the kind of the weights.
    pub fn forward(&self, input: &TransformerInput<'_>) -> Tensor {
        self.forward_observed(input, &mut |_, _, _| {})
    }

    /// The same, showing on its way: `time` `(B, D)`, and after each block `double.text`, `double.image` and `single`, all `(B, .., D)`.
    pub fn forward_observed(&self, input: &TransformerInput<'_>, observe: Observe<'_>) -> Tensor {
        let kind = self.kind();
        let noisy_tokens = input.noisy.size()[1];
        let text_tokens = input.text.size()[1];

        let sines = time::sines(input.times, self.config.time_channels).to_kind(kind);
        let time = self
            .time_linear_2
            .forward(&self.time_linear_1.forward(&sines).silu());
        observe("time", 0, &time);
        let time = time.silu();
        let image_modulation = Modulation::split(&self.double_modulation_image.forward(&time), 2);
        let text_modulation = Modulation::split(&self.double_modulation_text.forward(&time), 2);
        let single_modulation = Modulation::split(&self.single_modulation.forward(&time), 1);

        let ids = Tensor::cat(&[input.text_ids, input.image_ids], 1);
        let rotations = rope::rotations(&ids, &self.config.axes, self.config.theta, Kind::Double);
        let blocks = self.double_blocks.len() + self.single_blocks.len();
        let biases = BlockBiases::of(input, blocks, |bias| bias.to_kind(kind));
        let sequence = |index: usize| Sequence {
            rotations: &rotations,
            bias: biases.at(index),
        };

        let tokens = match input.reference {
            Some(reference) => {
                Tensor::cat(&[input.noisy.to_kind(kind), reference.to_kind(kind)], 1)
            }
            None => input.noisy.to_kind(kind),
        };
        let mut image = self.x_embedder.forward(&tokens);
        let mut text = self.context_embedder.forward(&input.text.to_kind(kind));
        for (index, block) in self.double_blocks.iter().enumerate() {
            (image, text) = block.forward(
                &image,
                &text,
                &image_modulation,
                &text_modulation,
                &sequence(index),
            );
            observe("double.text", index, &text);
            observe("double.image", index, &image);
        }
        let mut all = Tensor::cat(&[text, image], 1);
        for (index, block) in self.single_blocks.iter().enumerate() {
            let sequence = sequence(self.double_blocks.len() + index);
            all = block.forward(&all, &single_modulation[0], &sequence);
            observe("single", index, &all);
        }
        let noisy = all.narrow(1, text_tokens, noisy_tokens);
        // Scale comes first here, unlike in the blocks.
        let last = self.norm_out.forward(&time).unsqueeze(1).chunk(2, -1);
        self.proj_out
            .forward(&modulate(&noisy, &last[0], &last[1], self.config.eps))
    }

    /// The kind that the network computes in: that of its weights.
    pub fn kind(&self) -> Kind {
        self.proj_out.kind()
    }
}
