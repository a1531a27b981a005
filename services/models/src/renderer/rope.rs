//! Rotary positions over several axes: for example time, row, column, text index.

use tch::{Kind, Tensor};

/// Angles as unit complex numbers, `(B, S, 1, head / 2)` in complex64, of positions `ids` `(B, S, axes or more)`.
///
/// Axis `a` of `axes[a]` channels turns by `id * theta^(-2j / axes[a])`. Angles are made in f64 and turned into sines in `sines`, as the
/// original of each family does: a checkpoint was trained with its rounding.
pub fn rotations(ids: &Tensor, axes: &[i64], theta: f64, sines: Kind) -> Tensor {
    let ids = ids.to_kind(Kind::Double);
    let angles: Vec<Tensor> = (0i64..)
        .zip(axes)
        .filter(|&(_, &size)| size > 0)
        .map(|(axis, &size)| {
            let exponent =
                Tensor::arange_start_step(0, size, 2, (Kind::Double, ids.device())) / size as f64;
            let frequency = (exponent * -theta.ln()).exp();
            ids.narrow(2, axis, 1) * frequency
        })
        .collect();
    let angles = Tensor::cat(&angles, 2).unsqueeze(2).to_kind(sines);
    Tensor::complex(
        &angles.cos().to_kind(Kind::Float),
        &angles.sin().to_kind(Kind::Float),
    )
}

/// Turns adjacent pairs of the last dimension of `x` `(B, S, heads, head)`; in f32, back in the kind of `x`.
pub fn rotate(x: &Tensor, rotations: &Tensor) -> Tensor {
    let pairs = x
        .to_kind(Kind::Float)
        .unflatten(3, [-1, 2])
        .contiguous()
        .view_as_complex();
    (pairs * rotations)
        .view_as_real()
        .flatten(3, 4)
        .to_kind(x.kind())
}
