//! The denoising time as a vector.

use tch::{Kind, Tensor};

/// Cosines, then sines, of `times` `(B)` in 0..1 at falling frequencies: `(B, channels)` in f32. `channels` is even.
pub fn sines(times: &Tensor, channels: i64) -> Tensor {
    let half = channels / 2;
    let steps = Tensor::arange(half, (Kind::Float, times.device()));
    let frequencies = (steps * (-(10_000f64.ln()) / half as f64)).exp();
    let angles = (times.to_kind(Kind::Float) * 1000.0).unsqueeze(1) * frequencies.unsqueeze(0);
    Tensor::cat(&[angles.cos(), angles.sin()], 1)
}
