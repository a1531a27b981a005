//! Draws pictures from scenes: prepares what the transformer reads, steps from noise to latents, decodes.

use image::RgbImage;
use tch::{Kind, Tensor};

use super::{
    load::Renderer,
    pixels,
    prepare::Prepared,
    regions::{self, Cells, Grid},
    scene::{MAX_STEPS, RenderError, RenderScene, check_box},
    schedule,
    transformer::TransformerInput,
};

/// Called after every step (and before the first, as step 0) with the step, their number and sometimes a small picture of how it looks
/// so far; false ends the work with [`RenderError::Canceled`].
pub type OnStep<'a> = &'a mut dyn FnMut(u32, u32, Option<RgbImage>) -> bool;

/// Longest side of a small picture on the way, in tokens.
const PREVIEW_TOKENS: usize = 16;

/// How many small pictures one drawing gives on its way.
const PREVIEWS: u32 = 4;

/// The part of a picture that stays as it is.
struct Kept {
    /// Tokens `(1, N, channels)` of the picture.
    picture: Tensor,
    /// `(1, N, 1)`: 1 where it is repainted.
    mask: Tensor,
}

/// One drawing.
struct Task<'a> {
    prepared: Prepared,
    grid: Grid,
    /// From the first step's on.
    sigmas: &'a [f32],
    kept: Option<Kept>,
    noise: Tensor,
}

impl Renderer {
    /// Draws a scene. `steps` and `size` (width, height) are the checkpoint's own when not given. The same seed gives the same picture.
    pub fn render(
        &mut self,
        scene: &RenderScene,
        seed: u64,
        steps: Option<u32>,
        size: Option<(u32, u32)>,
        on_step: OnStep<'_>,
    ) -> Result<RgbImage, RenderError> {
        let (width, height) = size.unwrap_or((self.config.width, self.config.height));
        let grid = self.grid(width, height)?;
        let sigmas = self.sigmas(steps, grid)?;
        tch::no_grad(|| {
            let noise = self.noise(seed, grid);
            let task = Task {
                prepared: self.prepare(scene, grid, None)?,
                grid,
                sigmas: &sigmas,
                kept: None,
                noise: noise.shallow_clone(),
            };
            let tokens = self.denoise(&task, noise, on_step)?;
            Ok(self.decode(&tokens, grid))
        })
    }

    /// Draws a scene from a picture: `strength` 1 is anew, small strengths keep most of it. The size is the picture's.
    pub fn edit(
        &mut self,
        picture: &RgbImage,
        scene: &RenderScene,
        strength: f32,
        seed: u64,
        steps: Option<u32>,
        on_step: OnStep<'_>,
    ) -> Result<RgbImage, RenderError> {
        if !(strength > 0.0 && strength <= 1.0) {
            return Err(RenderError::Strength(strength));
        }
        let grid = self.grid(picture.width(), picture.height())?;
        let sigmas = self.sigmas(steps, grid)?;
        let first = schedule::first_step(sigmas.len() as u32 - 1, strength) as usize;
        tch::no_grad(|| {
            let source = self.encode(picture);
            let noise = self.noise(seed, grid);
            let task = Task {
                prepared: self.prepare(scene, grid, Some(&source))?,
                grid,
                sigmas: &sigmas[first..],
                kept: None,
                noise: noise.shallow_clone(),
            };
            let start = schedule::noised(&source, &noise, sigmas[first]);
            let tokens = self.denoise(&task, start, on_step)?;
            Ok(self.decode(&tokens, grid))
        })
    }

    /// Repaints one box of a picture; every pixel outside it stays as it is. The scene says what the whole picture shows.
    pub fn repair(
        &mut self,
        picture: &RgbImage,
        bbox: [f32; 4],
        scene: &RenderScene,
        seed: u64,
        steps: Option<u32>,
        on_step: OnStep<'_>,
    ) -> Result<RgbImage, RenderError> {
        check_box(bbox)?;
        let grid = self.grid(picture.width(), picture.height())?;
        let sigmas = self.sigmas(steps, grid)?;
        let drawn = tch::no_grad(|| {
            let source = self.encode(picture);
            let noise = self.noise(seed, grid);
            let cells = Cells::touched(bbox, grid);
            let mask: Vec<f32> = (0..grid.tokens())
                .map(|token| {
                    f32::from(u8::from(
                        cells.contains(token / grid.columns, token % grid.columns),
                    ))
                })
                .collect();
            let task = Task {
                prepared: self.prepare(scene, grid, Some(&source))?,
                grid,
                sigmas: &sigmas,
                kept: Some(Kept {
                    picture: source,
                    mask: Tensor::from_slice(&mask)
                        .view([1, -1, 1])
                        .to_device(self.device),
                }),
                noise: noise.shallow_clone(),
            };
            let tokens = self.denoise(&task, noise, on_step)?;
            Ok::<_, RenderError>(self.decode(&tokens, grid))
        })?;
        Ok(inside(picture, &drawn, bbox))
    }

    /// Rows and columns of a picture of this size.
    fn grid(&self, width: u32, height: u32) -> Result<Grid, RenderError> {
        let fits = |side: u32| {
            side > 0 && side <= Self::MAX_SIDE && side.is_multiple_of(regions::TOKEN_SIDE)
        };
        if fits(width) && fits(height) {
            Ok(Grid::of(width, height))
        } else {
            Err(RenderError::Size {
                width,
                height,
                most: Self::MAX_SIDE,
            })
        }
    }

    fn sigmas(&self, steps: Option<u32>, grid: Grid) -> Result<Vec<f32>, RenderError> {
        let steps = steps.unwrap_or(self.config.steps);
        if !(1..=MAX_STEPS).contains(&steps) {
            return Err(RenderError::Steps(steps));
        }
        Ok(self.schedule.sigmas(steps, grid.tokens() as i64))
    }

    fn noise(&self, seed: u64, grid: Grid) -> Tensor {
        super::noise::gaussian(
            seed,
            grid.tokens() as i64,
            self.transformer.config().in_channels,
            self.device,
        )
    }

    /// Euler steps from `x` at the task's first sigma to the clean tokens.
    fn denoise(
        &self,
        task: &Task<'_>,
        mut x: Tensor,
        on_step: OnStep<'_>,
    ) -> Result<Tensor, RenderError> {
        let total = task.sigmas.len() as u32 - 1;
        let every = total.div_ceil(PREVIEWS).max(1);
        if !on_step(0, total, None) {
            return Err(RenderError::Canceled);
        }
        for (done, pair) in (1..=total).zip(task.sigmas.windows(2)) {
            let velocity = self.transformer.forward(&TransformerInput {
                noisy: &x,
                reference: task.prepared.reference.as_ref(),
                text: &task.prepared.text,
                times: &Tensor::from_slice(&pair[..1]).to_device(self.device),
                image_ids: &task.prepared.arranged.image_ids,
                text_ids: &task.prepared.arranged.text_ids,
                bias: task.prepared.arranged.bias.as_ref(),
            });
            let preview = (done % every == 0 && done < total)
                .then(|| self.preview(&schedule::estimate(&x, &velocity, pair[0]), task.grid));
            x = schedule::step(&x, &velocity, pair[0], pair[1]);
            if let Some(kept) = &task.kept {
                x = schedule::keep_outside(&x, &kept.picture, &task.noise, &kept.mask, pair[1]);
            }
            if !on_step(done, total, preview) {
                return Err(RenderError::Canceled);
            }
        }
        Ok(x)
    }

    /// Tokens `(1, N, channels)` of a picture, f32.
    pub(super) fn encode(&self, picture: &RgbImage) -> Tensor {
        let latents = self
            .autoencoder
            .encode(&pixels::to_tensor(picture, self.device));
        regions::to_tokens(&latents).to_kind(Kind::Float)
    }

    fn decode(&self, tokens: &Tensor, grid: Grid) -> RgbImage {
        pixels::to_picture(&self.autoencoder.decode(&regions::from_tokens(tokens, grid)))
    }

    /// A small picture of tokens: larger ones are averaged first.
    fn preview(&self, tokens: &Tensor, grid: Grid) -> RgbImage {
        let latents = regions::from_tokens(tokens, grid);
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

/// `picture` with the pixels of the box taken from `drawn`.
fn inside(picture: &RgbImage, drawn: &RgbImage, bbox: [f32; 4]) -> RgbImage {
    let (width, height) = picture.dimensions();
    let [x0, y0, x1, y1] = bbox;
    let span = |from: f32, to: f32, side: u32| {
        let side = side as f32;
        ((from * side).floor() as u32)..((to * side).ceil() as u32)
    };
    let (columns, rows) = (span(x0, x1, width), span(y0, y1, height));
    RgbImage::from_fn(width, height, |x, y| {
        let source = if columns.contains(&x) && rows.contains(&y) {
            drawn
        } else {
            picture
        };
        *source.get_pixel(x, y)
    })
}
