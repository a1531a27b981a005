//! What the autoencoder's training minimises.

use tch::{Kind, Tensor};

/// Weight of differences between neighbours: they make edges sharp where a network that judges would be too dear.
const EDGES: f64 = 0.5;

/// Weight of the distance of latents from a standard normal; a little is enough to keep them bounded.
const NORMAL: f64 = 1e-4;

/// `pictures` and `drawn` `(b, 3, h, w)`; `mean` and `log_variance` of latents. A scalar.
pub fn of(pictures: &Tensor, drawn: &Tensor, mean: &Tensor, log_variance: &Tensor) -> Tensor {
    let difference = drawn.to_kind(Kind::Float) - pictures;
    let along = |dimension: i64| {
        let length = difference.size()[dimension as usize] - 1;
        (difference.narrow(dimension, 1, length) - difference.narrow(dimension, 0, length))
            .abs()
            .mean(Kind::Float)
    };
    let (mean, log_variance) = (mean.to_kind(Kind::Float), log_variance.to_kind(Kind::Float));
    let normal = (mean.square() + log_variance.exp() - &log_variance - 1.0).mean(Kind::Float) * 0.5;
    difference.abs().mean(Kind::Float) + (along(2) + along(3)) * EDGES + normal * NORMAL
}
