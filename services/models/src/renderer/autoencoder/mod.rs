//! The FLUX.2 autoencoder (diffusers `AutoencoderKLFlux2`): pictures to tokens of 16 x 16 pixels and back.
//!
//! Tokens are 2 x 2 latents, standardised by the checkpoint's batch-norm statistics instead of one scale and shift.

mod block;
mod config;
mod half;

use tch::{Kind, Tensor};

pub use config::AutoencoderConfig;
use half::{Decoder, Encoder};

use crate::{
    nn::Conv2d,
    weights::{Weights, WeightsError},
};

/// Pixels along a side of a token.
pub const TOKEN_PIXELS: i64 = 16;

/// Encoder, decoder and the statistics of tokens.
pub struct Autoencoder {
    encoder: Encoder,
    decoder: Decoder,
    quant: Option<Conv2d>,
    post_quant: Option<Conv2d>,
    /// `(1, 4 * latent, 1, 1)`, f32.
    mean: Tensor,
    /// `(1, 4 * latent, 1, 1)`, f32.
    std: Tensor,
    kind: Kind,
}

impl Autoencoder {
    /// Builds the autoencoder of a checkpoint; it computes in the kind of the decoder's weights.
    pub fn load(config: &AutoencoderConfig, weights: &Weights) -> Result<Self, WeightsError> {
        let (latent, token) = (config.latent_channels, config.token_channels());
        let quant = |name, channels| Conv2d::load(weights, name, [channels, channels], 1, 1, 0);
        let statistic = |name| -> Result<Tensor, WeightsError> {
            Ok(weights
                .sub("bn")
                .get_shaped(name, &[token])?
                .to_kind(Kind::Float)
                .view([1, -1, 1, 1]))
        };
        Ok(Self {
            encoder: Encoder::load(&weights.sub("encoder"), config)?,
            decoder: Decoder::load(&weights.sub("decoder"), config)?,
            quant: config
                .use_quant_conv
                .then(|| quant("quant_conv", 2 * latent))
                .transpose()?,
            post_quant: config
                .use_post_quant_conv
                .then(|| quant("post_quant_conv", latent))
                .transpose()?,
            mean: statistic("running_mean")?,
            std: (statistic("running_var")? + config.batch_norm_eps).sqrt(),
            kind: weights.sub("decoder.conv_in").get("weight")?.kind(),
        })
    }

    /// Mean and log variance of latents, each `(b, latent, H / 8, W / 8)`, of pictures `(b, 3, H, W)` in -1..1.
    pub fn moments(&self, pictures: &Tensor) -> (Tensor, Tensor) {
        let mut moments = self.encoder.forward(&pictures.to_kind(self.kind));
        if let Some(quant) = &self.quant {
            moments = quant.forward(&moments);
        }
        let halves = moments.chunk(2, 1);
        (halves[0].shallow_clone(), halves[1].clamp(-30.0, 20.0))
    }

    /// Pictures `(b, 3, 8 h, 8 w)`, about -1..1, of latents `(b, latent, h, w)`.
    pub fn pictures(&self, latents: &Tensor) -> Tensor {
        let latents = latents.to_kind(self.kind);
        match &self.post_quant {
            Some(quant) => self.decoder.forward(&quant.forward(&latents)),
            None => self.decoder.forward(&latents),
        }
    }

    /// Standardised tokens `(b, 4 * latent, H / 16, W / 16)`, f32, of pictures `(b, 3, H, W)` in -1..1; both sides multiples of 16.
    pub fn encode(&self, pictures: &Tensor) -> Tensor {
        (patchify(&self.moments(pictures).0).to_kind(Kind::Float) - &self.mean) / &self.std
    }

    /// Pictures `(b, 3, 16 h, 16 w)` in -1..1, f32, of standardised tokens `(b, 4 * latent, h, w)`.
    pub fn decode(&self, tokens: &Tensor) -> Tensor {
        let latents = unpatchify(&(tokens.to_kind(Kind::Float) * &self.std + &self.mean));
        self.pictures(&latents)
            .to_kind(Kind::Float)
            .clamp(-1.0, 1.0)
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
