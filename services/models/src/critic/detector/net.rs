//! The detectors' network: a backbone down to a grid of 32-pixel cells, one head a cell and one for the whole picture.

use tch::Tensor;

use super::{
    config::{Backbone, DetectorConfig},
    separable::Separable,
};

const GROUPS: i64 = 8;

/// Where parameters come from: a name and its shape give a tensor. A checkpoint, a trainer's master copy or a list of names.
pub type Take<'a, E> = &'a dyn Fn(&str, &[i64]) -> Result<Tensor, E>;

/// A 3x3 convolution with group norm and SiLU.
struct Conv {
    weight: Tensor,
    gain: Tensor,
    shift: Tensor,
    stride: i64,
}

impl Conv {
    fn new<E>(take: Take<'_, E>, name: &str, from: i64, to: i64, stride: i64) -> Result<Self, E> {
        Ok(Self {
            weight: take(&format!("{name}.conv.weight"), &[to, from, 3, 3])?,
            gain: take(&format!("{name}.norm.weight"), &[to])?,
            shift: take(&format!("{name}.norm.bias"), &[to])?,
            stride,
        })
    }

    /// `(b, from, h, w)` to `(b, to, h / stride, w / stride)`.
    fn forward(&self, x: &Tensor) -> Tensor {
        x.conv2d(&self.weight, None::<&Tensor>, self.stride, 1, 1, 1)
            .group_norm(GROUPS, Some(&self.gain), Some(&self.shift), 1e-5, false)
            .silu()
    }
}

/// A dense layer.
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(super) fn new<E>(take: Take<'_, E>, name: &str, from: i64, to: i64) -> Result<Self, E> {
        Ok(Self {
            weight: take(&format!("{name}.weight"), &[to, from])?,
            bias: take(&format!("{name}.bias"), &[to])?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }
}

/// Five halvings with two residual blocks: the critic's backbone.
struct Halvings {
    fine: Conv,
    down: Vec<Conv>,
    middle: [Conv; 2],
    deep: [Conv; 2],
}

impl Halvings {
    fn new<E>(config: &DetectorConfig, take: Take<'_, E>) -> Result<Self, E> {
        let [fine, a, b, c, d] = config.widths;
        Ok(Self {
            fine: Conv::new(take, "fine", 3, fine, 2)?,
            down: [(fine, a), (a, b), (b, c), (c, d)]
                .iter()
                .enumerate()
                .map(|(index, &(from, to))| Conv::new(take, &format!("down.{index}"), from, to, 2))
                .collect::<Result<_, E>>()?,
            middle: [
                Conv::new(take, "middle.0", c, c, 1)?,
                Conv::new(take, "middle.1", c, c, 1)?,
            ],
            deep: [
                Conv::new(take, "deep.0", d, d, 1)?,
                Conv::new(take, "deep.1", d, d, 1)?,
            ],
        })
    }

    /// `(b, 3, side, side)` to `(b, cells, d)`.
    fn forward(&self, pictures: &Tensor) -> Tensor {
        let residual = |x: Tensor, block: &[Conv; 2]| &x + block[1].forward(&block[0].forward(&x));
        let mut x = self.fine.forward(pictures);
        for (index, conv) in self.down.iter().enumerate() {
            x = conv.forward(&x);
            if index == 2 {
                x = residual(x, &self.middle);
            }
        }
        // (b, d, g, g) -> (b, g * g, d)
        residual(x, &self.deep).flatten(2, 3).transpose(1, 2)
    }
}

/// What makes cells of pictures.
enum Body {
    Halvings(Halvings),
    Separable(Separable),
}

/// The network.
pub struct DetectorNet {
    body: Body,
    neck: Linear,
    cells: Linear,
    scene: Linear,
}

/// What the network says about a batch, in f32.
pub struct Raw {
    /// `(b, cells, channels)`, cells in rows from the top left: objectness logit, four log distances in cells (left, top, right, bottom), colours, things.
    pub cells: Tensor,
    /// `(b, backgrounds + times)`, logits.
    pub scene: Tensor,
}

impl DetectorNet {
    /// Builds the network of parameters that `take` gives.
    pub fn new<E>(config: &DetectorConfig, take: Take<'_, E>) -> Result<Self, E> {
        let d = config.widths[4];
        Ok(Self {
            body: match config.backbone {
                Backbone::Halvings => Body::Halvings(Halvings::new(config, take)?),
                Backbone::Separable => Body::Separable(Separable::new(config, take)?),
            },
            neck: Linear::new(take, "neck", d, d)?,
            cells: Linear::new(take, "cells", d, config.cell_channels())?,
            scene: Linear::new(take, "scene", 2 * d, config.scene_channels())?,
        })
    }

    /// `pictures`: `(b, 3, side, side)` in -1..1, of the parameters' kind.
    pub fn forward(&self, pictures: &Tensor) -> Raw {
        let tokens = match &self.body {
            Body::Halvings(body) => body.forward(pictures),
            Body::Separable(body) => body.forward(pictures),
        };
        let pooled = Tensor::cat(
            &[
                tokens.mean_dim([1].as_slice(), false, None),
                tokens.amax([1].as_slice(), false),
            ],
            1,
        );
        Raw {
            cells: self
                .cells
                .forward(&self.neck.forward(&tokens).silu())
                .to_kind(tch::Kind::Float),
            scene: self.scene.forward(&pooled).to_kind(tch::Kind::Float),
        }
    }
}

/// Names and shapes of all parameters.
pub fn parameters(config: &DetectorConfig) -> Vec<(String, Vec<i64>)> {
    let seen = std::cell::RefCell::new(Vec::new());
    let note = |name: &str, shape: &[i64]| -> Result<Tensor, std::convert::Infallible> {
        seen.borrow_mut().push((name.to_owned(), shape.to_vec()));
        Ok(Tensor::new())
    };
    let Ok(_) = DetectorNet::new(config, &note);
    seen.into_inner()
}
