//! Draws pictures from scenes: on an empty canvas, from a picture, or in a part of one.

use image::RgbImage;
use tch::{Kind, Tensor};

use super::{
    input::Observe,
    load::Renderer,
    regions::{self, Grid},
    repaint::{Area, Kept},
    sample::Member,
    scene::{MAX_STEPS, RenderError, RenderScene},
    schedule,
};

/// Makes a small picture of how a drawing looks so far. That is a decoding, so it is done for those alone who look at it.
pub type Preview<'a> = &'a dyn Fn() -> RgbImage;

/// Called after every step (and before the first, as step 0) with the step, their number and sometimes the offer of a small picture;
/// false ends the work with [`RenderError::Canceled`].
pub type OnStep<'a> = &'a mut dyn FnMut(u32, u32, Option<Preview<'_>>) -> bool;

/// The same for each drawing of a batch; the first value is its index. False ends this drawing, the others go on.
pub type OnDrawingStep<'a> = &'a mut dyn FnMut(usize, u32, u32, Option<Preview<'_>>) -> bool;

/// Asked between steps whether a drawing is still wanted, by its index: before what it starts from is encoded, and before it is decoded. What is not
/// wanted ends with [`RenderError::Canceled`], the others go on.
pub type GoesOn<'a> = &'a dyn Fn(usize) -> bool;

/// What a drawing starts from.
#[derive(Clone, Copy)]
pub enum Canvas<'a> {
    /// Nothing: a picture of `(width, height)` pixels, the checkpoint's own where none are given.
    Blank(Option<(u32, u32)>),
    /// A picture that is changed: `strength` 1 is anew, small strengths keep most of it.
    Edit {
        /// What is changed; the new picture has its size.
        picture: &'a RgbImage,
        /// Above 0, at most 1.
        strength: f32,
    },
    /// A picture of which a part is repainted; every pixel outside it stays as it is.
    Repaint {
        /// What is mended.
        picture: &'a RgbImage,
        /// The part.
        area: Area<'a>,
        /// Above 0, at most 1, as for an edit.
        strength: f32,
    },
}

/// What a drawing is stepped from.
#[derive(Clone, Copy)]
pub enum Noise<'a> {
    /// Noise of a seed; the same seed gives the same picture.
    Seed(u64),
    /// Noise from elsewhere: tokens `(N, channels)`, f32, row by row.
    Tokens(&'a Tensor),
}

/// One picture to draw.
#[derive(Clone, Copy)]
pub struct Drawing<'a> {
    /// What the whole picture shows.
    pub scene: &'a RenderScene,
    /// What it is stepped from.
    pub noise: Noise<'a>,
    /// What it starts from.
    pub canvas: Canvas<'a>,
}

/// What drawings of a batch must have in common.
#[derive(Clone, Copy, PartialEq)]
struct Course {
    grid: Grid,
    /// The first of the schedule's steps that is done.
    first: usize,
    /// Whether a part of a picture stays.
    keeps: bool,
}

impl Renderer {
    /// Draws a scene. `steps` and `size` (width, height) are the checkpoint's own when not given. The same seed gives the same picture.
    pub fn render(
        &self,
        scene: &RenderScene,
        seed: u64,
        steps: Option<u32>,
        size: Option<(u32, u32)>,
        on_step: OnStep<'_>,
    ) -> Result<RgbImage, RenderError> {
        self.draw_one(scene, seed, Canvas::Blank(size), steps, on_step)
    }

    /// Draws a scene from a picture: `strength` 1 is anew, small strengths keep most of it. The size is the picture's.
    pub fn edit(
        &self,
        picture: &RgbImage,
        scene: &RenderScene,
        strength: f32,
        seed: u64,
        steps: Option<u32>,
        on_step: OnStep<'_>,
    ) -> Result<RgbImage, RenderError> {
        let canvas = Canvas::Edit { picture, strength };
        self.draw_one(scene, seed, canvas, steps, on_step)
    }

    /// Repaints one box of a picture; every pixel outside it stays as it is. The scene says what the whole picture shows.
    pub fn repair(
        &self,
        picture: &RgbImage,
        bbox: [f32; 4],
        scene: &RenderScene,
        seed: u64,
        steps: Option<u32>,
        on_step: OnStep<'_>,
    ) -> Result<RgbImage, RenderError> {
        let canvas = Canvas::Repaint {
            picture,
            area: Area::Box(bbox),
            strength: 1.0,
        };
        self.draw_one(scene, seed, canvas, steps, on_step)
    }

    fn draw_one(
        &self,
        scene: &RenderScene,
        seed: u64,
        canvas: Canvas<'_>,
        steps: Option<u32>,
        on_step: OnStep<'_>,
    ) -> Result<RgbImage, RenderError> {
        let drawing = Drawing {
            scene,
            noise: Noise::Seed(seed),
            canvas,
        };
        let mut on_step = |_: usize, step: u32, total: u32, preview: Option<Preview<'_>>| {
            on_step(step, total, preview)
        };
        self.draw(&[drawing], steps, &mut on_step)
            .pop()
            .unwrap_or(Err(RenderError::Canceled))
    }

    /// Draws pictures at once that have size, strength and the kind of their canvas in common; says of each what came of it, in their order.
    /// A picture is the same whatever else is in the batch, up to the rounding of sums.
    pub fn draw(
        &self,
        drawings: &[Drawing<'_>],
        steps: Option<u32>,
        on_step: OnDrawingStep<'_>,
    ) -> Vec<Result<RgbImage, RenderError>> {
        self.draw_observed(drawings, steps, on_step, &mut |_, _, _| {})
    }

    /// The same, of drawings that may be given up between steps, too.
    pub fn draw_while(
        &self,
        drawings: &[Drawing<'_>],
        steps: Option<u32>,
        goes_on: GoesOn<'_>,
        on_step: OnDrawingStep<'_>,
    ) -> Vec<Result<RgbImage, RenderError>> {
        self.drawn(drawings, steps, goes_on, on_step, &mut |_, _, _| {})
    }

    /// The same as [`Renderer::draw`], showing the `velocity` and then the `tokens` of all drawings, `(B, N, channels)`, at the end of every step.
    pub fn draw_observed(
        &self,
        drawings: &[Drawing<'_>],
        steps: Option<u32>,
        on_step: OnDrawingStep<'_>,
        observe: Observe<'_>,
    ) -> Vec<Result<RgbImage, RenderError>> {
        self.drawn(drawings, steps, &|_| true, on_step, observe)
    }

    fn drawn(
        &self,
        drawings: &[Drawing<'_>],
        steps: Option<u32>,
        goes_on: GoesOn<'_>,
        on_step: OnDrawingStep<'_>,
        observe: Observe<'_>,
    ) -> Vec<Result<RgbImage, RenderError>> {
        tch::no_grad(|| {
            let mut results: Vec<Result<RgbImage, RenderError>> = Vec::new();
            let mut members = Vec::with_capacity(drawings.len());
            let mut common: Option<(Course, Vec<f32>)> = None;
            for (index, drawing) in drawings.iter().enumerate() {
                // What a drawing that is never ended would say.
                results.push(Err(RenderError::Canceled));
                if !goes_on(index) {
                    continue;
                }
                match self.begun(index, drawing, steps, &mut common) {
                    Ok(member) => members.push(member),
                    Err(error) => results[index] = Err(error),
                }
            }
            let Some((course, sigmas)) = common else {
                return results;
            };
            for (index, tokens) in self.sample(members, course.grid, &sigmas, on_step, observe) {
                results[index] = tokens.and_then(|tokens| {
                    if !goes_on(index) {
                        return Err(RenderError::Canceled);
                    }
                    let drawn = self.decode(&tokens, course.grid);
                    Ok(match drawings[index].canvas {
                        Canvas::Repaint { picture, area, .. } => area.compose(picture, &drawn),
                        Canvas::Blank(_) | Canvas::Edit { .. } => drawn,
                    })
                });
            }
            results
        })
    }

    /// A drawing with everything that its steps need. The first one decides what all have in `common`: their course, and its sigmas.
    fn begun(
        &self,
        index: usize,
        drawing: &Drawing<'_>,
        steps: Option<u32>,
        common: &mut Option<(Course, Vec<f32>)>,
    ) -> Result<Member, RenderError> {
        let (picture, strength) = match drawing.canvas {
            Canvas::Blank(_) => (None, 1.0),
            Canvas::Edit { picture, strength }
            | Canvas::Repaint {
                picture, strength, ..
            } => (Some(picture), strength),
        };
        if !(strength > 0.0 && strength <= 1.0) {
            return Err(RenderError::Strength(strength));
        }
        let (width, height) = match drawing.canvas {
            Canvas::Blank(size) => size.unwrap_or((self.config.width, self.config.height)),
            Canvas::Edit { picture, .. } | Canvas::Repaint { picture, .. } => picture.dimensions(),
        };
        if let Canvas::Repaint { picture, area, .. } = drawing.canvas {
            area.check(picture)?;
        }
        let grid = self.grid(width, height)?;
        let all = self.sigmas(steps, grid)?;
        let first = schedule::first_step(all.len() as u32 - 1, strength) as usize;
        let course = Course {
            grid,
            first,
            keeps: matches!(drawing.canvas, Canvas::Repaint { .. }),
        };
        if common.as_ref().is_some_and(|(own, _)| *own != course) {
            return Err(RenderError::Unequal);
        }
        let source = picture.map(|picture| self.encode(picture));
        let scene = self.parts(drawing.scene, grid, source.as_ref())?;
        let opposite = if self.config.guided() {
            let opposite = drawing.scene.opposite().ok_or_else(|| {
                RenderError::Scene(
                    "this renderer is guided: the scene needs the states of an empty text".into(),
                )
            })?;
            Some(self.parts(&opposite, grid, source.as_ref())?)
        } else {
            None
        };
        let noise = self.noise(drawing.noise, grid)?;
        let start = match &source {
            Some(source) => schedule::noised(source, &noise, all[first]),
            None => noise.shallow_clone(),
        };
        let kept = match (drawing.canvas, source) {
            (Canvas::Repaint { area, .. }, Some(picture)) => Some(Kept {
                picture,
                mask: area.tokens(grid, self.device),
            }),
            _ => None,
        };
        common.get_or_insert_with(|| (course, all[first..].to_vec()));
        Ok(Member {
            index,
            scene,
            opposite,
            noise,
            start,
            kept,
        })
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

    /// `(N, channels)`, f32.
    fn noise(&self, noise: Noise<'_>, grid: Grid) -> Result<Tensor, RenderError> {
        let (tokens, channels) = (grid.tokens() as i64, self.network.token_channels());
        match noise {
            Noise::Seed(seed) => {
                Ok(super::noise::gaussian(seed, tokens, channels, self.device).squeeze_dim(0))
            }
            Noise::Tokens(given) if given.size() == [tokens, channels] => {
                Ok(given.to_device(self.device).to_kind(Kind::Float))
            }
            Noise::Tokens(given) => Err(RenderError::Noise {
                found: given.size(),
                wanted: [tokens, channels],
            }),
        }
    }
}
