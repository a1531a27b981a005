//! Reads a renderer's folder, as Hugging Face libraries write it.

use std::{
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use tch::{Device, Kind};

use super::{
    autoencoder::{Autoencoder, AutoencoderConfig},
    config::RendererConfig,
    regions::TOKEN_SIDE,
    scene::MAX_STEPS,
    schedule::{Schedule, ScheduleError},
    text_stats::TextStats,
    transformer::{Transformer, TransformerConfig, TransformerConfigError},
};
use crate::weights::{Weights, WeightsError};

/// Largest JSON file that is read, in bytes.
const MAX_JSON: u64 = 1 << 20;

/// A checkpoint that draws. One thread owns it.
pub struct Renderer {
    pub(super) transformer: Transformer,
    pub(super) autoencoder: Autoencoder,
    pub(super) schedule: Schedule,
    pub(super) config: RendererConfig,
    pub(super) text_stats: Option<TextStats>,
    pub(super) device: Device,
}

/// Why a folder is not a renderer.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, #[source] std::io::Error),
    /// A file that does not say what it should.
    #[error("{0}: {1}")]
    Config(PathBuf, String),
    /// The transformer's configuration.
    #[error(transparent)]
    Transformer(#[from] TransformerConfigError),
    /// The schedule's configuration.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Tensors that are missing, malformed or of another shape.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A tensor that the configuration does not know: it describes another network.
    #[error("the transformer has a tensor {0:?} that its config.json does not account for")]
    Surplus(String),
    /// Parts that are not of one model.
    #[error(
        "the transformer's tokens have {transformer} channels, the autoencoder's {autoencoder}"
    )]
    Parts {
        /// Channels of a token.
        transformer: i64,
        /// Channels of a token.
        autoencoder: i64,
    },
}

impl Renderer {
    /// Longest side of a picture, in pixels.
    pub const MAX_SIDE: u32 = 2048;

    /// Loads `dir/{transformer,vae}` with their `config.json` and safetensors; `dir/scheduler/scheduler_config.json`, `dir/renderer.json`
    /// and `dir/text_stats.safetensors` where they are there. Computes in f32 on the CPU and in the checkpoint's kind on a GPU.
    pub fn load(dir: &Path, device: Device) -> Result<Self, LoadError> {
        let transformer_config =
            TransformerConfig::from_json(&json(&dir.join("transformer/config.json"))?)?;
        let vae_path = dir.join("vae/config.json");
        let vae_config = AutoencoderConfig::from_json(&json(&vae_path)?)
            .map_err(|reason| LoadError::Config(vae_path, reason))?;
        if vae_config.token_channels() != transformer_config.in_channels {
            return Err(LoadError::Parts {
                transformer: transformer_config.in_channels,
                autoencoder: vae_config.token_channels(),
            });
        }
        let schedule = match optional_json(&dir.join("scheduler/scheduler_config.json"))? {
            Some(bytes) => Schedule::from_json(&bytes)?,
            None => Schedule::FAMILY,
        };
        let stats_path = dir.join(TextStats::FILE);
        let text_stats = stats_path
            .exists()
            .then(|| TextStats::load(&stats_path, transformer_config.text_channels))
            .transpose()?;

        let weights = placed(Weights::load_dir(&dir.join("transformer"))?, device);
        let known = transformer_config.parameters();
        if let Some(surplus) = weights
            .names()
            .into_iter()
            .find(|name| !known.iter().any(|(own, _)| own == name))
        {
            return Err(LoadError::Surplus(surplus));
        }
        Ok(Self {
            transformer: Transformer::load(&transformer_config, &weights)?,
            autoencoder: Autoencoder::load(
                &vae_config,
                &placed(Weights::load_dir(&dir.join("vae"))?, device),
            )?,
            schedule,
            config: renderer_config(dir)?,
            text_stats,
            device,
        })
    }

    /// What it computes on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// How it draws when a request does not say.
    pub fn config(&self) -> &RendererConfig {
        &self.config
    }

    /// Channels of one text state.
    pub fn text_channels(&self) -> i64 {
        self.transformer.config().text_channels
    }
}

/// Weights in the kind that they compute in on `device`. f16 overflows in this family, bf16 does not.
fn placed(weights: Weights, device: Device) -> Weights {
    let is_half = |weights: &Weights| {
        weights.names().iter().any(|name| {
            weights
                .get(name)
                .is_ok_and(|tensor| tensor.kind() == Kind::Half)
        })
    };
    let weights = match device {
        Device::Cpu => weights.to_kind(Kind::Float),
        _ if is_half(&weights) => weights.to_kind(Kind::BFloat16),
        _ => weights,
    };
    weights.to_device(device)
}

fn renderer_config(dir: &Path) -> Result<RendererConfig, LoadError> {
    let path = dir.join(RendererConfig::FILE);
    let Some(bytes) = optional_json(&path)? else {
        return Ok(RendererConfig::default());
    };
    let config: RendererConfig = serde_json::from_slice(&bytes)
        .map_err(|error| LoadError::Config(path.clone(), error.to_string()))?;
    let side = |side: u32| {
        (TOKEN_SIDE..=Renderer::MAX_SIDE).contains(&side) && side.is_multiple_of(TOKEN_SIDE)
    };
    if !side(config.width) || !side(config.height) || !(1..=MAX_STEPS).contains(&config.steps) {
        return Err(LoadError::Config(
            path,
            format!(
                "sides must be multiples of 16 up to {}, steps 1 to {MAX_STEPS}",
                Renderer::MAX_SIDE
            ),
        ));
    }
    Ok(config)
}

/// The bytes of a JSON file, at most [`MAX_JSON`].
fn json(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |error| LoadError::Read(path.to_owned(), error);
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_JSON + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(LoadError::Config(
            path.to_owned(),
            format!("larger than {MAX_JSON} bytes"),
        ));
    }
    Ok(bytes)
}

/// The same of a file that need not be there.
fn optional_json(path: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    match json(path) {
        Err(LoadError::Read(_, error)) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
