//! Where the tokens of a pass stand: what turns their queries and keys, and what they must not see.

use tch::{Kind, Tensor};

/// What all layers are told about the tokens of one pass.
pub struct Positions {
    /// Cosines and sines `(n, head)`, or `(b, 1, n, head)` where texts differ.
    cos: Tensor,
    sin: Tensor,
    /// `(n, all)` or `(b, 1, n, all)`, added to the attention's logits. None where the kernel's own causal mask is right, or nothing is
    /// hidden.
    mask: Option<Tensor>,
}

impl Positions {
    /// Of angles `(n, head / 2)` or `(b, n, head / 2)` in radians, f32, for a network that computes in `kind`; `mask` as [`Positions::hiding`]
    /// makes it, None for causal attention among the pass' own tokens, or of one token to all.
    pub fn turned(angles: &Tensor, kind: Kind, mask: Option<Tensor>) -> Self {
        let angles = Tensor::cat(&[angles, angles], -1);
        let angles = if angles.dim() == 3 {
            angles.unsqueeze(1)
        } else {
            angles
        };
        Self {
            cos: angles.cos().to_kind(kind),
            sin: angles.sin().to_kind(kind),
            mask,
        }
    }

    /// A mask from `hidden` (bool, any shape that broadcasts to `(b, heads, n, all)`): minus infinity where it is true.
    pub fn hiding(hidden: &Tensor, kind: Kind) -> Tensor {
        Tensor::zeros(hidden.size(), (kind, hidden.device())).masked_fill(hidden, f64::NEG_INFINITY)
    }

    pub(super) fn mask(&self) -> Option<&Tensor> {
        self.mask.as_ref()
    }

    /// Turns `(b, heads, n, head)`: first half and second half of a head are the two coordinates.
    pub(super) fn rotate(&self, x: &Tensor) -> Tensor {
        let halves = x.chunk(2, -1);
        let turned = Tensor::cat(&[&halves[1].neg(), &halves[0]], -1);
        x * &self.cos + turned * &self.sin
    }
}
