//! Shape of a decoder, from GGUF metadata or from a Hugging Face config.json.

use std::{fs, path::Path};

use serde::Deserialize;

use crate::{language::LanguageError, weights::gguf::Gguf};

/// Largest config.json, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// Largest of any size: far above every known model, small enough that products of two fit.
const MAX_SIZE: i64 = 1 << 24;
/// Most layers.
const MAX_LAYERS: i64 = 1024;

/// Shape of a Llama or Qwen3 decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// Tokens it knows.
    pub vocabulary: i64,
    /// Width of the residual stream.
    pub hidden: i64,
    /// Width inside the gated layers.
    pub intermediate: i64,
    /// Blocks.
    pub layers: i64,
    /// Query heads.
    pub heads: i64,
    /// Key and value heads.
    pub kv_heads: i64,
    /// Width of a head.
    pub head: i64,
    /// Of the norms.
    pub eps: f64,
    /// Base of the rotary embedding.
    pub theta: f64,
    /// Queries and keys are normed (Qwen3).
    pub qk_norm: bool,
    /// The output layer is the embedding.
    pub tied: bool,
    /// Most tokens it reads.
    pub context: usize,
}

#[derive(Deserialize)]
struct HuggingFace {
    model_type: String,
    vocab_size: i64,
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    num_key_value_heads: Option<i64>,
    head_dim: Option<i64>,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<serde_json::Value>,
    rope_parameters: Option<Rope>,
    #[serde(default)]
    tie_word_embeddings: bool,
    hidden_act: String,
    max_position_embeddings: usize,
    #[serde(default)]
    use_sliding_window: bool,
    layer_types: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Rope {
    rope_type: String,
    rope_theta: f64,
}

impl DecoderConfig {
    /// From the metadata of a GGUF file.
    pub fn from_gguf(file: &Gguf) -> Result<Self, LanguageError> {
        let family = file.text("general.architecture")?;
        if !["llama", "qwen3"].contains(&family) {
            return Err(file
                .malformed(format!(
                    "architecture {family:?}; llama and qwen3 are computed"
                ))
                .into());
        }
        let key = |name: &str| format!("{family}.{name}");
        let size = |name: &str| {
            Ok::<_, LanguageError>(file.unsigned(&key(name))?.min(MAX_SIZE as u64 + 1) as i64)
        };
        if let Some(kind) = file.value(&key("rope.scaling.type"))
            && *kind != crate::weights::gguf::Value::Text("none".into())
        {
            return Err(file
                .malformed(format!("rope scaling {kind:?} is not computed"))
                .into());
        }
        let (hidden, heads) = (size("embedding_length")?, size("attention.head_count")?);
        let head = match file.value(&key("attention.key_length")) {
            Some(_) => size("attention.key_length")?,
            None => hidden / heads.max(1),
        };
        let embedding = file.shape("token_embd.weight").unwrap_or_default();
        let config = Self {
            vocabulary: embedding.first().copied().unwrap_or(0),
            hidden,
            intermediate: size("feed_forward_length")?,
            layers: size("block_count")?,
            heads,
            kv_heads: match file.value(&key("attention.head_count_kv")) {
                Some(_) => size("attention.head_count_kv")?,
                None => heads,
            },
            head,
            eps: file.float(&key("attention.layer_norm_rms_epsilon"))?,
            theta: match file.value(&key("rope.freq_base")) {
                Some(_) => file.float(&key("rope.freq_base"))?,
                None => 10_000.0,
            },
            qk_norm: family == "qwen3",
            tied: file.shape("output.weight").is_none(),
            context: size("context_length")? as usize,
        };
        config.check().map_err(|what| file.malformed(what))?;
        Ok(config)
    }

    /// From a Hugging Face config.json.
    pub fn from_json(path: &Path) -> Result<Self, LanguageError> {
        let unsupported = |what: String| LanguageError::Unsupported(path.to_owned(), what);
        let size = fs::metadata(path)
            .map_err(|error| unsupported(error.to_string()))?
            .len();
        if size > MAX_CONFIG {
            return Err(unsupported(format!(
                "{size} bytes, at most {MAX_CONFIG} are read"
            )));
        }
        let bytes = fs::read(path).map_err(|error| unsupported(error.to_string()))?;
        let read: HuggingFace =
            serde_json::from_slice(&bytes).map_err(|error| unsupported(error.to_string()))?;
        read.check().map_err(unsupported)?;
        let theta = match (&read.rope_parameters, read.rope_theta) {
            (Some(rope), _) => rope.rope_theta,
            (None, Some(theta)) => theta,
            (None, None) => 10_000.0,
        };
        let config = Self {
            vocabulary: read.vocab_size,
            hidden: read.hidden_size,
            intermediate: read.intermediate_size,
            layers: read.num_hidden_layers,
            heads: read.num_attention_heads,
            kv_heads: read.num_key_value_heads.unwrap_or(read.num_attention_heads),
            head: read
                .head_dim
                .unwrap_or(read.hidden_size / read.num_attention_heads.max(1)),
            eps: read.rms_norm_eps,
            theta,
            qk_norm: read.model_type == "qwen3",
            tied: read.tie_word_embeddings,
            context: read.max_position_embeddings,
        };
        config.check().map_err(unsupported)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocabulary", self.vocabulary),
            ("hidden size", self.hidden),
            ("intermediate size", self.intermediate),
            ("heads", self.heads),
            ("key and value heads", self.kv_heads),
            ("head size", self.head),
            ("context", i64::try_from(self.context).unwrap_or(i64::MAX)),
        ];
        if let Some((what, size)) = sizes
            .iter()
            .find(|(_, size)| !(1..=MAX_SIZE).contains(size))
        {
            return Err(format!("a {what} of {size}"));
        }
        if !(1..=MAX_LAYERS).contains(&self.layers) {
            return Err(format!("{} layers", self.layers));
        }
        if self.heads % self.kv_heads != 0 || self.head % 2 != 0 {
            return Err(format!(
                "{} heads of {} with {} for keys and values",
                self.heads, self.head, self.kv_heads
            ));
        }
        let number = |number: f64, most: f64| number > 0.0 && number <= most;
        if !number(self.eps, 1.0) || !number(self.theta, 1e12) {
            return Err(format!(
                "a norm's epsilon of {} and a rotation's base of {}",
                self.eps, self.theta
            ));
        }
        Ok(())
    }
}

impl HuggingFace {
    /// Refuses what would be computed wrongly if it were ignored.
    fn check(&self) -> Result<(), String> {
        if !["llama", "qwen3"].contains(&self.model_type.as_str()) {
            return Err(format!(
                "model type {:?}; llama and qwen3 are computed",
                self.model_type
            ));
        }
        if self.hidden_act != "silu" {
            return Err(format!("activation {:?} is not computed", self.hidden_act));
        }
        let rope = self
            .rope_parameters
            .as_ref()
            .map_or("default", |rope| rope.rope_type.as_str());
        if rope != "default"
            || self
                .rope_scaling
                .as_ref()
                .is_some_and(|scaling| !scaling.is_null())
        {
            return Err(format!("rope scaling ({rope}) is not computed"));
        }
        let full = |kind: &String| kind == "full_attention";
        if self.use_sliding_window
            || self
                .layer_types
                .as_ref()
                .is_some_and(|types| !types.iter().all(full))
        {
            return Err("sliding windows are not computed".into());
        }
        Ok(())
    }
}
