//! From the metadata of a GGUF file.

use super::{Biases, DecoderConfig, MAX_SIZE};
use crate::{
    language::{
        LanguageError,
        decoder::rope::{Rope, Scaling},
    },
    weights::gguf::{Gguf, Value},
};

/// The architectures that are computed.
const FAMILIES: [&str; 3] = ["llama", "qwen2", "qwen3"];

impl DecoderConfig {
    /// From the metadata of a GGUF file.
    pub fn from_gguf(file: &Gguf) -> Result<Self, LanguageError> {
        let family = file.text("general.architecture")?;
        if !FAMILIES.contains(&family) {
            return Err(file
                .malformed(format!(
                    "architecture {family:?}; {} are computed",
                    FAMILIES.join(", ")
                ))
                .into());
        }
        let key = |name: &str| format!("{family}.{name}");
        let size = |name: &str| {
            Ok::<_, LanguageError>(file.unsigned(&key(name))?.min(MAX_SIZE as u64 + 1) as i64)
        };
        let size_or = |name: &str, other: i64| match file.value(&key(name)) {
            Some(_) => size(name),
            None => Ok(other),
        };
        let (hidden, heads) = (size("embedding_length")?, size("attention.head_count")?);
        let head = size_or("attention.key_length", hidden / heads.max(1))?;
        let turned = size_or("rope.dimension_count", head)?;
        if turned != head || size_or("attention.value_length", head)? != head {
            return Err(file
                .malformed(format!("heads of {head} of which {turned} are turned"))
                .into());
        }
        let embedding = file.shape("token_embd.weight").unwrap_or_default();
        let there = |name: &str| file.shape(name).is_some();
        let config = Self {
            vocabulary: embedding.first().copied().unwrap_or(0),
            hidden,
            intermediate: size("feed_forward_length")?,
            layers: size("block_count")?,
            heads,
            kv_heads: size_or("attention.head_count_kv", heads)?,
            head,
            eps: file.float(&key("attention.layer_norm_rms_epsilon"))?,
            rope: rope(file, family)?,
            qk_norm: family == "qwen3",
            biases: Biases {
                qkv: family == "qwen2" || there("blk.0.attn_q.bias"),
                output: there("blk.0.attn_output.bias"),
                mlp: false,
            },
            tied: !there("output.weight"),
            context: size("context_length")? as usize,
        };
        config.check().map_err(|what| file.malformed(what))?;
        Ok(config)
    }
}

/// Factors for single pairs, as Llama 3's files bring them, are a tensor: the decoder reads it with its weights.
fn rope(file: &Gguf, family: &str) -> Result<Rope, LanguageError> {
    let key = |name: &str| format!("{family}.rope.{name}");
    let theta = match file.value(&key("freq_base")) {
        Some(_) => file.float(&key("freq_base"))?,
        None => 10_000.0,
    };
    let scaling = match file.value(&key("scaling.type")) {
        None => Scaling::None,
        Some(Value::Text(kind)) if kind == "none" => Scaling::None,
        Some(Value::Text(kind)) if kind == "linear" => Scaling::Linear {
            factor: file.float(&key("scaling.factor"))?,
        },
        Some(kind) => {
            return Err(file
                .malformed(format!(
                    "rope scaling {kind:?} is not computed; none and linear are"
                ))
                .into());
        }
    };
    Ok(Rope { theta, scaling })
}
