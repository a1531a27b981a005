//! Encoder and decoder.

use tch::Tensor;

use super::{
    block::{Middle, NORM_EPS, Resnet},
    config::AutoencoderConfig,
};
use crate::{
    nn::{Conv2d, GroupNorm, silu_of},
    renderer::input::Observe,
    weights::{Weights, WeightsError},
};

/// Residual blocks, then halving or doubling (not on the last level).
struct Level {
    resnets: Vec<Resnet>,
    resize: Option<Conv2d>,
}

impl Level {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.resnets
            .iter()
            .fold(x.shallow_clone(), |x, resnet| resnet.forward(&x))
    }
}

/// Pictures to moments of latents.
pub struct Encoder {
    conv_in: Conv2d,
    levels: Vec<Level>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    /// Reads the encoder under `weights`.
    pub fn load(weights: &Weights, config: &AutoencoderConfig) -> Result<Self, WeightsError> {
        let (channels, groups) = (&config.block_out_channels, config.norm_num_groups);
        let last = channels.len() - 1;
        let mut from = channels[0];
        let mut levels = Vec::with_capacity(channels.len());
        for (index, &to) in channels.iter().enumerate() {
            let level = weights.sub(format_args!("down_blocks.{index}"));
            let mut resnets = Vec::new();
            for layer in 0..config.layers_per_block {
                let from = if layer == 0 { from } else { to };
                resnets.push(Resnet::load(
                    &level.sub(format_args!("resnets.{layer}")),
                    from,
                    to,
                    groups,
                )?);
            }
            let resize = (index < last)
                .then(|| Conv2d::load(&level, "downsamplers.0.conv", [to, to], 3, 2, 0));
            levels.push(Level {
                resnets,
                resize: resize.transpose()?,
            });
            from = to;
        }
        Ok(Self {
            conv_in: Conv2d::load(weights, "conv_in", [3, channels[0]], 3, 1, 1)?,
            levels,
            middle: Middle::load(&weights.sub("mid_block"), from, groups)?,
            norm_out: GroupNorm::load(weights, "conv_norm_out", groups, from, NORM_EPS)?,
            conv_out: Conv2d::load(
                weights,
                "conv_out",
                [from, 2 * config.latent_channels],
                3,
                1,
                1,
            )?,
        })
    }

    /// `(b, 3, H, W)` in -1..1 to `(b, 2 * latent, H / 8, W / 8)`; shows each `down` level.
    pub fn forward(&self, pictures: &Tensor, observe: Observe<'_>) -> Tensor {
        let mut x = self.conv_in.forward(pictures);
        for (index, level) in self.levels.iter().enumerate() {
            x = level.forward(&x);
            if let Some(halve) = &level.resize {
                // One more column and row on the right and below only.
                x = halve.forward(&x.constant_pad_nd([0, 1, 0, 1]));
            }
            observe("down", index, &x);
        }
        self.conv_out
            .forward(&silu_of(self.norm_out.forward(&self.middle.forward(&x))))
    }
}

/// Latents to pictures.
pub struct Decoder {
    conv_in: Conv2d,
    middle: Middle,
    levels: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    /// Reads the decoder under `weights`.
    pub fn load(weights: &Weights, config: &AutoencoderConfig) -> Result<Self, WeightsError> {
        let groups = config.norm_num_groups;
        let channels: Vec<i64> = config.decoder_channels().iter().rev().copied().collect();
        let last = channels.len() - 1;
        let mut from = channels[0];
        let mut levels = Vec::with_capacity(channels.len());
        for (index, &to) in channels.iter().enumerate() {
            let level = weights.sub(format_args!("up_blocks.{index}"));
            let mut resnets = Vec::new();
            for layer in 0..=config.layers_per_block {
                let from = if layer == 0 { from } else { to };
                resnets.push(Resnet::load(
                    &level.sub(format_args!("resnets.{layer}")),
                    from,
                    to,
                    groups,
                )?);
            }
            let resize = (index < last)
                .then(|| Conv2d::load(&level, "upsamplers.0.conv", [to, to], 3, 1, 1));
            levels.push(Level {
                resnets,
                resize: resize.transpose()?,
            });
            from = to;
        }
        Ok(Self {
            conv_in: Conv2d::load(
                weights,
                "conv_in",
                [config.latent_channels, channels[0]],
                3,
                1,
                1,
            )?,
            middle: Middle::load(&weights.sub("mid_block"), channels[0], groups)?,
            levels,
            norm_out: GroupNorm::load(weights, "conv_norm_out", groups, from, NORM_EPS)?,
            conv_out: Conv2d::load(weights, "conv_out", [from, 3], 3, 1, 1)?,
        })
    }

    /// `(b, latent, h, w)` to `(b, 3, 8 h, 8 w)`, about -1..1; shows the `middle` and each `up` level.
    pub fn forward(&self, latents: &Tensor, observe: Observe<'_>) -> Tensor {
        let mut x = self.middle.forward(&self.conv_in.forward(latents));
        observe("middle", 0, &x);
        for (index, level) in self.levels.iter().enumerate() {
            x = level.forward(&x);
            if let Some(after) = &level.resize {
                let (_, _, h, w) = x.size4().expect("convolutions give four dimensions");
                x = after.forward(&x.upsample_nearest2d([2 * h, 2 * w], None, None));
            }
            observe("up", index, &x);
        }
        self.conv_out.forward(&silu_of(self.norm_out.forward(&x)))
    }
}
