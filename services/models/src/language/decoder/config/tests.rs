use serde_json::{Value as Json, json};

use super::DecoderConfig;
use crate::language::decoder::rope::{Rope, Scaling};

fn llama() -> Json {
    json!({
        "model_type": "llama", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "max_position_embeddings": 512, "rope_theta": 500000.0, "rope_scaling": null, "attention_bias": false,
    })
}

fn with(changes: Json) -> Result<DecoderConfig, String> {
    let mut config = llama();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    DecoderConfig::parse(config)
}

#[test]
fn families_differ_in_norms_and_biases() {
    let config = with(json!({})).unwrap();
    assert_eq!(
        (config.head, config.qk_norm, config.tied),
        (16, false, false)
    );
    assert_eq!(config.rope, Rope::new(500_000.0));
    assert!(!config.biases.qkv);
    let config = with(json!({"model_type": "qwen2"})).unwrap();
    assert!(config.biases.qkv && !config.biases.output && !config.qk_norm);
    let config =
        with(json!({"model_type": "qwen3", "head_dim": 32, "attention_bias": true})).unwrap();
    assert!(config.biases.qkv && config.biases.output && config.qk_norm && config.head == 32);
}

#[test]
fn both_ways_to_write_a_rotation_are_read() {
    let long = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192, "rope_theta": 1e6,
    });
    let scaling = Scaling::Llama3 {
        factor: 8.0,
        low: 1.0,
        high: 4.0,
        original: 8192.0,
    };
    let newer = with(json!({"rope_parameters": long, "rope_theta": null})).unwrap();
    assert_eq!(
        newer.rope,
        Rope {
            theta: 1e6,
            scaling
        }
    );
    let older = with(json!({"rope_scaling": {"type": "linear", "factor": 2.0}})).unwrap();
    assert_eq!(
        older.rope,
        Rope {
            theta: 5e5,
            scaling: Scaling::Linear { factor: 2.0 }
        }
    );
    let plain =
        with(json!({"rope_parameters": {"rope_type": "default", "rope_theta": 7.0}})).unwrap();
    assert_eq!(plain.rope, Rope::new(7.0));
}

#[test]
fn what_would_be_computed_wrongly_is_refused_with_a_sentence() {
    for (changes, named) in [
        (
            json!({"rope_scaling": {"type": "yarn", "factor": 4.0}}),
            "yarn",
        ),
        (
            json!({"rope_scaling": {"rope_type": "llama3", "factor": 4.0}}),
            "low_freq_factor",
        ),
        (
            json!({"rope_scaling": {"type": "linear", "factor": -1.0}}),
            "Linear",
        ),
        (json!({"rope_theta": 0.0}), "base of 0"),
        (json!({"partial_rotary_factor": 0.5}), "0.5"),
        (json!({"hidden_act": "gelu"}), "gelu"),
        (json!({"model_type": "mamba"}), "mamba"),
        (json!({"use_sliding_window": true}), "sliding"),
        (json!({"layer_types": ["sliding_attention"]}), "sliding"),
        (json!({"quantization_config": {"bits": 4}}), "quantised"),
        (json!({"num_key_value_heads": 3}), "3 for keys"),
        (json!({"num_attention_heads": 0}), "heads of 0"),
        (json!({"head_dim": 5}), "heads of 5"),
        (json!({"num_hidden_layers": 5000}), "5000 layers"),
        (json!({"vocab_size": -3}), "vocabulary of -3"),
        (json!({"rms_norm_eps": 0.0}), "epsilon of 0"),
        (json!({"vocab_size": "many"}), "invalid type"),
    ] {
        let error = with(changes.clone()).err().unwrap_or_default();
        assert!(error.contains(named), "{changes}: {error:?}");
    }
}

#[test]
fn slow_pairs_are_stretched_and_fast_ones_are_not() {
    let scaling = Scaling::Llama3 {
        factor: 8.0,
        low: 1.0,
        high: 4.0,
        original: 8192.0,
    };
    let plain = Rope::new(5e5).frequencies(128);
    let scaled = Rope {
        theta: 5e5,
        scaling,
    }
    .frequencies(128);
    assert_eq!((plain.len(), plain[0], plain[0]), (64, 1.0, scaled[0]));
    assert!((plain[63] / scaled[63] - 8.0).abs() < 1e-9);
    let between = scaled
        .iter()
        .zip(&plain)
        .filter(|(s, p)| *s < *p && **s > **p / 8.0 * 1.001);
    assert!((1..20).contains(&between.count()));
    let linear = Rope {
        theta: 5e5,
        scaling: Scaling::Linear { factor: 4.0 },
    };
    assert_eq!(linear.frequencies(128)[0], 0.25);
}
