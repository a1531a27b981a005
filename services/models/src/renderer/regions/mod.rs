//! Which token stands where and who sees whom: text `[base | thing 1 | .. | thing R]`, then noisy tokens, then references.
//!
//! One additive bias ties a thing's text and reference to its box. Shared by training and drawing, so that both see the same.

mod cells;
#[cfg(test)]
mod tests;
mod ties;

use tch::{Device, Kind, Tensor};

pub use cells::{Cells, Grid, TOKEN_SIDE};
pub use ties::{Arm, Ties};

/// Added to the logits between a thing's tokens and what lies outside its box or belongs to another thing.
pub const OUTSIDE: f32 = -8.0;

/// Added to the logits of padding.
pub const PADDING: f32 = -1e4;

/// Time of the first reference's positions; each further one of the family is as much later.
const REFERENCE_TIME: f32 = 10.0;

/// Which positions tokens carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// As the published checkpoints were trained: text at the origin, each reference a picture of its own at a time of its own.
    Family,
    /// As Z-Image is trained: text counted through along the first axis from 1, the picture behind it. No references.
    Counted,
    /// As the small checkpoint is trained: a thing's text at the centre of its box, its reference on the tokens that it fills.
    /// Boxes are squares that stand in the middle of the bottom edge of what is asked for.
    Placed,
}

/// Tokens of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThingTokens {
    /// Number of text states; may be 0.
    pub text: usize,
    /// Its box, in 0..1; none is not tied to a place.
    pub bbox: Option<[f32; 4]>,
    /// Rows and columns of its reference's tokens.
    pub reference: Option<Grid>,
}

/// Tokens of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Number of text states of the whole picture.
    pub base: usize,
    /// Things, in the order of their text and references.
    pub things: Vec<ThingTokens>,
}

/// What [`crate::renderer::TransformerInput`] wants of a batch of `B` layouts with at most `T` text states and `R` reference tokens.
pub struct Arrangement {
    /// `(B, T, 4)`, f32.
    pub text_ids: Tensor,
    /// `(B, N + R, 4)`, f32.
    pub image_ids: Tensor,
    /// `(B, 1, S, S)`, f32, `S = T + N + R`; none when everything sees everything.
    pub bias: Option<Tensor>,
}

impl Positions {
    /// The tokens that a box in 0..1 covers in this family.
    pub fn cells(self, bbox: [f32; 4], grid: Grid) -> Cells {
        let cells = Cells::of(bbox, grid);
        match self {
            Self::Family | Self::Counted => cells,
            Self::Placed => cells.standing_square(),
        }
    }

    /// Arranges a batch of pictures of one size.
    pub fn arrange(self, grid: Grid, layouts: &[Layout], device: Device) -> Arrangement {
        let text = layouts.iter().map(Layout::text_tokens).max().unwrap_or(0);
        let reference = layouts
            .iter()
            .map(Layout::reference_tokens)
            .max()
            .unwrap_or(0);
        let noisy = grid.tokens();
        let size = text + noisy + reference;

        let mut text_ids = Vec::with_capacity(layouts.len() * text * 4);
        let mut image_ids = Vec::with_capacity(layouts.len() * (noisy + reference) * 4);
        let mut bias = vec![0.0f32; layouts.len() * size * size];
        for (layout, bias) in layouts.iter().zip(bias.chunks_mut((size * size).max(1))) {
            self.push_text_ids(layout, grid, text, &mut text_ids);
            self.push_image_ids(layout, grid, reference, &mut image_ids);
            self.fill_bias(layout, grid, text, bias, size);
        }
        let batch = layouts.len() as i64;
        let free = bias.iter().all(|&value| value == 0.0);
        let ids = |values: &[f32]| {
            Tensor::from_slice(values)
                .view([batch, -1, 4])
                .to_device(device)
        };
        Arrangement {
            text_ids: ids(&text_ids),
            image_ids: ids(&image_ids),
            bias: (!free).then(|| {
                let size = size as i64;
                Tensor::from_slice(&bias)
                    .view([batch, 1, size, size])
                    .to_device(device)
            }),
        }
    }

    fn push_text_ids(self, layout: &Layout, grid: Grid, padded: usize, ids: &mut Vec<f32>) {
        let end = ids.len() + padded * 4;
        if self == Self::Counted {
            ids.extend((1..=layout.text_tokens()).flat_map(|place| [place as f32, 0.0, 0.0, 0.0]));
            ids.resize(end, 0.0);
            return;
        }
        ids.extend((0..layout.base).flat_map(|l| [0.0, 0.0, 0.0, l as f32]));
        for thing in &layout.things {
            let (y, x) = match (self, thing.bbox) {
                (Self::Placed, Some(bbox)) => self.cells(bbox, grid).center(),
                _ => (0.0, 0.0),
            };
            ids.extend((0..thing.text).flat_map(|l| [0.0, y, x, l as f32]));
        }
        ids.resize(end, 0.0);
    }

    fn push_image_ids(self, layout: &Layout, grid: Grid, padded: usize, ids: &mut Vec<f32>) {
        let rows = |grid: Grid| {
            (0..grid.rows).flat_map(move |y| (0..grid.columns).map(move |x| (y as f32, x as f32)))
        };
        let first_axis = match self {
            Self::Counted => (layout.text_tokens() + 1) as f32,
            Self::Family | Self::Placed => 0.0,
        };
        ids.extend(rows(grid).flat_map(|(y, x)| [first_axis, y, x, 0.0]));
        let end = ids.len() + padded * 4;
        let mut time = REFERENCE_TIME;
        for thing in &layout.things {
            let Some(own) = thing.reference else { continue };
            match self {
                Self::Family | Self::Counted => {
                    ids.extend(rows(own).flat_map(|(y, x)| [time, y, x, 0.0]));
                    time += REFERENCE_TIME;
                }
                Self::Placed => {
                    let cells = self.cells(thing.bbox.unwrap_or([0.0, 0.0, 1.0, 1.0]), grid);
                    // A reference of as many tokens as it fills falls exactly on them.
                    let at = |i: f32, own: usize, from: usize, to: usize| {
                        from as f32 + (i + 0.5) * (to - from) as f32 / own as f32 - 0.5
                    };
                    ids.extend(rows(own).flat_map(|(y, x)| {
                        [
                            time,
                            at(y, own.rows, cells.top, cells.bottom),
                            at(x, own.columns, cells.left, cells.right),
                            0.0,
                        ]
                    }));
                }
            }
        }
        ids.resize(end, 0.0);
    }

    /// `bias`: one picture's `(size, size)` zeros.
    fn fill_bias(self, layout: &Layout, grid: Grid, text: usize, bias: &mut [f32], size: usize) {
        let first_reference = text + grid.tokens();
        // Tokens of each tied thing: its text, then its reference.
        let (mut at_text, mut at_reference) = (layout.base, first_reference);
        let mut tied = Vec::new();
        for thing in &layout.things {
            let own_text = at_text..at_text + thing.text;
            let own_reference =
                at_reference..at_reference + thing.reference.map_or(0, Grid::tokens);
            (at_text, at_reference) = (own_text.end, own_reference.end);
            if let Some(bbox) = thing.bbox {
                let tokens: Vec<usize> = own_text.chain(own_reference).collect();
                tied.push((self.cells(bbox, grid), tokens));
            }
        }
        for (i, (cells, tokens)) in tied.iter().enumerate() {
            let outside = (0..grid.tokens())
                .filter(|&token| !cells.contains(token / grid.columns, token % grid.columns))
                .map(|token| text + token);
            let others = tied
                .iter()
                .enumerate()
                .filter(|&(j, _)| j != i)
                .flat_map(|(_, (_, tokens))| tokens.iter().copied());
            for foreign in outside.chain(others) {
                for &own in tokens {
                    bias[own * size + foreign] = OUTSIDE;
                    bias[foreign * size + own] = OUTSIDE;
                }
            }
        }
        let padding: Vec<usize> = (at_text..text).chain(at_reference..size).collect();
        for row in bias.chunks_mut(size) {
            for &column in &padding {
                row[column] = PADDING;
            }
        }
    }
}

impl Layout {
    /// Text states of base and things.
    pub fn text_tokens(&self) -> usize {
        self.base + self.things.iter().map(|thing| thing.text).sum::<usize>()
    }

    /// Reference tokens of all things.
    pub fn reference_tokens(&self) -> usize {
        self.things
            .iter()
            .filter_map(|thing| thing.reference)
            .map(Grid::tokens)
            .sum()
    }
}

/// Rows of different length `(n, C)` as one `(B, longest, C)`, padded with zeros; none when all are empty.
///
/// The order in a batch is that of the layouts given to [`Positions::arrange`]; a row is its texts or its references one after the other.
pub fn pad(rows: &[Tensor]) -> Option<Tensor> {
    let longest = rows
        .iter()
        .map(|row| row.size()[0])
        .max()
        .filter(|&n| n > 0)?;
    let padded: Vec<Tensor> = rows
        .iter()
        .map(|row| row.constant_pad_nd([0, 0, 0, longest - row.size()[0]]))
        .collect();
    Some(Tensor::stack(&padded, 0))
}

/// `(B, C, h, w)` to tokens `(B, h * w, C)`, row by row.
pub fn to_tokens(latents: &Tensor) -> Tensor {
    latents.flatten(2, 3).transpose(1, 2)
}

/// Tokens `(B, h * w, C)` back to `(B, C, h, w)`.
pub fn from_tokens(tokens: &Tensor, grid: Grid) -> Tensor {
    tokens
        .transpose(1, 2)
        .unflatten(2, [grid.rows as i64, grid.columns as i64])
        .contiguous()
}

impl Arrangement {
    /// The bias in the kind that the network computes in, so that it is not converted at every step.
    pub fn in_kind(self, kind: Kind) -> Self {
        Self {
            bias: self.bias.map(|bias| bias.to_kind(kind)),
            ..self
        }
    }
}
