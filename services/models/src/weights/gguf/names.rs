//! Names and row orders: GGUF's own, and those of Hugging Face checkpoints, which the rest of the crate uses.

use tch::{TchError, Tensor};

/// What a tensor is in a Hugging Face checkpoint.
pub struct Known {
    pub name: String,
    /// For what rotary embedding turns: the metadata key (without its beginning) that tells the number of heads.
    pub rotated: Option<&'static str>,
}

/// The same tensor's name in Hugging Face checkpoints.
pub fn hugging_face(name: &str) -> Option<Known> {
    let plain = |name: &str| {
        Some(Known {
            name: name.to_owned(),
            rotated: None,
        })
    };
    match name {
        "token_embd.weight" => return plain("model.embed_tokens.weight"),
        "output_norm.weight" => return plain("model.norm.weight"),
        "output.weight" => return plain("lm_head.weight"),
        // What Llama 3 files divide the frequencies of the rotation by.
        "rope_freqs.weight" => return plain("rope_freqs.weight"),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let (part, ending) = part.rsplit_once('.')?;
    let biased = ["attn_q", "attn_k", "attn_v", "attn_output"].contains(&part);
    if ending != "weight" && !(ending == "bias" && biased) {
        return None;
    }
    let (part, rotated) = match part {
        "attn_norm" => ("input_layernorm", None),
        "attn_q" => ("self_attn.q_proj", Some("head_count")),
        "attn_k" => ("self_attn.k_proj", Some("head_count_kv")),
        "attn_v" => ("self_attn.v_proj", None),
        "attn_output" => ("self_attn.o_proj", None),
        "attn_q_norm" => ("self_attn.q_norm", None),
        "attn_k_norm" => ("self_attn.k_norm", None),
        "ffn_norm" => ("post_attention_layernorm", None),
        "ffn_gate" => ("mlp.gate_proj", None),
        "ffn_up" => ("mlp.up_proj", None),
        "ffn_down" => ("mlp.down_proj", None),
        _ => return None,
    };
    Some(Known {
        name: format!("model.layers.{layer}.{part}.{ending}"),
        rotated,
    })
}

/// The number of heads, when a weight's or a bias' rows are so many pairs.
pub fn fitting_heads(shape: &[i64], heads: u64) -> Option<i64> {
    let heads = i64::try_from(heads).ok().filter(|heads| *heads > 0)?;
    let rows = *shape.first()?;
    (shape.len() <= 2 && rows % heads.checked_mul(2)? == 0).then_some(heads)
}

/// Files of the architecture `llama` hold the rows of each head as pairs that are turned together; here a head is its first halves, then
/// its second ones. The heads must fit ([`fitting_heads`]).
pub fn by_halves(weight: &Tensor, heads: i64) -> Result<Tensor, TchError> {
    let shape = weight.size();
    weight
        .f_view([heads, shape[0] / heads / 2, 2, -1])?
        .f_transpose(1, 2)?
        .f_reshape(&shape)
}
