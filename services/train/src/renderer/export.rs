//! The renderer's folder as diffusers lays it out.

use std::{fs, path::Path};

use anyhow::Context;
use atelier_models::renderer::{
    RendererConfig,
    klein::TransformerConfig,
    regions::{Positions, Ties},
    schedule::{Schedule, Shift},
    text_stats::TextStats,
};
use tch::{Kind, Tensor};

use super::{
    batch::{FULL, pixels},
    phrases::Phrases,
};
use crate::run::{Master, write_tensors};

/// How denoise steps are moved towards noise.
pub const SCHEDULE: Shift = Shift::Static(3.0);

/// Writes transformer, autoencoder, schedule, text statistics and how the checkpoint is used.
pub fn write(
    config: &TransformerConfig,
    master: &Master,
    phrases: &Phrases,
    autoencoder: &Path,
    dir: &Path,
) -> anyhow::Result<()> {
    let json = |path: &Path, value: &serde_json::Value| -> anyhow::Result<()> {
        fs::write(path, serde_json::to_string_pretty(value)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    };
    for part in ["transformer", "vae", "scheduler"] {
        fs::create_dir_all(dir.join(part))
            .with_context(|| format!("cannot make {}", dir.join(part).display()))?;
    }
    json(&dir.join("transformer/config.json"), &config.to_json())?;
    write_tensors(
        &master.average(Kind::BFloat16),
        &dir.join("transformer/diffusion_pytorch_model.safetensors"),
    )?;
    for file in ["config.json", "diffusion_pytorch_model.safetensors"] {
        fs::copy(autoencoder.join(file), dir.join("vae").join(file))
            .with_context(|| format!("cannot copy the autoencoder's {file}"))?;
    }
    let schedule = Schedule { shift: SCHEDULE }.to_json();
    json(&dir.join("scheduler/scheduler_config.json"), &schedule)?;
    let stats: Vec<(String, Tensor)> = phrases
        .stats()
        .tensors()
        .into_iter()
        .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
        .collect();
    write_tensors(&stats, &dir.join(TextStats::FILE))?;
    let used = RendererConfig {
        positions: Positions::Placed,
        steps: 12,
        width: pixels(FULL.columns),
        height: pixels(FULL.rows),
        guidance: 1.0,
        regions: Ties::DEFAULT,
    };
    json(
        &dir.join(RendererConfig::FILE),
        &serde_json::to_value(used)?,
    )
}
