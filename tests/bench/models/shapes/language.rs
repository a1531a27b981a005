//! Language models: texts written one by one, sixteen at once, and a plan behind the examples that all plans begin with.

use serde_json::{Value as Json, json};

use super::{Case, Work};

/// Of a plan, as the shipped planner reads them once for all.
const EXAMPLES: i64 = 512;
/// Tokens of a plan.
const PLAN: i64 = 250;

fn llama(vocabulary: i64, width: i64, inner: i64, layers: i64, heads: [i64; 2]) -> Json {
    json!({
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads[0], "num_key_value_heads": heads[1], "head_dim": width / heads[0], "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "max_position_embeddings": 8192, "rope_theta": 100_000.0, "tie_word_embeddings": true,
        "attention_bias": false, "mlp_bias": false,
    })
}

pub(super) fn qwen3(vocabulary: i64, width: i64, inner: i64, layers: i64, heads: [i64; 2]) -> Json {
    json!({
        "model_type": "qwen3", "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads[0], "num_key_value_heads": heads[1], "head_dim": 128_i64.min(width / 2), "rms_norm_eps": 1e-6,
        "hidden_act": "silu", "max_position_embeddings": 40_960, "rope_theta": 1e6, "tie_word_embeddings": true,
        "attention_bias": false,
    })
}

/// The cases of a configuration.
pub fn cases(configuration: &str) -> Vec<Case> {
    let (name, config, tokens) = match configuration {
        "tiny" => ("qwen3 tiny", qwen3(1_024, 96, 256, 4, [4, 2]), 32),
        "100m" => ("SmolLM2 135 M", llama(49_152, 576, 1_536, 30, [9, 3]), 16),
        "4b" => ("Qwen3 4 B", qwen3(151_936, 2_560, 9_728, 36, [32, 8]), 64),
        _ => return Vec::new(),
    };
    let case = |what: &str, texts, behind, tokens| {
        let work = Work::Write {
            texts,
            behind,
            prompt: 16,
            tokens,
        };
        Case::new(&format!("{name}, {what}"), config.clone(), work)
    };
    vec![
        case(&format!("{tokens} tokens of one text"), 1, 0, tokens),
        case(&format!("{tokens} tokens of 16 texts"), 16, 0, tokens),
        case(&format!("plan of {PLAN} tokens"), 1, EXAMPLES, PLAN),
    ]
}
