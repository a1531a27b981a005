//! Between pictures and tokens.

use image::RgbImage;
use tch::{Kind, Tensor};

use super::{
    autoencoder::Tiles,
    load::Renderer,
    pixels,
    regions::{self, Grid},
};
use crate::device;

/// Longest side of a small picture on the way, in tokens.
const PREVIEW_TOKENS: usize = 16;

impl Renderer {
    /// Decodes tile by tile whatever takes more than `bytes` at once. Without it the limit is half of what the device has free.
    #[must_use]
    pub fn with_decode_memory(mut self, bytes: u64) -> Self {
        self.decode_memory = Some(bytes);
        self
    }

    /// Tokens `(N, channels)` of a picture, f32.
    pub(super) fn encode(&self, picture: &RgbImage) -> Tensor {
        let latents = self
            .autoencoder
            .encode(&pixels::to_tensor(picture, self.device));
        regions::to_tokens(&latents)
            .to_kind(Kind::Float)
            .squeeze_dim(0)
    }

    /// The picture of tokens `(N, channels)`.
    pub(super) fn decode(&self, tokens: &Tensor, grid: Grid) -> RgbImage {
        let tokens = regions::from_tokens(&tokens.unsqueeze(0), grid);
        let side = i64::from(regions::TOKEN_SIDE);
        let needed = self
            .autoencoder
            .decode_bytes(grid.tokens() as i64 * side * side);
        let limit = self
            .decode_memory
            .or_else(|| device::memory(self.device).map(|memory| memory.free / 2));
        let decoded = match limit {
            Some(limit) if needed > limit => {
                tracing::info!(needed, limit, "decoding in tiles: memory is short");
                self.autoencoder.decode_tiled(&tokens, Tiles::DEFAULT)
            }
            _ => self.autoencoder.decode(&tokens),
        };
        pixels::to_picture(&decoded)
    }

    /// A small picture of tokens `(N, channels)`: larger ones are averaged first.
    pub(super) fn preview(&self, tokens: &Tensor, grid: Grid) -> RgbImage {
        let latents = regions::from_tokens(&tokens.unsqueeze(0), grid);
        let scale = grid.rows.max(grid.columns).div_ceil(PREVIEW_TOKENS);
        let small = |side: usize| (side / scale).max(1) as i64;
        let latents = if scale > 1 {
            latents.adaptive_avg_pool2d([small(grid.rows), small(grid.columns)])
        } else {
            latents
        };
        pixels::to_picture(&self.autoencoder.decode(&latents))
    }
}
