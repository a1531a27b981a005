//! The autoencoders of FLUX.2 and FLUX.1 (diffusers `AutoencoderKLFlux2`, `AutoencoderKL`): pictures to tokens of 16 x 16 pixels and back.
//!
//! Tokens are 2 x 2 latents. FLUX.2 standardises them by the checkpoint's batch-norm statistics, FLUX.1 by one factor and shift, and with
//! it Z-Image orders the channels of a token differently.

mod block;
mod config;
mod half;
mod scale;
mod tiles;

use tch::{Kind, Tensor};

pub use config::AutoencoderConfig;
use half::{Decoder, Encoder};
use scale::Scale;
pub use scale::{patchify, unpatchify};
pub use tiles::Tiles;

use crate::{
    nn::Conv2d,
    renderer::input::Observe,
    weights::{Weights, WeightsError},
};

/// Pixels along a side of a token.
pub const TOKEN_PIXELS: i64 = 16;

/// Tensors of the widest level that decoding holds at once: a block's input, what is normed, what is convolved, and the convolution's
/// own workspace.
const LIVE_TENSORS: i64 = 4;

/// Encoder, decoder and how tokens are made of latents.
pub struct Autoencoder {
    encoder: Encoder,
    decoder: Decoder,
    quant: Option<Conv2d>,
    post_quant: Option<Conv2d>,
    scale: Scale,
    /// Channels of the decoder's finest level and the one before, whichever has more.
    widest: i64,
    kind: Kind,
}

impl Autoencoder {
    /// Builds the autoencoder of a checkpoint; it computes in the kind of the decoder's weights.
    pub fn load(config: &AutoencoderConfig, weights: &Weights) -> Result<Self, WeightsError> {
        let latent = config.latent_channels;
        let quant = |name, channels| Conv2d::load(weights, name, [channels, channels], 1, 1, 0);
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
            scale: Scale::load(config, weights)?,
            widest: config
                .decoder_channels()
                .iter()
                .take(2)
                .copied()
                .max()
                .unwrap_or(0),
            kind: weights.sub("decoder.conv_in").get("weight")?.kind(),
        })
    }

    /// Mean and log variance of latents, each `(b, latent, H / 8, W / 8)`, of pictures `(b, 3, H, W)` in -1..1.
    pub fn moments(&self, pictures: &Tensor) -> (Tensor, Tensor) {
        self.moments_observed(pictures, &mut |_, _, _| {})
    }

    /// The same, showing each level (`down`) on its way.
    pub fn moments_observed(&self, pictures: &Tensor, observe: Observe<'_>) -> (Tensor, Tensor) {
        let mut moments = self.encoder.forward(&pictures.to_kind(self.kind), observe);
        if let Some(quant) = &self.quant {
            moments = quant.forward(&moments);
        }
        let halves = moments.chunk(2, 1);
        (halves[0].shallow_clone(), halves[1].clamp(-30.0, 20.0))
    }

    /// Pictures `(b, 3, 8 h, 8 w)`, about -1..1, of latents `(b, latent, h, w)`.
    pub fn pictures(&self, latents: &Tensor) -> Tensor {
        self.pictures_observed(latents, &mut |_, _, _| {})
    }

    /// The same, showing the middle (`middle`) and each level (`up`) on its way.
    pub fn pictures_observed(&self, latents: &Tensor, observe: Observe<'_>) -> Tensor {
        let latents = latents.to_kind(self.kind);
        match &self.post_quant {
            Some(quant) => self.decoder.forward(&quant.forward(&latents), observe),
            None => self.decoder.forward(&latents, observe),
        }
    }

    /// Standardised tokens `(b, 4 * latent, H / 16, W / 16)`, f32, of pictures `(b, 3, H, W)` in -1..1; both sides multiples of 16.
    pub fn encode(&self, pictures: &Tensor) -> Tensor {
        self.scale.tokens(&self.moments(pictures).0)
    }

    /// Pictures `(b, 3, 16 h, 16 w)` in -1..1, f32, of standardised tokens `(b, 4 * latent, h, w)`.
    pub fn decode(&self, tokens: &Tensor) -> Tensor {
        self.pictures(&self.latents(tokens))
            .to_kind(Kind::Float)
            .clamp(-1.0, 1.0)
    }

    /// The same tile by tile.
    pub fn decode_tiled(&self, tokens: &Tensor, tiles: Tiles) -> Tensor {
        self.pictures_tiled(&self.latents(tokens), tiles)
            .clamp(-1.0, 1.0)
    }

    /// [`Autoencoder::pictures`] tile by tile, in f32: takes the memory of one tile. Statistics of norms are a tile's, so that tones may
    /// shift a little.
    pub fn pictures_tiled(&self, latents: &Tensor, tiles: Tiles) -> Tensor {
        tiles.decode(latents, |tile| self.pictures(tile))
    }

    /// Latents `(b, latent, 2 h, 2 w)`, f32, of standardised tokens `(b, 4 * latent, h, w)`.
    pub fn latents(&self, tokens: &Tensor) -> Tensor {
        self.scale.latents(tokens)
    }

    /// About how many bytes decoding a picture of `pixels` takes at its height.
    pub fn decode_bytes(&self, pixels: i64) -> u64 {
        let number = if self.kind == Kind::Float { 4 } else { 2 };
        u64::try_from(pixels * self.widest * number * LIVE_TENSORS).unwrap_or(u64::MAX)
    }
}
