//! Blocks shared by two models or more. Each computes in the kind its weights have and is differentiable, so that training and drawing
//! run the same code.

use tch::{Kind, Tensor};

use crate::weights::{Weights, WeightsError};

/// `x W^T + b`; the bias only where the checkpoint has one.
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads `name.weight` `(output, input)` and, where it is there, `name.bias` `(output)`.
    pub fn load(
        weights: &Weights,
        name: &str,
        input: i64,
        output: i64,
    ) -> Result<Self, WeightsError> {
        let weights = weights.sub(name);
        let bias = weights
            .contains("bias")
            .then(|| weights.get_shaped("bias", &[output]));
        Ok(Self {
            weight: weights.get_shaped("weight", &[output, input])?,
            bias: bias.transpose()?,
        })
    }

    /// The same without a bias; one that is there is not read.
    pub fn load_without_bias(
        weights: &Weights,
        name: &str,
        input: i64,
        output: i64,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.sub(name).get_shaped("weight", &[output, input])?,
            bias: None,
        })
    }

    /// The same with a bias that must be there.
    pub fn load_with_bias(
        weights: &Weights,
        name: &str,
        input: i64,
        output: i64,
    ) -> Result<Self, WeightsError> {
        let _bias = weights.sub(name).get_shaped("bias", &[output])?;
        Self::load(weights, name, input, output)
    }

    /// A convolution whose kernel is its stride, as a linear layer of flattened patches: `name.weight` of `shape` (output first) and
    /// `name.bias`, which must be there.
    pub fn load_flat(weights: &Weights, name: &str, shape: &[i64]) -> Result<Self, WeightsError> {
        let weights = weights.sub(name);
        Ok(Self {
            weight: weights.get_shaped("weight", shape)?.flatten(1, -1),
            bias: Some(weights.get_shaped("bias", &shape[..1])?),
        })
    }

    /// `(.., input)` to `(.., output)`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }

    /// The kind it computes in.
    pub fn kind(&self) -> Kind {
        self.weight.kind()
    }
}

/// `x / rms(x) * weight` over the last dimension (<https://arxiv.org/abs/1910.07467>).
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// Reads `name.weight` `(size)`.
    pub fn load(weights: &Weights, name: &str, size: i64, eps: f64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.sub(name).get_shaped("weight", &[size])?,
            eps,
        })
    }

    /// `(.., size)` to the same; the mean square in f32.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let wide = x.to_kind(Kind::Float);
        let scale = (wide.square().mean_dim(-1, true, Kind::Float) + self.eps).rsqrt();
        (wide * scale).to_kind(x.kind()) * &self.weight
    }
}

/// Layer norm over the last dimension without weights, computed in f32.
pub fn layer_norm(x: &Tensor, eps: f64) -> Tensor {
    let size = x.size().last().copied().unwrap_or(1);
    x.to_kind(Kind::Float)
        .layer_norm([size], None::<&Tensor>, None::<&Tensor>, eps, false)
        .to_kind(x.kind())
}

/// Layer norm with weights over the last dimension.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `name.weight` and `name.bias`, both `(size)`.
    pub fn load(weights: &Weights, name: &str, size: i64, eps: f64) -> Result<Self, WeightsError> {
        let weights = weights.sub(name);
        Ok(Self {
            weight: weights.get_shaped("weight", &[size])?,
            bias: weights.get_shaped("bias", &[size])?,
            eps,
        })
    }

    /// `(.., size)` to the same.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(
            self.weight.size(),
            Some(&self.weight),
            Some(&self.bias),
            self.eps,
            false,
        )
    }
}

/// Group norm with weights; its statistics are computed in f32 whatever the kind.
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: i64,
    eps: f64,
}

impl GroupNorm {
    /// Reads `name.weight` and `name.bias`, both `(channels)`.
    pub fn load(
        weights: &Weights,
        name: &str,
        groups: i64,
        channels: i64,
        eps: f64,
    ) -> Result<Self, WeightsError> {
        let weights = weights.sub(name);
        Ok(Self {
            weight: weights.get_shaped("weight", &[channels])?,
            bias: weights.get_shaped("bias", &[channels])?,
            groups,
            eps,
        })
    }

    /// `(b, channels, h, w)` to the same.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.group_norm(
            self.groups,
            Some(&self.weight),
            Some(&self.bias),
            self.eps,
            false,
        )
    }
}

/// `silu(x)`, in the memory of `x` where no gradient needs it.
pub fn silu_of(mut x: Tensor) -> Tensor {
    if x.requires_grad() {
        x.silu()
    } else {
        x.silu_()
    }
}

/// `x + y`, in the memory of `x` where no gradient needs it.
pub fn sum_into(mut x: Tensor, y: &Tensor) -> Tensor {
    if x.requires_grad() {
        x + y
    } else {
        x.g_add_(y)
    }
}

/// A convolution with bias.
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// Reads `name.weight` `(output, input, kernel, kernel)` and `name.bias` `(output)`.
    pub fn load(
        weights: &Weights,
        name: &str,
        [input, output]: [i64; 2],
        kernel: i64,
        stride: i64,
        padding: i64,
    ) -> Result<Self, WeightsError> {
        let weights = weights.sub(name);
        Ok(Self {
            weight: weights.get_shaped("weight", &[output, input, kernel, kernel])?,
            bias: weights.get_shaped("bias", &[output])?,
            stride,
            padding,
        })
    }

    /// `(b, input, h, w)` to `(b, output, h', w')`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.conv2d(
            &self.weight,
            Some(&self.bias),
            self.stride,
            self.padding,
            1,
            1,
        )
    }
}
