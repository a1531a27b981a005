//! The parts that both kinds of blocks are made of.

use tch::Tensor;

/// Shift, scale and gate of one residual branch, each `(B, 1, D)`.
pub(super) struct Modulation {
    shift: Tensor,
    scale: Tensor,
    gate: Tensor,
}

impl Modulation {
    /// Splits `(B, branches * 3D)`; the order is shift, scale, gate, branch by branch.
    pub fn split(all: &Tensor, branches: i64) -> Vec<Self> {
        let mut parts = all.unsqueeze(1).chunk(3 * branches, -1).into_iter();
        let mut branches = Vec::new();
        while let (Some(shift), Some(scale), Some(gate)) =
            (parts.next(), parts.next(), parts.next())
        {
            branches.push(Self { shift, scale, gate });
        }
        branches
    }

    /// `(1 + scale) * norm(x) + shift` of `x` `(B, S, D)`.
    pub fn enter(&self, x: &Tensor, eps: f64) -> Tensor {
        modulate(x, &self.scale, &self.shift, eps)
    }

    /// `x + gate * branch`.
    pub fn leave(&self, x: &Tensor, branch: &Tensor) -> Tensor {
        x.addcmul(&self.gate, branch)
    }
}

/// `(1 + scale) * norm(x) + shift`; the norm has no weights. Statistics are f32 inside whatever the kind of `x`.
pub(super) fn modulate(x: &Tensor, scale: &Tensor, shift: &Tensor, eps: f64) -> Tensor {
    let width = x.size().last().copied().unwrap_or(0);
    let normed = x.layer_norm([width], None::<&Tensor>, None::<&Tensor>, eps, false);
    shift.addcmul(&normed, &(scale + 1.0))
}

/// `silu(first half) * second half` of the last dimension.
pub(super) fn gated(x: &Tensor) -> Tensor {
    let halves = x.chunk(2, -1);
    halves[0].silu() * &halves[1]
}
