//! Of prompts as renderers read them.

use serde_json::json;
use tch::{Kind, Tensor};

use super::{Mutation, Subject, rope};

pub(super) const TEXTS: &[Mutation] = &[
    Mutation::new("a layer before the tapped ones", |s| {
        s.change_facts(|facts| facts["read"] = json!([1, 3, 4]))
    }),
    Mutation::new("a layer behind the tapped ones", |s| {
        s.change_facts(|facts| facts["read"] = json!([3, 5, 6]))
    }),
    Mutation::new("taps in another order", |s| {
        s.change_facts(|facts| facts["read"] = json!([4, 2, 5]))
    }),
    Mutation::new("the mask ends one token late", |s| mask(s, 1)),
    Mutation::new("the mask ends one token early", |s| mask(s, -1)),
    Mutation::new("nothing is masked", |s| {
        for case in ["short", "padded"] {
            s.change_input(&format!("{case}.attention_mask"), Tensor::ones_like);
        }
    }),
    Mutation::new("another token is padding", |s| {
        s.change_json("tokenizer_config.json", |json| {
            json["pad_token"] = json!("<|im_end|>")
        });
    }),
    Mutation::new("shorter padding", |s| {
        s.change_facts(|facts| facts["most"] = json!(511))
    }),
    Mutation::new("thoughts where there are none", |s| {
        let path = s.checkpoint.join("chat_template.jinja");
        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replace("not enable_thinking", "enable_thinking");
        std::fs::write(path, text).unwrap();
    }),
    Mutation::new("another base of the rotation", |s| {
        rope(s, "rope_theta", json!(10_000.0))
    }),
];

/// Moves the end of what is read of every padded prompt.
fn mask(subject: &mut Subject, by: i64) {
    for case in ["short", "padded"] {
        subject.change_input(&format!("{case}.attention_mask"), |mask| {
            let real = mask.sum(Kind::Int64).int64_value(&[]) + by;
            let all = mask.size()[1];
            Tensor::arange(all, (Kind::Int64, mask.device()))
                .lt(real)
                .to_kind(Kind::Int64)
                .unsqueeze(0)
        });
    }
}
