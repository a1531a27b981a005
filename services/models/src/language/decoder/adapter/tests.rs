use serde_json::{Value as Json, json};

use super::{Config, module, part};

fn with(changes: Json) -> Result<Config, String> {
    let mut config = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "up_proj"], "bias": "none"});
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    Config::parse(config.to_string().as_bytes())
}

#[test]
fn ranks_and_scales_follow_the_patterns() {
    let config = with(json!({
        "rank_pattern": {"layers.1.mlp.up_proj": 16}, "alpha_pattern": {"q_proj": 2}, "layers_to_transform": [0, 1],
    }))
    .unwrap();
    let of = |module| config.rank_and_scale(module);
    assert_eq!(of("model.layers.0.mlp.up_proj"), (4, 2.0));
    assert_eq!(of("model.layers.1.mlp.up_proj"), (16, 0.5));
    assert_eq!(of("model.layers.11.mlp.up_proj"), (4, 2.0));
    assert_eq!(of("model.layers.0.self_attn.q_proj"), (4, 0.5));
    assert_eq!(config.target("model.layers.1.mlp.up_proj"), Some("up_proj"));
    assert_eq!(config.target("model.layers.2.mlp.up_proj"), None);
    assert_eq!(config.target("model.layers.1.mlp.down_proj"), None);
    let stabilised = with(json!({"use_rslora": true})).unwrap();
    assert_eq!(
        stabilised.rank_and_scale("model.layers.0.mlp.up_proj"),
        (4, 4.0)
    );
}

#[test]
fn what_is_not_computed_is_refused_with_a_sentence() {
    for (changes, named) in [
        (json!({"peft_type": "IA3"}), "IA3"),
        (json!({"use_dora": true}), "use_dora"),
        (json!({"modules_to_save": ["lm_head"]}), "modules_to_save"),
        (json!({"bias": "all"}), "all"),
        (json!({"init_lora_weights": "pissa"}), "pissa"),
        (json!({"target_modules": ".*_proj"}), "expressions"),
        (json!({"target_modules": ["embed_tokens"]}), "embed_tokens"),
        (json!({"rank_pattern": {"^model.*": 2}}), "^model.*"),
        (json!({"rank_pattern": {"q_proj": 0}}), "rank of 0"),
        (json!({"r": 5000}), "rank of 5000"),
        (json!({"lora_alpha": "much"}), "invalid type"),
    ] {
        let error = with(changes.clone()).err().unwrap_or_default();
        assert!(error.contains(named), "{changes}: {error:?}");
    }
}

#[test]
fn only_projections_of_layers_are_known() {
    let name = "base_model.model.model.layers.3.mlp.up_proj.lora_A.weight";
    assert_eq!(module(name), Some("model.layers.3.mlp.up_proj"));
    assert_eq!(part(name), Some(("model.layers.3.mlp.up_proj", "A")));
    for other in [
        "base_model.model.model.layers.3.mlp.up_proj.lora_E.weight",
        "base_model.model.model.layers.x.mlp.up_proj.lora_A.weight",
        "base_model.model.model.layers.3.mlp.gate.lora_A.weight",
        "base_model.model.lm_head.lora_A.weight",
        "model.layers.3.mlp.up_proj.lora_A.weight",
    ] {
        assert_eq!(module(other), None, "{other}");
    }
}
