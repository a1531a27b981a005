//! The autoencoder's folder as diffusers lays it out, in f16.

use std::{fs, path::Path};

use anyhow::Context;
use atelier_models::{
    renderer::autoencoder::{Autoencoder, AutoencoderConfig},
    weights::Weights,
};
use tch::{Kind, Tensor};

use crate::run::write_tensors;

/// File of the weights.
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// Writes `config.json` and the weights; the statistics of tokens stay in f32.
pub fn write(
    config: &AutoencoderConfig,
    tensors: &[(String, Tensor)],
    dir: &Path,
) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let small: Vec<(String, Tensor)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let kind = if name.starts_with("bn.") {
                Kind::Float
            } else {
                Kind::Half
            };
            (name.clone(), tensor.to_kind(kind))
        })
        .collect();
    write_tensors(&small, &dir.join(WEIGHTS))?;
    fs::write(
        dir.join("config.json"),
        serde_json::to_string_pretty(config)? + "\n",
    )
    .context("cannot write config.json")
}

/// Reads the folder back, to compute in `kind`.
pub fn read(dir: &Path, kind: Kind) -> anyhow::Result<Autoencoder> {
    let (config, weights) = tensors(dir)?;
    Ok(Autoencoder::load(&config, &weights.to_kind(kind))?)
}

/// The folder's configuration and its tensors as they are stored.
pub fn tensors(dir: &Path) -> anyhow::Result<(AutoencoderConfig, Weights)> {
    let path = dir.join("config.json");
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = AutoencoderConfig::from_json(&bytes).map_err(anyhow::Error::msg)?;
    Ok((config, Weights::load_dir(dir)?))
}
