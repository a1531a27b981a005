//! Of decoders, from the tokenizer to the output layer.

use serde_json::json;
use tch::{Kind, Tensor};

use super::{Mutation, Subject, rope, swap, tensors};

pub(super) const QWEN3: &[Mutation] = &[
    Mutation::new("another base of the rotation", |s| {
        rope(s, "rope_theta", json!(10_000.0))
    }),
    Mutation::new("neighbours are turned instead of halves", |s| {
        tensors(s, "q_proj.weight", neighbours(4));
        tensors(s, "k_proj.weight", neighbours(2));
    }),
    Mutation::new("no norm of queries", |s| {
        tensors(s, "q_norm.weight", Tensor::ones_like)
    }),
    Mutation::new("no norm of keys", |s| {
        tensors(s, "k_norm.weight", Tensor::ones_like)
    }),
    Mutation::new("a family without these norms", |s| {
        config(s, "model_type", json!("llama"))
    }),
    Mutation::new("the norms change places", |s| {
        swap(
            s,
            "input_layernorm.weight",
            "post_attention_layernorm.weight",
        );
    }),
    Mutation::new("no last norm", |s| {
        s.change_tensor(".", "model.norm.weight", Tensor::ones_like)
    }),
    Mutation::new("a norm's epsilon", |s| {
        config(s, "rms_norm_eps", json!(1e-2))
    }),
    Mutation::new("gate and up change places", |s| {
        swap(s, "gate_proj.weight", "up_proj.weight")
    }),
    Mutation::new("heads are dealt to keys one by one", |s| {
        tensors(s, "q_proj.weight", dealt)
    }),
    Mutation::new("keys are values", |s| {
        swap(s, "k_proj.weight", "v_proj.weight")
    }),
    Mutation::new("queries are scaled by the hidden size", |s| {
        tensors(s, "q_norm.weight", |norm| norm * (16.0_f64 / 12.0).sqrt());
    }),
    Mutation::new("heads as wide as the hidden size allows", |s| {
        config(s, "head_dim", json!(12))
    }),
    Mutation::new("one layer less", |s| {
        config(s, "num_hidden_layers", json!(5))
    }),
    Mutation::new("one layer more", |s| {
        config(s, "num_hidden_layers", json!(7))
    }),
    Mutation::new("an output layer of its own", |s| {
        config(s, "tie_word_embeddings", json!(false))
    }),
    Mutation::new("another output layer than the embedding", |s| {
        s.change_tensors(".", |all| {
            let other = all["model.embed_tokens.weight"].flip([0]);
            all.insert("lm_head.weight".into(), other);
        });
    }),
    Mutation::new("a tensor that nobody reads", |s| {
        s.change_tensors(".", |all| {
            let extra = all["model.norm.weight"].copy();
            all.insert("model.layers.0.self_attn.q_proj.bias".into(), extra);
        });
    }),
    Mutation::new("a tensor is missing", |s| {
        s.change_tensors(".", |all| {
            let _lost = all.remove("model.layers.3.mlp.down_proj.weight").unwrap();
        });
    }),
    Mutation::new("layers in another order", |s| {
        swap(
            s,
            "layers.1.mlp.up_proj.weight",
            "layers.2.mlp.up_proj.weight",
        )
    }),
    Mutation::new("a projection is transposed", |s| {
        tensors(s, "o_proj.weight", |w| w.tr().contiguous())
    }),
    Mutation::new("weights of lower precision", |s| {
        tensors(s, "down_proj.weight", |w| {
            w.to_kind(Kind::Float8e4m3fn).to_kind(Kind::Float)
        });
    }),
    Mutation::new("the template's thoughts", |s| {
        std::fs::write(
            s.checkpoint.join("chat_template.jinja"),
            "{{ messages[0].content }}",
        )
        .unwrap();
    }),
    Mutation::new("text is not split before merging", |s| {
        s.change_json("tokenizer.json", |json| {
            json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("\\s+")
        });
    }),
    Mutation::new("a batch's padding is read", |s| {
        s.change_input("batch_mask", Tensor::ones_like);
    }),
];

pub(super) const QWEN2: &[Mutation] = &[
    Mutation::new("no biases", |s| {
        tensors(s, "_proj.bias", Tensor::zeros_like)
    }),
    Mutation::new("a family without biases", |s| {
        config(s, "model_type", json!("llama"))
    }),
    Mutation::new("no bias of values", |s| {
        tensors(s, "v_proj.bias", Tensor::zeros_like)
    }),
    Mutation::new("the output layer is the embedding", |s| {
        config(s, "tie_word_embeddings", json!(true))
    }),
    Mutation::new("a rotation that is not stretched", |s| {
        rope(s, "rope_type", json!("default"))
    }),
    Mutation::new("a rotation stretched otherwise", |s| {
        rope(s, "factor", json!(2.0))
    }),
    Mutation::new("a way to stretch that is not known", |s| {
        rope(s, "rope_type", json!("yarn"))
    }),
    Mutation::new("no system turn of its own", |s| {
        let path = s.checkpoint.join("chat_template.jinja");
        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replace("messages[0]['content']", "''");
        std::fs::write(path, text).unwrap();
    }),
];

pub(super) const LLAMA: &[Mutation] = &[
    Mutation::new("a rotation that is not stretched", |s| {
        rope(s, "rope_type", json!("default"))
    }),
    Mutation::new("all pairs are stretched", |s| {
        rope(s, "rope_type", json!("linear"))
    }),
    Mutation::new("slow pairs begin elsewhere", |s| {
        rope(s, "low_freq_factor", json!(2.0))
    }),
    Mutation::new("another original context", |s| {
        rope(s, "original_max_position_embeddings", json!(128))
    }),
    Mutation::new("no biases of the gated layers", |s| {
        config(s, "mlp_bias", json!(false))
    }),
    Mutation::new("no bias behind the attention", |s| {
        tensors(s, "o_proj.bias", Tensor::zeros_like)
    }),
    Mutation::new("texts begin without their token", |s| {
        s.change_json("tokenizer_config.json", |json| {
            json["bos_token"] = json!("")
        });
    }),
    Mutation::new("a norm's epsilon", |s| {
        config(s, "rms_norm_eps", json!(1e-2))
    }),
];

fn config(subject: &mut Subject, key: &str, value: serde_json::Value) {
    subject.change_json("config.json", |config| {
        assert_ne!(config[key], value, "{key} changes nothing");
        config[key] = value;
    });
}

/// Rows of heads as a port that turns neighbours instead of halves would read them.
fn neighbours(heads: i64) -> impl Fn(&Tensor) -> Tensor {
    move |weight| {
        let size = weight.size();
        let head = weight.view([heads, 2, size[0] / heads / 2, -1]);
        head.transpose(1, 2).reshape(&size)
    }
}

/// Query heads in the order of a port that deals them to the key heads one by one.
fn dealt(weight: &Tensor) -> Tensor {
    let size = weight.size();
    weight
        .view([2, 2, size[0] / 4, -1])
        .transpose(0, 1)
        .reshape(&size)
}
