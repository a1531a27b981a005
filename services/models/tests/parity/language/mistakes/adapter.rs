//! Of adapters.

use serde_json::json;

use super::{Mutation, Subject, swap};

pub(super) const ADAPTER: &[Mutation] = &[
    Mutation::new("another scale", |s| peft(s, "lora_alpha", json!(12))),
    Mutation::new("alpha by the rank instead of its root", |s| {
        peft(s, "use_rslora", json!(false))
    }),
    Mutation::new("one scale for all", |s| peft(s, "alpha_pattern", json!({}))),
    Mutation::new("one rank for all", |s| peft(s, "rank_pattern", json!({}))),
    Mutation::new("some layers only", |s| {
        peft(s, "layers_to_transform", json!([0, 1]))
    }),
    Mutation::new("a projection less", |s| {
        peft(
            s,
            "target_modules",
            json!([
                "q_proj",
                "k_proj",
                "v_proj",
                "o_proj",
                "gate_proj",
                "up_proj"
            ]),
        );
    }),
    Mutation::new("A and B change places", |s| {
        swap(s, "lora_A.weight", "lora_B.weight")
    }),
    Mutation::new("only A", |s| {
        s.change_tensors(".", |all| {
            all.retain(|name, _| !name.contains("layers.2.mlp.up_proj.lora_B"))
        });
    }),
    Mutation::new("a layer that the model lacks", |s| {
        s.change_tensors(".", |all| {
            let names: Vec<String> = all
                .keys()
                .filter(|name| name.contains("layers.5."))
                .cloned()
                .collect();
            for name in names {
                let tensor = all[&name].copy();
                all.insert(name.replace("layers.5.", "layers.6."), tensor);
            }
        });
    }),
    Mutation::new("weight-decomposed", |s| peft(s, "use_dora", json!(true))),
];

fn peft(subject: &mut Subject, key: &str, value: serde_json::Value) {
    subject.change_json("adapter_config.json", |config| {
        assert_ne!(config[key], value, "{key} changes nothing");
        config[key] = value;
    });
}
