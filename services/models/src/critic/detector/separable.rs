//! The judge's backbone: patches of 4 x 4 pixels, then depthwise convolutions and pixel-wise layers with layer norm. It shares no layer with the
//! critic's, and it sees brightness as its square root, so that two detectors trained on one world do not err alike.

use tch::Tensor;

use super::{
    config::DetectorConfig,
    net::{Linear, Take},
};

/// Side of a patch in pixels.
const PATCH: i64 = 4;
/// Side of a depthwise kernel.
const KERNEL: i64 = 5;
/// How many times wider a block is inside.
const WIDER: i64 = 2;
/// Names, and numbers of blocks, of the levels at 4, 8, 16 and 32 pixels a place.
const LEVELS: [(&str, usize); 4] = [("fine", 1), ("level.0", 1), ("level.1", 2), ("level.2", 3)];
/// Mean and deviation of the square root of brightness over composed scenes.
const TONE: (f64, f64) = (0.65, 0.25);

/// Layer norm over channels.
struct Norm {
    gain: Tensor,
    shift: Tensor,
}

impl Norm {
    fn new<E>(take: Take<'_, E>, name: &str, width: i64) -> Result<Self, E> {
        Ok(Self {
            gain: take(&format!("{name}.norm.weight"), &[width])?,
            shift: take(&format!("{name}.norm.bias"), &[width])?,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let width = self.gain.size();
        x.layer_norm(&width, Some(&self.gain), Some(&self.shift), 1e-5, false)
    }
}

/// Squares of `side` places become one place: `(b, h, w, from)` to `(b, h / side, w / side, to)`.
struct Merge {
    layer: Linear,
    norm: Norm,
    side: i64,
}

impl Merge {
    fn new<E>(take: Take<'_, E>, name: &str, side: i64, from: i64, to: i64) -> Result<Self, E> {
        Ok(Self {
            layer: Linear::new(take, &format!("{name}.merge"), side * side * from, to)?,
            norm: Norm::new(take, name, to)?,
            side,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let (b, h, w, c) = x.size4().unwrap_or_default();
        let (side, rows, columns) = (self.side, h / self.side, w / self.side);
        let squares = x
            .reshape([b, rows, side, columns, side, c])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([b, rows, columns, side * side * c]);
        self.norm.forward(&self.layer.forward(&squares))
    }
}

/// One residual block: what is around, then what it means.
struct Block {
    around: Tensor,
    norm: Norm,
    wide: Linear,
    back: Linear,
}

impl Block {
    fn new<E>(take: Take<'_, E>, name: &str, width: i64) -> Result<Self, E> {
        Ok(Self {
            around: take(
                &format!("{name}.around.weight"),
                &[width, 1, KERNEL, KERNEL],
            )?,
            norm: Norm::new(take, name, width)?,
            wide: Linear::new(take, &format!("{name}.wide"), width, WIDER * width)?,
            back: Linear::new(take, &format!("{name}.back"), WIDER * width, width)?,
        })
    }

    /// `(b, h, w, width)` to the same.
    fn forward(&self, x: &Tensor) -> Tensor {
        let width = self.around.size()[0];
        let around = x
            .permute([0, 3, 1, 2])
            .conv2d(&self.around, None::<&Tensor>, 1, KERNEL / 2, 1, width)
            .permute([0, 2, 3, 1]);
        let meant = self.wide.forward(&self.norm.forward(&around)).gelu("tanh");
        x + self.back.forward(&meant)
    }
}

/// The backbone; `widths` are those of its four levels, the last one twice.
pub(super) struct Separable {
    levels: Vec<(Merge, Vec<Block>)>,
}

impl Separable {
    pub(super) fn new<E>(config: &DetectorConfig, take: Take<'_, E>) -> Result<Self, E> {
        let [fine, a, b, _, d] = config.widths;
        let shapes = [(PATCH, 3, fine), (2, fine, a), (2, a, b), (2, b, d)];
        let mut levels = Vec::with_capacity(LEVELS.len());
        for ((side, from, to), (name, blocks)) in shapes.into_iter().zip(LEVELS) {
            let merge = Merge::new(take, name, side, from, to)?;
            let blocks = (0..blocks)
                .map(|block| Block::new(take, &format!("{name}.block.{block}"), to))
                .collect::<Result<_, E>>()?;
            levels.push((merge, blocks));
        }
        Ok(Self { levels })
    }

    /// `(b, 3, side, side)` in -1..1 to `(b, cells, d)`.
    pub(super) fn forward(&self, pictures: &Tensor) -> Tensor {
        let (mean, deviation) = TONE;
        let bright = ((pictures + 1.0) / 2.0).clamp(0.0, 1.0).sqrt();
        let mut x = ((bright - mean) / deviation)
            .permute([0, 2, 3, 1])
            .contiguous();
        for (merge, blocks) in &self.levels {
            x = merge.forward(&x);
            for block in blocks {
                x = block.forward(&x);
            }
        }
        x.flatten(1, 2)
    }
}
