//! From a Hugging Face config.json. What would be computed wrongly if it were ignored is refused.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Biases, DecoderConfig};
use crate::{
    bounded,
    language::{
        LanguageError,
        decoder::rope::{Rope, Scaling},
    },
};

/// Largest config.json, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// The language part of a vision model.
const OF_VISION: &str = "qwen3_vl_text";

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
    rope_scaling: Option<RopeParameters>,
    rope_parameters: Option<RopeParameters>,
    partial_rotary_factor: Option<f64>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    tie_word_embeddings: Option<bool>,
    hidden_act: String,
    max_position_embeddings: usize,
    use_sliding_window: Option<bool>,
    layer_types: Option<Vec<String>>,
    quantization_config: Option<Json>,
}

/// Both the older `rope_scaling` and the newer `rope_parameters`, which holds the base as well.
#[derive(Deserialize, Default)]
struct RopeParameters {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    partial_rotary_factor: Option<f64>,
}

impl DecoderConfig {
    /// From the config.json of a language model by itself: that of a vision model's part is refused.
    pub fn from_json(path: &Path) -> Result<Self, LanguageError> {
        let unsupported = |what: String| LanguageError::Unsupported(path.to_owned(), what);
        let bytes =
            bounded::read(path, MAX_CONFIG).map_err(|error| unsupported(error.to_string()))?;
        let config: Json =
            serde_json::from_slice(&bytes).map_err(|error| unsupported(error.to_string()))?;
        if config["model_type"] == OF_VISION {
            // Its tensors have the same names and shapes, but klein was trained with Qwen3's own and draws worse with these.
            return Err(unsupported(format!(
                "{OF_VISION} is a part of a vision model, which neither writes plans nor encodes prompts here"
            )));
        }
        Self::parse(config).map_err(unsupported)
    }

    /// From what config.json holds, or from the part about text of a larger model's (`text_config`). Only what such a decoder is made of:
    /// how a larger model places its pictures is its own business.
    pub fn parse(config: Json) -> Result<Self, String> {
        let read: HuggingFace =
            serde_json::from_value(config).map_err(|error| error.to_string())?;
        read.refuse_unknown()?;
        // Qwen2 has biases without saying so.
        let biased = read.attention_bias.unwrap_or(false);
        let qwen2 = read.model_type == "qwen2";
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
            rope: read.rope()?,
            qk_norm: ["qwen3", OF_VISION].contains(&read.model_type.as_str()),
            biases: Biases {
                qkv: qwen2 || biased,
                output: !qwen2 && biased,
                mlp: read.mlp_bias.unwrap_or(false),
            },
            tied: read.tie_word_embeddings.unwrap_or(false),
            context: read.max_position_embeddings,
        };
        config.check()?;
        Ok(config)
    }
}

impl HuggingFace {
    const FAMILIES: [&str; 4] = ["llama", "qwen2", "qwen3", OF_VISION];

    fn refuse_unknown(&self) -> Result<(), String> {
        if !Self::FAMILIES.contains(&self.model_type.as_str()) {
            return Err(format!(
                "model type {:?}; {} are computed",
                self.model_type,
                Self::FAMILIES.join(", ")
            ));
        }
        if self.hidden_act != "silu" {
            return Err(format!("activation {:?} is not computed", self.hidden_act));
        }
        if self.quantization_config.is_some() {
            return Err(
                "quantised safetensors are not read; use the checkpoint in bf16, or a GGUF file"
                    .into(),
            );
        }
        let full = |kind: &String| kind == "full_attention";
        let windows = self
            .layer_types
            .as_ref()
            .is_some_and(|types| !types.iter().all(full));
        if self.use_sliding_window.unwrap_or(false) || windows {
            return Err("sliding windows are not computed".into());
        }
        Ok(())
    }

    fn rope(&self) -> Result<Rope, String> {
        let none = RopeParameters::default();
        let (newer, older) = (self.rope_parameters.as_ref(), self.rope_scaling.as_ref());
        let parameters = newer.or(older).unwrap_or(&none);
        let theta = parameters
            .rope_theta
            .or(self.rope_theta)
            .unwrap_or(10_000.0);
        let partial = parameters
            .partial_rotary_factor
            .or(self.partial_rotary_factor)
            .unwrap_or(1.0);
        if partial != 1.0 {
            return Err(format!(
                "only {partial} of a head is turned, which is not computed"
            ));
        }
        let number = |value: Option<f64>, name: &str| {
            value.ok_or_else(|| format!("the rope scaling has no {name}"))
        };
        let kind = parameters.rope_type.as_deref().unwrap_or("default");
        let scaling = match kind {
            "default" => Scaling::None,
            "linear" => Scaling::Linear {
                factor: number(parameters.factor, "factor")?,
            },
            "llama3" => Scaling::Llama3 {
                factor: number(parameters.factor, "factor")?,
                low: number(parameters.low_freq_factor, "low_freq_factor")?,
                high: number(parameters.high_freq_factor, "high_freq_factor")?,
                original: number(
                    parameters.original_max_position_embeddings,
                    "original_max_position_embeddings",
                )?,
            },
            other => {
                return Err(format!(
                    "rope scaling {other:?} is not computed; default, linear and llama3 are"
                ));
            }
        };
        Ok(Rope { theta, scaling })
    }
}
