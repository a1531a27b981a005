//! Names and row orders: GGUF's own, and those of Hugging Face checkpoints, which the rest of the crate uses.

use tch::Tensor;

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
        _ => {}
    }
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let (part, rotated) = match part.strip_suffix(".weight")? {
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
        name: format!("model.layers.{layer}.{part}.weight"),
        rotated,
    })
}

/// Files of the architecture `llama` hold the rows of each head as pairs that are turned together; here a head is its first halves, then
/// its second ones. None when the rows do not fit.
pub fn by_halves(weight: &Tensor, heads: u64) -> Option<Tensor> {
    let heads = i64::try_from(heads).ok().filter(|heads| *heads > 0)?;
    let [rows, columns] = weight.size()[..] else {
        return None;
    };
    (rows % (2 * heads) == 0).then(|| {
        weight
            .view([heads, rows / heads / 2, 2, columns])
            .transpose(1, 2)
            .reshape([rows, columns])
    })
}
