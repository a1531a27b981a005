//! The FLUX.2 klein transformer: predicts the velocity of noisy image tokens from text states and reference tokens.
//!
//! Parameters carry the checkpoint's names. Every operation is differentiable in them: the trainer runs this same code.

mod block;
mod config;
mod double;
mod rope;
mod single;
mod time;

use tch::{Kind, Tensor};

use crate::{
    nn::Linear,
    weights::{Weights, WeightsError},
};
use block::{Modulation, Sequence, modulate};
pub use config::{TransformerConfig, TransformerConfigError};
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

/// What one pass reads. `B` pictures, `N` noisy tokens, `R` reference tokens, `T` text states, `S = T + N + R`.
pub struct TransformerInput<'a> {
    /// Noisy tokens `(B, N, in_channels)`.
    pub noisy: &'a Tensor,
    /// Clean tokens of references, `(B, R, in_channels)`.
    pub reference: Option<&'a Tensor>,
    /// Text states `(B, T, text_channels)`.
    pub text: &'a Tensor,
    /// Times in 0..1, 1 is pure noise: `(B)`.
    pub times: &'a Tensor,
    /// Positions of noisy, then reference tokens: `(B or 1, N + R, 4)`.
    pub image_ids: &'a Tensor,
    /// Positions of text states: `(B or 1, T, 4)`.
    pub text_ids: &'a Tensor,
    /// Added to the attention's logits: `(B or 1, 1, S or 1, S)`, order text, noisy, reference.
    pub bias: Option<&'a Tensor>,
}

impl Transformer {
    /// Takes every parameter of [`TransformerConfig::parameters`]; the tensors are shared, not copied.
    pub fn load(config: &TransformerConfig, weights: &Weights) -> Result<Self, WeightsError> {
        let d = config.width();
        let time = weights.sub("time_guidance_embed.timestep_embedder");
        Ok(Self {
            time_linear_1: Linear::load(&time, "linear_1", config.time_channels, d)?,
            time_linear_2: Linear::load(&time, "linear_2", d, d)?,
            double_modulation_image: Linear::load(
                weights,
                "double_stream_modulation_img.linear",
                d,
                6 * d,
            )?,
            double_modulation_text: Linear::load(
                weights,
                "double_stream_modulation_txt.linear",
                d,
                6 * d,
            )?,
            single_modulation: Linear::load(weights, "single_stream_modulation.linear", d, 3 * d)?,
            x_embedder: Linear::load(weights, "x_embedder", config.in_channels, d)?,
            context_embedder: Linear::load(weights, "context_embedder", config.text_channels, d)?,
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
            norm_out: Linear::load(weights, "norm_out.linear", d, 2 * d)?,
            proj_out: Linear::load(weights, "proj_out", d, config.in_channels)?,
            config: config.clone(),
        })
    }

    /// The sizes.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// Velocity of the noisy tokens, `(B, N, in_channels)`, in the kind of the weights.
    pub fn forward(&self, input: &TransformerInput<'_>) -> Tensor {
        let kind = self.kind();
        let noisy_tokens = input.noisy.size()[1];
        let text_tokens = input.text.size()[1];

        let sines = time::sines(input.times, self.config.time_channels).to_kind(kind);
        let time = self
            .time_linear_2
            .forward(&self.time_linear_1.forward(&sines).silu())
            .silu();
        let image_modulation = Modulation::split(&self.double_modulation_image.forward(&time), 2);
        let text_modulation = Modulation::split(&self.double_modulation_text.forward(&time), 2);
        let single_modulation = Modulation::split(&self.single_modulation.forward(&time), 1);

        let ids = Tensor::cat(&[input.text_ids, input.image_ids], 1);
        let rotations = rope::rotations(&ids, self.config.axes, self.config.theta);
        let bias = input.bias.map(|bias| bias.to_kind(kind));
        let sequence = Sequence {
            rotations: &rotations,
            bias: bias.as_ref(),
        };

        let tokens = match input.reference {
            Some(reference) => {
                Tensor::cat(&[input.noisy.to_kind(kind), reference.to_kind(kind)], 1)
            }
            None => input.noisy.to_kind(kind),
        };
        let mut image = self.x_embedder.forward(&tokens);
        let mut text = self.context_embedder.forward(&input.text.to_kind(kind));
        for block in &self.double_blocks {
            (image, text) = block.forward(
                &image,
                &text,
                &image_modulation,
                &text_modulation,
                &sequence,
            );
        }
        let mut all = Tensor::cat(&[text, image], 1);
        for block in &self.single_blocks {
            all = block.forward(&all, &single_modulation[0], &sequence);
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
