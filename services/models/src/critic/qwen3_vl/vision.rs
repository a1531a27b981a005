//! The vision tower: patches to tokens of the decoder.

use tch::{Kind, Tensor};

use super::{Grid, VisionConfig};
use crate::{
    nn::{LayerNorm, Linear},
    weights::{Weights, WeightsError},
};

const EPS: f64 = 1e-6;
/// Base of the rotation.
const THETA: f64 = 10_000.0;

/// The tower with its weights.
pub struct Vision {
    config: VisionConfig,
    patch: Linear,
    /// `(side * side, hidden)`.
    table: Tensor,
    blocks: Vec<Block>,
    merger: Merger,
    deepstack: Vec<Merger>,
}

/// What a picture becomes.
pub struct Seen {
    /// `(tokens, output)`: in place of the picture's tokens.
    pub merged: Tensor,
    /// `(tokens, output)` for each of the decoder's first layers: added behind it at the same places.
    pub deepstack: Vec<Tensor>,
}

/// What is computed on the way, for comparison with others.
#[derive(Default)]
pub struct VisionTrace {
    /// Patches `(n, hidden)`, before their positions are added.
    pub patches: Option<Tensor>,
    /// Behind each block, `(n, hidden)`.
    pub blocks: Vec<Tensor>,
    /// `(tokens, output)`.
    pub merged: Option<Tensor>,
    /// `(tokens, output)` of each block that is tapped.
    pub deepstack: Vec<Tensor>,
}

impl Vision {
    /// `weights` are the tower's own.
    pub fn load(config: &VisionConfig, weights: &Weights) -> Result<Self, WeightsError> {
        let (hidden, side) = (config.hidden, config.patch);
        let blocks = weights.sub("blocks");
        let deepstack = weights.sub("deepstack_merger_list");
        Ok(Self {
            patch: Linear::load_flat(
                &weights.sub("patch_embed"),
                "proj",
                &[hidden, 3, config.temporal, side, side],
            )?,
            table: weights
                .sub("pos_embed")
                .get_shaped("weight", &[config.table * config.table, hidden])?,
            blocks: (0..config.depth)
                .map(|index| Block::load(config, &blocks.sub(index)))
                .collect::<Result<_, _>>()?,
            merger: Merger::load(config, &weights.sub("merger"), false)?,
            deepstack: (0..config.deepstack.len())
                .map(|index| Merger::load(config, &deepstack.sub(index), true))
                .collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    /// Patches `(n, 3 * temporal * patch * patch)` of one picture to its tokens.
    pub fn forward(&self, patches: &Tensor, grid: Grid, trace: Option<&mut VisionTrace>) -> Seen {
        let mut trace = trace;
        let x = self.patch.forward(&patches.to_kind(self.patch.kind()));
        if let Some(trace) = trace.as_deref_mut() {
            trace.patches = Some(x.shallow_clone());
        }
        let places = Places::of(grid);
        let mut x = x + self.positions(&places, grid);
        let turn = Turn::new(&places, self.config.hidden / self.config.heads, &x);
        let mut deepstack = Vec::with_capacity(self.deepstack.len());
        for (index, block) in (0..).zip(&self.blocks) {
            x = block.forward(&x, &turn);
            if let Some(tap) = self.config.deepstack.iter().position(|tap| *tap == index) {
                deepstack.push(self.deepstack[tap].forward(&x));
            }
            if let Some(trace) = trace.as_deref_mut() {
                trace.blocks.push(x.shallow_clone());
            }
        }
        let merged = self.merger.forward(&x);
        if let Some(trace) = trace {
            trace.merged = Some(merged.shallow_clone());
            trace.deepstack = deepstack.iter().map(Tensor::shallow_clone).collect();
        }
        Seen { merged, deepstack }
    }

    /// Positions `(n, hidden)`: the table stretched over the picture, corner to corner, with linear steps between its entries.
    fn positions(&self, places: &Places, grid: Grid) -> Tensor {
        let side = self.config.table;
        let device = self.table.device();
        let taps = |at: &[i64], count: i64| {
            let scale = (side - 1) as f32 / (count - 1).max(1) as f32;
            let at: Vec<f32> = at.iter().map(|at| *at as f32 * scale).collect();
            let first: Vec<i64> = at.iter().map(|at| (*at as i64).min(side - 1)).collect();
            let second: Vec<i64> = first.iter().map(|at| (at + 1).min(side - 1)).collect();
            let share: Vec<f32> = at
                .iter()
                .zip(&first)
                .map(|(at, first)| at - *first as f32)
                .collect();
            ([first, second], share)
        };
        let (rows, down) = taps(&places.rows, grid.rows);
        let (columns, right) = taps(&places.columns, grid.columns);
        let mut sum = None;
        for (vertical, row) in rows.iter().enumerate() {
            for (horizontal, column) in columns.iter().enumerate() {
                let index: Vec<i64> = row
                    .iter()
                    .zip(column)
                    .map(|(row, column)| row * side + column)
                    .collect();
                let part =
                    |share: f32, second: usize| if second == 1 { share } else { 1.0 - share };
                let weight: Vec<f32> = down
                    .iter()
                    .zip(&right)
                    .map(|(down, right)| part(*down, vertical) * part(*right, horizontal))
                    .collect();
                let found = self
                    .table
                    .index_select(0, &Tensor::from_slice(&index).to_device(device));
                let weight = Tensor::from_slice(&weight)
                    .to_device(device)
                    .to_kind(found.kind());
                let weighted = found * weight.unsqueeze(1);
                sum = Some(match sum {
                    Some(sum) => sum + weighted,
                    None => weighted,
                });
            }
        }
        // Two times two taps always make a sum.
        sum.unwrap_or_else(|| self.table.narrow(0, 0, 0))
    }
}

/// Row and column of every patch, in the order in which they are merged.
struct Places {
    rows: Vec<i64>,
    columns: Vec<i64>,
}

impl Places {
    fn of(grid: Grid) -> Self {
        let (rows, columns) = grid.merged();
        let merge = grid.merge;
        let mut places = Self {
            rows: Vec::new(),
            columns: Vec::new(),
        };
        for block in 0..rows * columns {
            for inner in 0..merge * merge {
                places.rows.push(block / columns * merge + inner / merge);
                places.columns.push(block % columns * merge + inner % merge);
            }
        }
        places
    }
}

/// Rotations of queries and keys: the first half of a head's pairs turns with the row, the other with the column.
struct Turn {
    /// `(n, 1, head)`, f32.
    cos: Tensor,
    sin: Tensor,
}

impl Turn {
    fn new(places: &Places, head: i64, like: &Tensor) -> Self {
        let quarter = head / 4;
        let frequency = |pair: i64| THETA.powf(-(pair as f64) / quarter as f64) as f32;
        let frequencies: Vec<f32> = (0..quarter).map(frequency).collect();
        let frequencies = Tensor::from_slice(&frequencies).unsqueeze(0);
        let angles =
            |at: &[i64]| Tensor::from_slice(at).to_kind(Kind::Float).unsqueeze(1) * &frequencies;
        let (rows, columns) = (angles(&places.rows), angles(&places.columns));
        let angles = Tensor::cat(&[&rows, &columns, &rows, &columns], 1).unsqueeze(1);
        let angles = angles.to_device(like.device());
        Self {
            cos: angles.cos(),
            sin: angles.sin(),
        }
    }

    /// `(n, heads, head)` to the same, computed in f32.
    fn rotate(&self, x: &Tensor) -> Tensor {
        let wide = x.to_kind(Kind::Float);
        let halves = wide.chunk(2, -1);
        let turned = Tensor::cat(&[&halves[1].neg(), &halves[0]], -1);
        (wide * &self.cos + turned * &self.sin).to_kind(x.kind())
    }
}

/// Attention among all patches of the picture, then two linear layers.
struct Block {
    before_attention: LayerNorm,
    qkv: Linear,
    out: Linear,
    heads: i64,
    before_mlp: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Block {
    fn load(config: &VisionConfig, weights: &Weights) -> Result<Self, WeightsError> {
        let (hidden, inner) = (config.hidden, config.intermediate);
        Ok(Self {
            before_attention: LayerNorm::load(weights, "norm1", hidden, EPS)?,
            qkv: Linear::load_with_bias(weights, "attn.qkv", hidden, 3 * hidden)?,
            out: Linear::load_with_bias(weights, "attn.proj", hidden, hidden)?,
            heads: config.heads,
            before_mlp: LayerNorm::load(weights, "norm2", hidden, EPS)?,
            up: Linear::load_with_bias(weights, "mlp.linear_fc1", hidden, inner)?,
            down: Linear::load_with_bias(weights, "mlp.linear_fc2", inner, hidden)?,
        })
    }

    /// `(n, hidden)` to the same.
    fn forward(&self, x: &Tensor, turn: &Turn) -> Tensor {
        let qkv = self.qkv.forward(&self.before_attention.forward(x));
        // (n, heads, head) each
        let qkv = qkv.unflatten(-1, [3, self.heads, -1]).unbind(1);
        let heads = |x: &Tensor| x.transpose(0, 1).unsqueeze(0);
        let [q, k] = [&qkv[0], &qkv[1]].map(|x| heads(&turn.rotate(x)));
        let seen = Tensor::scaled_dot_product_attention(
            &q,
            &k,
            &heads(&qkv[2]),
            None::<&Tensor>,
            0.0,
            false,
            None,
            false,
        );
        let seen = seen.squeeze_dim(0).transpose(0, 1).flatten(1, 2);
        let x = x + self.out.forward(&seen);
        let inner = self.up.forward(&self.before_mlp.forward(&x)).gelu("tanh");
        x + self.down.forward(&inner)
    }
}

/// Patches that are merged, side by side, to one token.
struct Merger {
    norm: LayerNorm,
    /// Whether the norm is over the merged patches, not over each.
    merged_norm: bool,
    together: i64,
    up: Linear,
    down: Linear,
}

impl Merger {
    fn load(
        config: &VisionConfig,
        weights: &Weights,
        merged_norm: bool,
    ) -> Result<Self, WeightsError> {
        let together = config.hidden * config.merge * config.merge;
        let normed = if merged_norm { together } else { config.hidden };
        Ok(Self {
            norm: LayerNorm::load(weights, "norm", normed, EPS)?,
            merged_norm,
            together,
            up: Linear::load_with_bias(weights, "linear_fc1", together, together)?,
            down: Linear::load_with_bias(weights, "linear_fc2", together, config.output)?,
        })
    }

    /// `(n, hidden)` to `(n / merge², output)`.
    fn forward(&self, x: &Tensor) -> Tensor {
        let together = |x: &Tensor| x.reshape([-1, self.together]);
        let x = if self.merged_norm {
            self.norm.forward(&together(x))
        } else {
            together(&self.norm.forward(x))
        };
        // The exact form here, unlike in the blocks.
        self.down.forward(&self.up.forward(&x).gelu("none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_by_merged_blocks() {
        let places = Places::of(Grid {
            rows: 2,
            columns: 4,
            merge: 2,
        });
        assert_eq!(places.rows, [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(places.columns, [0, 1, 0, 1, 2, 3, 2, 3]);
    }
}
