//! One block: attention over what was read so far, then a gated linear layer.

use tch::{Device, Kind, Tensor};

use super::{
    DecoderConfig, Memory, Positions,
    adapter::{Adapter, Projection},
};
use crate::{
    nn::{Linear, RmsNorm},
    weights::{Weights, WeightsError},
};

pub(super) struct Layer {
    index: usize,
    head: i64,
    before_attention: RmsNorm,
    q: Projection,
    k: Projection,
    v: Projection,
    o: Projection,
    /// Of queries and keys.
    norms: Option<(RmsNorm, RmsNorm)>,
    before_mlp: RmsNorm,
    gate: Projection,
    up: Projection,
    down: Projection,
}

impl Layer {
    /// `weights` are the layer's own.
    pub(super) fn load(
        config: &DecoderConfig,
        index: usize,
        weights: &Weights,
        adapter: Option<&Adapter>,
    ) -> Result<Self, WeightsError> {
        let (hidden, inner) = (config.hidden, config.intermediate);
        let (queries, keys) = (config.heads * config.head, config.kv_heads * config.head);
        let projection = |part: &str, [input, output]: [i64; 2], biased: bool| {
            let base = if biased {
                Linear::load_with_bias(weights, part, input, output)?
            } else {
                Linear::load_without_bias(weights, part, input, output)?
            };
            let full = format!("model.layers.{index}.{part}");
            Projection::new(base, adapter, &full, input, output)
        };
        let norm = |part: &str, size| RmsNorm::load(weights, part, size, config.eps);
        let norms = config.qk_norm.then(|| {
            Ok::<_, WeightsError>((
                norm("self_attn.q_norm", config.head)?,
                norm("self_attn.k_norm", config.head)?,
            ))
        });
        let biases = config.biases;
        Ok(Self {
            index,
            head: config.head,
            before_attention: norm("input_layernorm", hidden)?,
            q: projection("self_attn.q_proj", [hidden, queries], biases.qkv)?,
            k: projection("self_attn.k_proj", [hidden, keys], biases.qkv)?,
            v: projection("self_attn.v_proj", [hidden, keys], biases.qkv)?,
            o: projection("self_attn.o_proj", [queries, hidden], biases.output)?,
            norms: norms.transpose()?,
            before_mlp: norm("post_attention_layernorm", hidden)?,
            gate: projection("mlp.gate_proj", [hidden, inner], biases.mlp)?,
            up: projection("mlp.up_proj", [hidden, inner], biases.mlp)?,
            down: projection("mlp.down_proj", [inner, hidden], biases.mlp)?,
        })
    }

    /// `(b, n, hidden)` to the same.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        positions: &Positions,
        memory: Option<&mut dyn Memory>,
    ) -> Tensor {
        let x = x + self.attention(&self.before_attention.forward(x), positions, memory);
        let h = self.before_mlp.forward(&x);
        let inner = self.gate.forward(&h).silu() * self.up.forward(&h);
        x + self.down.forward(&inner)
    }

    /// Remembers keys and values of `(b, n, hidden)`, and computes nothing else.
    pub(super) fn remember(&self, x: &Tensor, positions: &Positions, memory: &mut dyn Memory) {
        let (k, v) = self.keys_values(&self.before_attention.forward(x), positions);
        let _all = memory.extend(self.index, &k, &v);
    }

    /// Keys and values `(b, kv heads, n, head)` of normed states.
    fn keys_values(&self, h: &Tensor, positions: &Positions) -> (Tensor, Tensor) {
        let norm = self.norms.as_ref().map(|(_, k)| k);
        let v = self.v.forward(h).unflatten(-1, [-1, self.head]);
        (self.turned(&self.k, norm, h, positions), v.transpose(1, 2))
    }

    /// Queries or keys `(b, heads, n, head)`, normed where they are, and turned.
    fn turned(
        &self,
        projection: &Projection,
        norm: Option<&RmsNorm>,
        h: &Tensor,
        positions: &Positions,
    ) -> Tensor {
        let x = projection.forward(h).unflatten(-1, [-1, self.head]);
        let x = match norm {
            Some(norm) => norm.forward(&x),
            None => x,
        };
        positions.rotate(&x.transpose(1, 2))
    }

    fn attention(
        &self,
        h: &Tensor,
        positions: &Positions,
        memory: Option<&mut dyn Memory>,
    ) -> Tensor {
        let norms = self.norms.as_ref();
        let q = self.turned(&self.q, norms.map(|(q, _)| q), h, positions);
        let (k, v) = self.keys_values(h, positions);
        let (k, v) = match memory {
            Some(memory) => memory.extend(self.index, &k, &v),
            None => (k, v),
        };
        let out = attend(&q, &k, &v, positions.mask());
        self.o.forward(&out.transpose(1, 2).flatten(2, 3))
    }
}

/// Attention of `(b, heads, n, head)` to `(b, kv heads, all, head)`: `(b, heads, n, head)`. Without a mask it is causal.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let (new, scale) = (q.size()[2], (q.size()[3] as f64).powf(-0.5));
    if q.device() == Device::Cpu && new == 1 {
        // Heads that share keys are rows of one product, five times as fast as the fused kernel in bf16.
        let grouped = (q * scale).view([q.size()[0], k.size()[1], -1, q.size()[3]]);
        let logits = grouped.matmul(&k.transpose(2, 3));
        let seen = match mask {
            Some(mask) => logits + mask,
            None => logits,
        };
        return seen.softmax(-1, None::<Kind>).matmul(v).view_as(q);
    }
    let slow_backward =
        q.kind() == Kind::BFloat16 && q.requires_grad() && q.device() == Device::Cpu;
    if !slow_backward {
        let causal = mask.is_none() && new > 1;
        return Tensor::scaled_dot_product_attention(q, k, v, mask, 0.0, causal, None, true);
    }
    // For training on the CPU in bf16, where the fused kernel's backward takes several times as long.
    let share = q.size()[1] / k.size()[1];
    let [k, v] = [k, v].map(|x| x.repeat_interleave_self_int(share, 1, None));
    let hidden = Tensor::full([new, new], f64::NEG_INFINITY, (Kind::Float, q.device())).triu(1);
    let logits = (q * scale).matmul(&k.transpose(2, 3)).to_kind(Kind::Float) + hidden;
    logits.softmax(-1, Kind::Float).to_kind(q.kind()).matmul(&v)
}
