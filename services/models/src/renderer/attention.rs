//! Attention over one sequence, as all renderers do it: rotated queries and keys, one additive bias.

use tch::{Device, Kind, Tensor};

use super::rope::rotate;

/// What attention is told beside queries, keys and values.
pub(super) struct Sequence<'a> {
    /// `(B, S, 1, head / 2)` complex.
    pub rotations: &'a Tensor,
    /// Added to the logits: `(B, 1, S, S)` or smaller where it repeats.
    pub bias: Option<&'a Tensor>,
}

impl Sequence<'_> {
    /// Attention of `(B, S, heads, head)` queries, keys and values: `(B, S, D)`.
    pub fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
        let [q, k] = [q, k].map(|x| rotate(x, self.rotations).transpose(1, 2));
        let v = v.transpose(1, 2);
        let out = if q.kind() == Kind::BFloat16 && q.requires_grad() && q.device() == Device::Cpu {
            attend_in_steps(&q, &k, &v, self.bias)
        } else {
            Tensor::scaled_dot_product_attention(&q, &k, &v, self.bias, 0.0, false, None, false)
        };
        out.transpose(1, 2).flatten(2, 3)
    }
}

/// Attention with its matrix written out. For training on the CPU in bf16, where the fused kernel's backward takes seven times as long
/// (32 x 8 heads of 124 x 32: 80 ms against 11 ms).
fn attend_in_steps(q: &Tensor, k: &Tensor, v: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let scale = q
        .size()
        .last()
        .map_or(1.0, |&size| (size as f64).powf(-0.5));
    let mut logits = (q * scale).matmul(&k.transpose(2, 3));
    if let Some(bias) = bias {
        logits += bias;
    }
    logits.softmax(-1, None::<Kind>).matmul(v)
}

/// `(B, S, D)` to `(B, S, heads, head)`.
pub(super) fn heads(x: &Tensor, head_size: i64) -> Tensor {
    x.unflatten(-1, [-1, head_size])
}
