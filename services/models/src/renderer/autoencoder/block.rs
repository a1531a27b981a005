//! Blocks of the autoencoder: residual block, attention, the middle of both halves.

use tch::Tensor;

use crate::{
    nn::{Conv2d, GroupNorm, Linear, silu_of, sum_into},
    weights::{Weights, WeightsError},
};

/// As in the checkpoints; not in their configuration.
pub const NORM_EPS: f64 = 1e-6;

/// Two convolutions around a shortcut.
pub struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Resnet {
    /// Reads the block under `weights`.
    pub fn load(weights: &Weights, from: i64, to: i64, groups: i64) -> Result<Self, WeightsError> {
        let shortcut =
            (from != to).then(|| Conv2d::load(weights, "conv_shortcut", [from, to], 1, 1, 0));
        Ok(Self {
            norm1: GroupNorm::load(weights, "norm1", groups, from, NORM_EPS)?,
            conv1: Conv2d::load(weights, "conv1", [from, to], 3, 1, 1)?,
            norm2: GroupNorm::load(weights, "norm2", groups, to, NORM_EPS)?,
            conv2: Conv2d::load(weights, "conv2", [to, to], 3, 1, 1)?,
            shortcut: shortcut.transpose()?,
        })
    }

    /// `(b, from, h, w)` to `(b, to, h, w)`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let h = self.conv1.forward(&silu_of(self.norm1.forward(x)));
        let h = self.conv2.forward(&silu_of(self.norm2.forward(&h)));
        match &self.shortcut {
            Some(shortcut) => sum_into(h, &shortcut.forward(x)),
            None => sum_into(h, x),
        }
    }
}

/// Attention of one head over all places.
struct Attention {
    norm: GroupNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
}

impl Attention {
    fn load(weights: &Weights, channels: i64, groups: i64) -> Result<Self, WeightsError> {
        let linear = |name| Linear::load_with_bias(weights, name, channels, channels);
        Ok(Self {
            norm: GroupNorm::load(weights, "group_norm", groups, channels, NORM_EPS)?,
            q: linear("to_q")?,
            k: linear("to_k")?,
            v: linear("to_v")?,
            out: linear("to_out.0")?,
        })
    }

    /// `(b, c, h, w)` to the same.
    fn forward(&self, x: &Tensor) -> Tensor {
        // (b, c, h, w) -> (b, 1 head, h * w, c)
        let places = self.norm.forward(x).flatten(2, 3).transpose(1, 2);
        let head = |linear: &Linear| linear.forward(&places).unsqueeze(1);
        let seen = Tensor::scaled_dot_product_attention(
            &head(&self.q),
            &head(&self.k),
            &head(&self.v),
            None::<&Tensor>,
            0.0,
            false,
            None,
            false,
        );
        x + self
            .out
            .forward(&seen.squeeze_dim(1))
            .transpose(1, 2)
            .reshape(x.size())
    }
}

/// Residual block, attention, residual block.
pub struct Middle {
    first: Resnet,
    attention: Attention,
    second: Resnet,
}

impl Middle {
    /// Reads the middle under `weights`.
    pub fn load(weights: &Weights, channels: i64, groups: i64) -> Result<Self, WeightsError> {
        Ok(Self {
            first: Resnet::load(&weights.sub("resnets.0"), channels, channels, groups)?,
            attention: Attention::load(&weights.sub("attentions.0"), channels, groups)?,
            second: Resnet::load(&weights.sub("resnets.1"), channels, channels, groups)?,
        })
    }

    /// `(b, c, h, w)` to the same.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.second
            .forward(&self.attention.forward(&self.first.forward(x)))
    }
}
