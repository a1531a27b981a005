//! What the autoencoder's training minimises.

use tch::{Kind, Tensor};

/// Weight of differences between neighbours: they make edges sharp where a network that judges would be too dear.
const EDGES: f64 = 0.5;

/// Weight of the mean colours of places. Without it the encoder of so few channels gives up the axis from green to magenta, which varies least
/// in these pictures: all greens came back brown.
const COLORS: f64 = 1.0;

/// Pixels along a side of a place whose mean colour counts.
const PLACE: i64 = 8;

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
    difference.abs().mean(Kind::Float)
        + (along(2) + along(3)) * EDGES
        + colors(&difference) * COLORS
        + normal * NORMAL
}

/// How far the mean colours of places are off, on the axes green to magenta and red to blue: `difference` `(b, 3, h, w)`.
fn colors(difference: &Tensor) -> Tensor {
    let means = difference.avg_pool2d([PLACE, PLACE], [PLACE, PLACE], [0, 0], false, true, None);
    let [red, green, blue] = [0, 1, 2].map(|channel| means.select(1, channel));
    let across = (&green - (&red + &blue) * 0.5).abs().mean(Kind::Float);
    across + (red - blue).abs().mean(Kind::Float) * 0.5
}
