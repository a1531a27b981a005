//! Families of checkpoints, and what can be done with each here.

use serde::Serialize;
use serde_json::Value as Json;

use crate::renderer::ModelIndex;

/// What can be done with a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Write text.
    Say,
    /// Draw pictures.
    Draw,
    /// Answer questions about pictures.
    Ask,
}

/// A family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Family {
    /// What it calls itself: a model type, a pipeline's class, a model's name.
    pub name: String,
    /// What it is, in words.
    pub what: &'static str,
    /// What this build does with it; nothing for what it does not compute.
    pub uses: Vec<Use>,
}

/// Decoders that are computed.
const LANGUAGE: [&str; 3] = ["llama", "qwen2", "qwen3"];

impl Family {
    fn of(name: &str, what: &'static str, uses: &[Use]) -> Self {
        Self {
            name: name.to_owned(),
            what,
            uses: uses.to_vec(),
        }
    }

    /// From an Atelier model's `model.json`.
    pub(super) fn atelier(model: &Json) -> Self {
        let name = model["name"].as_str().unwrap_or("unnamed");
        Self::of(
            name,
            "Atelier model: planner, renderer, critic",
            &[Use::Draw],
        )
    }

    /// From a diffusers pipeline's `model_index.json`.
    pub(super) fn pipeline(index: &Json) -> Self {
        let name = index["_class_name"].as_str().unwrap_or("unnamed");
        let read: Option<ModelIndex> = serde_json::from_value(index.clone()).ok();
        let known = read.is_some_and(|index| index.pipeline().is_ok());
        let uses: &[Use] = if known { &[Use::Draw] } else { &[] };
        Self::of(name, "text-to-image pipeline", uses)
    }

    /// From one network's `config.json`.
    pub(super) fn network(config: &Json) -> Self {
        if let Some(class) = config["_class_name"].as_str() {
            return Self::of(class, "part of a pipeline", &[]);
        }
        match config["model_type"].as_str() {
            Some("qwen3_vl") => Self::of("qwen3_vl", "vision language model", &[Use::Ask]),
            Some(name) => Self::language(name),
            None => Self::of("unnamed", "network", &[]),
        }
    }

    pub(super) fn language(name: &str) -> Self {
        let known = LANGUAGE.contains(&name);
        let uses: &[Use] = if known { &[Use::Say] } else { &[] };
        Self::of(name, "language model", uses)
    }

    pub(super) fn adapter() -> Self {
        Self::of("lora", "adapter of a language model", &[])
    }

    pub(super) fn tensors() -> Self {
        Self::of("safetensors", "file of tensors", &[])
    }
}
