//! What a port of these models could do wrong.

mod adapter;
mod decoder;
mod prompts;

use tch::Tensor;

use super::{Mutation, Subject, assert_all_caught, decoding, texts};

#[test]
fn every_mistake_in_a_decoder_is_caught() {
    assert_all_caught("qwen3", "qwen3", decoding::check, decoder::QWEN3);
    assert_all_caught("qwen2", "qwen2", decoding::check, decoder::QWEN2);
    assert_all_caught("llama", "llama", decoding::check, decoder::LLAMA);
}

#[test]
fn every_mistake_in_a_prompts_states_is_caught() {
    assert_all_caught("qwen3", "texts", texts::check, prompts::TEXTS);
}

#[test]
fn every_mistake_in_an_adapter_is_caught() {
    assert_all_caught("adapter", "adapter", decoding::adapter, adapter::ADAPTER);
}

fn rope(subject: &mut Subject, key: &str, value: serde_json::Value) {
    subject.change_json("config.json", |config| {
        config["rope_parameters"][key] = value;
    });
}

/// All tensors whose names end like this.
fn tensors(subject: &mut Subject, end: &str, change: impl Fn(&Tensor) -> Tensor) {
    subject.change_tensors(".", |tensors| {
        let mut changed = 0;
        for (name, tensor) in tensors.iter_mut() {
            if name.ends_with(end) {
                *tensor = change(tensor);
                changed += 1;
            }
        }
        assert!(changed > 0, "there is no {end}");
    });
}

/// Two tensors of every layer change places.
fn swap(subject: &mut Subject, one: &str, other: &str) {
    subject.change_tensors(".", |tensors| {
        let names: Vec<String> = tensors
            .keys()
            .filter(|name| name.ends_with(one))
            .cloned()
            .collect();
        assert!(!names.is_empty(), "there is no {one}");
        for name in names {
            let twin = name.replace(one, other);
            let (a, b) = (tensors[&name].copy(), tensors[&twin].copy());
            tensors.insert(name, b);
            tensors.insert(twin, a);
        }
    });
}
