//! The adapter while it is trained: two thin matrices for every projection.

use std::{fs, path::Path};

use anyhow::Context;
use atelier_models::{
    language::{Adapter, Decoder, DecoderConfig, PROJECTIONS},
    weights::Weights,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::run::{Master, write_tensors};

/// Inner size.
pub const RANK: i64 = 8;

/// What the product of both matrices is multiplied with is this over the rank.
pub const ALPHA: f64 = 16.0;

/// The file of an adapter's tensors, as PEFT names it.
const FILE: &str = "adapter_model.safetensors";

/// Fresh matrices in f32: random ones that read (`lora_A`), zeros that write (`lora_B`), so that nothing is changed yet.
pub fn fresh(config: &DecoderConfig, seed: u64) -> Vec<(String, Tensor)> {
    let (hidden, inner) = (config.hidden, config.intermediate);
    let (queries, keys) = (config.heads * config.head, config.kv_heads * config.head);
    let projections = [
        ("self_attn.q_proj", hidden, queries),
        ("self_attn.k_proj", hidden, keys),
        ("self_attn.v_proj", hidden, keys),
        ("self_attn.o_proj", queries, hidden),
        ("mlp.gate_proj", hidden, inner),
        ("mlp.up_proj", hidden, inner),
        ("mlp.down_proj", inner, hidden),
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut tensors = Vec::new();
    for layer in 0..config.layers {
        for (projection, input, output) in projections {
            // Uniform, of the variance 1 / input.
            let bound = (3.0 / input as f32).sqrt();
            let numbers: Vec<f32> = (0..RANK * input)
                .map(|_| rng.random_range(-bound..bound))
                .collect();
            let name = |part: &str| {
                format!("base_model.model.model.layers.{layer}.{projection}.{part}.weight")
            };
            let down = Tensor::from_slice(&numbers).view([RANK, input]);
            let up = Tensor::zeros([output, RANK], (Kind::Float, Device::Cpu));
            tensors.push((name("lora_A"), down));
            tensors.push((name("lora_B"), up));
        }
    }
    tensors
}

/// The matrices of an adapter that [`export`] wrote.
pub fn trained(dir: &Path) -> anyhow::Result<Vec<(String, Tensor)>> {
    Ok(Weights::load_file(&dir.join(FILE))?.tensors()?)
}

/// The decoder with the adapter as it is now; gradients flow back to the master.
pub fn adapted(config: &DecoderConfig, base: &Weights, master: &Master) -> anyhow::Result<Decoder> {
    let adapter = Adapter::new(&master.weights(Kind::BFloat16), RANK, ALPHA);
    Ok(Decoder::load(config.clone(), base, Some(&adapter))?)
}

/// Writes the averaged adapter in bf16 with its configuration, as PEFT (<https://github.com/huggingface/peft>) does.
pub fn export(master: &Master, dir: &Path, facts: &serde_json::Value) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    write_tensors(&master.average(Kind::BFloat16), &dir.join(FILE))?;
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": PROJECTIONS,
        "trained": facts,
    });
    let path = dir.join("adapter_config.json");
    fs::write(&path, serde_json::to_string_pretty(&config)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}
