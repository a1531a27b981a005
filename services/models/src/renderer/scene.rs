//! What is drawn: text states of the whole picture and of its things, boxes and reference pictures.

use image::RgbaImage;
use tch::Tensor;

/// Most things of one scene.
pub const MAX_THINGS: usize = 64;

/// Most text states of one scene, base and things together.
pub const MAX_TEXT: i64 = 4096;

/// A picture to draw.
pub struct RenderScene {
    /// Text states of the whole picture, `(tokens, text channels)`; at least one.
    pub base: Tensor,
    /// Its things.
    pub things: Vec<RenderThing>,
    /// Text states of what the picture is guided away from; read only where a checkpoint is used with guidance.
    pub negative: Option<Tensor>,
}

/// A thing of a picture.
pub struct RenderThing {
    /// Text states of the thing, `(tokens, text channels)`.
    pub states: Tensor,
    /// Where it is, `[x0, y0, x1, y1]` in 0..1; none leaves that to the model.
    pub bbox: Option<[f32; 4]>,
    /// What it looks like.
    pub reference: Option<RgbaImage>,
}

/// Why nothing was drawn.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The caller said so.
    #[error("canceled")]
    Canceled,
    /// A size that the renderer cannot draw.
    #[error("{width} x {height} pixels: both sides must be multiples of 16, from 16 to {most}")]
    Size {
        /// Asked for.
        width: u32,
        /// Asked for.
        height: u32,
        /// The largest side.
        most: u32,
    },
    /// Text states that the checkpoint cannot read.
    #[error("text states of shape {found:?}, the checkpoint reads (tokens, {channels})")]
    Text {
        /// Their shape.
        found: Vec<i64>,
        /// Channels of a state.
        channels: i64,
    },
    /// No text for the whole picture, or too much of something.
    #[error("{0}")]
    Scene(String),
    /// Not a rectangle inside the picture.
    #[error("the box {0:?} is not a rectangle inside 0..1")]
    Box([f32; 4]),
    /// A strength that changes nothing or more than everything.
    #[error("the strength {0} is not above 0 and at most 1")]
    Strength(f32),
    /// Noise for another picture.
    #[error("noise of shape {found:?}, this picture takes {wanted:?}")]
    Noise {
        /// Its shape.
        found: Vec<i64>,
        /// Tokens and their channels.
        wanted: [i64; 2],
    },
    /// A mask of another size than its picture.
    #[error("a mask of {mask:?} pixels for a picture of {picture:?}")]
    Mask {
        /// Width and height.
        mask: (u32, u32),
        /// Width and height.
        picture: (u32, u32),
    },
    /// Drawings that cannot be made at once.
    #[error(
        "its size, strength or use of a picture differs from those of the drawing before it in the batch"
    )]
    Unequal,
    /// A number of steps that is not sensible.
    #[error("{0} steps: use 1 to {most}", most = MAX_STEPS)]
    Steps(u32),
}

/// Most denoise steps of one picture.
pub const MAX_STEPS: u32 = 200;

impl RenderScene {
    /// The scene that guidance goes away from: its text instead, with the same references in the same places.
    pub(super) fn opposite(&self) -> Option<Self> {
        let base = self.negative.as_ref()?.shallow_clone();
        let without_text = |thing: &RenderThing| RenderThing {
            states: base.narrow(0, 0, 0),
            bbox: thing.bbox,
            reference: thing.reference.clone(),
        };
        let things = self.things.iter().filter(|thing| thing.reference.is_some());
        Some(Self {
            things: things.map(without_text).collect(),
            negative: None,
            base,
        })
    }

    /// Checks what the caller gave against what a checkpoint of `channels` wide states can draw.
    pub(super) fn check(&self, channels: i64) -> Result<(), RenderError> {
        let mut tokens = 0;
        for states in std::iter::once(&self.base)
            .chain(self.things.iter().map(|thing| &thing.states))
            .chain(&self.negative)
        {
            match states.size()[..] {
                [count, width] if width == channels => tokens += count,
                _ => {
                    return Err(RenderError::Text {
                        found: states.size(),
                        channels,
                    });
                }
            }
        }
        if self.base.size()[0] == 0 {
            return Err(RenderError::Scene(
                "a scene needs at least one text state for the whole picture".into(),
            ));
        }
        if tokens > MAX_TEXT || self.things.len() > MAX_THINGS {
            return Err(RenderError::Scene(format!(
                "{} things with {tokens} text states: at most {MAX_THINGS} with {MAX_TEXT}",
                self.things.len()
            )));
        }
        self.things
            .iter()
            .filter_map(|thing| thing.bbox)
            .try_for_each(check_box)
    }
}

/// Whether a box is a rectangle of some size inside 0..1.
pub(super) fn check_box(bbox: [f32; 4]) -> Result<(), RenderError> {
    let [x0, y0, x1, y1] = bbox;
    let inside = bbox.iter().all(|edge| (0.0..=1.0).contains(edge));
    if inside && x0 < x1 && y0 < y1 {
        Ok(())
    } else {
        Err(RenderError::Box(bbox))
    }
}
