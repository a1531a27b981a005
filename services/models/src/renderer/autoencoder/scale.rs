//! Between latents and the standardised tokens that transformers read.

use tch::{Kind, Tensor};

use super::config::AutoencoderConfig;
use crate::weights::{Weights, WeightsError};

/// How a checkpoint standardises.
pub(super) enum Scale {
    /// Each channel of a token by its own statistics, `(1, 4 * latent, 1, 1)` in f32; channel = c * 4 + dy * 2 + dx.
    Statistics {
        /// Over the training's pictures.
        mean: Tensor,
        /// The same.
        std: Tensor,
    },
    /// All by the same two numbers; channel = (dy * 2 + dx) * latent + c.
    Factor {
        /// What is multiplied by.
        factor: f64,
        /// What is taken off before.
        shift: f64,
    },
}

impl Scale {
    /// As the configuration says; statistics are under `bn`.
    pub fn load(config: &AutoencoderConfig, weights: &Weights) -> Result<Self, WeightsError> {
        if let Some(factor) = config.scaling_factor {
            return Ok(Self::Factor {
                factor,
                shift: config.shift_factor.unwrap_or(0.0),
            });
        }
        let statistic = |name| -> Result<Tensor, WeightsError> {
            Ok(weights
                .sub("bn")
                .get_shaped(name, &[config.token_channels()])?
                .to_kind(Kind::Float)
                .view([1, -1, 1, 1]))
        };
        Ok(Self::Statistics {
            mean: statistic("running_mean")?,
            std: (statistic("running_var")? + config.batch_norm_eps).sqrt(),
        })
    }

    /// Tokens `(b, 4 c, h / 2, w / 2)`, f32, of latents `(b, c, h, w)`.
    pub fn tokens(&self, latents: &Tensor) -> Tensor {
        match self {
            Self::Statistics { mean, std } => (patchify(latents).to_kind(Kind::Float) - mean) / std,
            Self::Factor { factor, shift } => {
                let latents = (latents.to_kind(Kind::Float) - *shift) * *factor;
                let (b, c, h, w) = latents.size4().expect("latents have four dimensions");
                latents
                    .reshape([b, c, h / 2, 2, w / 2, 2])
                    .permute([0, 3, 5, 1, 2, 4])
                    .reshape([b, 4 * c, h / 2, w / 2])
            }
        }
    }

    /// The inverse of [`Scale::tokens`].
    pub fn latents(&self, tokens: &Tensor) -> Tensor {
        match self {
            Self::Statistics { mean, std } => {
                unpatchify(&(tokens.to_kind(Kind::Float) * std + mean))
            }
            Self::Factor { factor, shift } => {
                let (b, c, h, w) = tokens.size4().expect("tokens have four dimensions");
                let latents = tokens
                    .to_kind(Kind::Float)
                    .reshape([b, 2, 2, c / 4, h, w])
                    .permute([0, 3, 4, 1, 5, 2])
                    .reshape([b, c / 4, 2 * h, 2 * w]);
                latents / *factor + *shift
            }
        }
    }
}

/// `(b, c, h, w)` to `(b, 4 c, h / 2, w / 2)`; channel = c * 4 + dy * 2 + dx.
pub fn patchify(latents: &Tensor) -> Tensor {
    let (b, c, h, w) = latents.size4().expect("latents have four dimensions");
    latents
        .reshape([b, c, h / 2, 2, w / 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([b, 4 * c, h / 2, w / 2])
}

/// The inverse of [`patchify`].
pub fn unpatchify(tokens: &Tensor) -> Tensor {
    let (b, c, h, w) = tokens.size4().expect("tokens have four dimensions");
    tokens
        .reshape([b, c / 4, 2, 2, h, w])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([b, c / 4, 2 * h, 2 * w])
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn latents_come_back_from_tokens_and_channels_are_ordered_as_the_family_wants() {
        let latents = Tensor::randn([2, 3, 4, 6], (Kind::Float, Device::Cpu));
        let by_channel = Scale::Statistics {
            mean: Tensor::zeros([1, 12, 1, 1], (Kind::Float, Device::Cpu)),
            std: Tensor::ones([1, 12, 1, 1], (Kind::Float, Device::Cpu)),
        };
        let by_place = Scale::Factor {
            factor: 1.0,
            shift: 0.0,
        };
        for scale in [&by_channel, &by_place] {
            assert_eq!(scale.latents(&scale.tokens(&latents)), latents);
        }
        // Row 3, column 4 of channel 1 is in token (1, 2) at dy 1, dx 0.
        let value = latents.double_value(&[1, 1, 3, 4]);
        let at = |scale: &Scale, channel| scale.tokens(&latents).double_value(&[1, channel, 1, 2]);
        assert_eq!(at(&by_channel, 4 + 2), value);
        assert_eq!(at(&by_place, 2 * 3 + 1), value);
        let scaled = Scale::Factor {
            factor: 0.5,
            shift: 2.0,
        };
        assert_eq!(at(&scaled, 2 * 3 + 1), (value as f32 - 2.0) as f64 * 0.5);
    }
}
