//! Reads a renderer's folder, as Hugging Face libraries write it.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use tch::Device;

use super::{
    autoencoder::{Autoencoder, AutoencoderConfig},
    config::RendererConfig,
    index::{ModelIndex, Pipeline},
    network::{Network, NetworkConfig, TransformerConfigError},
    regions::{Positions, TOKEN_SIDE},
    scene::MAX_STEPS,
    schedule::{Schedule, ScheduleError},
    text_stats::TextStats,
};
use crate::{
    bounded,
    language::kind_for,
    weights::{Weights, WeightsError},
};

/// Largest JSON file that is read, in bytes.
const MAX_JSON: u64 = 1 << 20;

/// How many batches statistics were made of; says nothing to who reads them.
const BATCHES_SEEN: &str = "bn.num_batches_tracked";

/// A checkpoint that draws. One thread owns it.
pub struct Renderer {
    pub(super) network: Network,
    pub(super) autoencoder: Autoencoder,
    pub(super) schedule: Schedule,
    pub(super) pipeline: Pipeline,
    pub(super) config: RendererConfig,
    pub(super) text_stats: Option<TextStats>,
    pub(super) device: Device,
    /// Bytes that decoding at once may take; what the device has left where it is not set.
    pub(super) decode_memory: Option<u64>,
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

    /// Loads `dir/{transformer,vae}` with their `config.json` and safetensors, one file or shards; `dir/scheduler/scheduler_config.json`,
    /// `dir/model_index.json`, `dir/renderer.json` and `dir/text_stats.safetensors` where they are there. Computes in f32 on the CPU and in
    /// bf16 on a GPU. A tensor that is missing, too much or of another shape is an error that names it.
    pub fn load(dir: &Path, device: Device) -> Result<Self, LoadError> {
        let network_config =
            NetworkConfig::from_json(&json(&dir.join("transformer/config.json"))?)?;
        let vae_path = dir.join("vae/config.json");
        let vae_config = AutoencoderConfig::from_json(&json(&vae_path)?)
            .map_err(|reason| LoadError::Config(vae_path, reason))?;
        if vae_config.token_channels() != network_config.token_channels() {
            return Err(LoadError::Parts {
                transformer: network_config.token_channels(),
                autoencoder: vae_config.token_channels(),
            });
        }
        let schedule = match optional_json(&dir.join("scheduler/scheduler_config.json"))? {
            Some(bytes) => Schedule::from_json(&bytes)?,
            None => Schedule::FAMILY,
        };
        let pipeline = pipeline(dir, &network_config)?;
        let config = renderer_config(dir, pipeline)?;
        let stats_path = dir.join(TextStats::FILE);
        let text_stats = stats_path
            .exists()
            .then(|| TextStats::load(&stats_path, network_config.text_channels()))
            .transpose()?;
        let network = part(&dir.join("transformer"), device, |weights| {
            network_config.network(weights)
        })?;
        let autoencoder = part(&dir.join("vae"), device, |weights| {
            Autoencoder::load(&vae_config, weights)
        })?;
        Ok(Self {
            config,
            text_stats,
            ..Self::of(pipeline, schedule, network, autoencoder, device)
        })
    }

    /// A renderer of networks that are there already on `device`, used as the authors of `pipeline` do. Their tokens have equally many channels.
    pub const fn of(
        pipeline: Pipeline,
        schedule: Schedule,
        network: Network,
        autoencoder: Autoencoder,
        device: Device,
    ) -> Self {
        Self {
            network,
            autoencoder,
            schedule,
            pipeline,
            config: RendererConfig::of(pipeline),
            text_stats: None,
            device,
            decode_memory: None,
        }
    }

    /// What it computes on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The transformer.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The autoencoder.
    pub fn autoencoder(&self) -> &Autoencoder {
        &self.autoencoder
    }

    /// What it is, and how it was trained to be used.
    pub const fn pipeline(&self) -> Pipeline {
        self.pipeline
    }

    /// The schedule of its steps.
    pub fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// How it draws when a request does not say.
    pub fn config(&self) -> &RendererConfig {
        &self.config
    }

    /// Channels of one text state.
    pub fn text_channels(&self) -> i64 {
        self.network.text_channels()
    }
}

/// A part of the renderer from its folder, in the kind that `device` computes in; f16 overflows in these families, bf16 does not.
/// Statistics of tokens stay in f32.
fn part<T>(
    dir: &Path,
    device: Device,
    load: impl Fn(&Weights) -> Result<T, WeightsError>,
) -> Result<T, LoadError> {
    let stored = Weights::load_dir(dir)?;
    let statistics = stored.sub("bn").tensors()?;
    let weights = stored
        .to_kind(kind_for(device))
        .with(statistics)
        .to_device(device);
    let loaded = load(&weights)?;
    weights.refuse_extra(|name| name == BATCHES_SEEN)?;
    Ok(loaded)
}

/// What `model_index.json` says, else of the transformer's family.
fn pipeline(dir: &Path, network: &NetworkConfig) -> Result<Pipeline, LoadError> {
    let family = match network {
        NetworkConfig::Klein(_) => Pipeline::Klein,
        NetworkConfig::ZImage(_) => Pipeline::ZImage,
    };
    let path = dir.join(ModelIndex::FILE);
    let Some(bytes) = optional_json(&path)? else {
        return Ok(family);
    };
    let pipeline = ModelIndex::from_json(&bytes).and_then(|index| index.pipeline());
    let pipeline = pipeline.map_err(|reason| LoadError::Config(path.clone(), reason))?;
    if (pipeline == Pipeline::ZImage) == (family == Pipeline::ZImage) {
        Ok(pipeline)
    } else {
        Err(LoadError::Config(
            path,
            "the pipeline is of another family than its transformer".into(),
        ))
    }
}

/// `renderer.json`, else what the authors of the pipeline do.
fn renderer_config(dir: &Path, pipeline: Pipeline) -> Result<RendererConfig, LoadError> {
    let path = dir.join(RendererConfig::FILE);
    let Some(bytes) = optional_json(&path)? else {
        return Ok(RendererConfig::of(pipeline));
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
    if (config.positions == Positions::Counted) != (pipeline == Pipeline::ZImage) {
        return Err(LoadError::Config(
            path,
            "the positions are those of another family".into(),
        ));
    }
    if let Some(fault) = config.regions.fault() {
        return Err(LoadError::Config(path, fault.into()));
    }
    if !(1.0..=100.0).contains(&config.guidance) {
        return Err(LoadError::Config(path, "guidance must be 1 to 100".into()));
    }
    Ok(config)
}

/// The bytes of a JSON file, at most [`MAX_JSON`].
fn json(path: &Path) -> Result<Vec<u8>, LoadError> {
    bounded::read(path, MAX_JSON).map_err(|error| LoadError::Read(path.to_owned(), error))
}

/// The same of a file that need not be there.
fn optional_json(path: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    match json(path) {
        Err(LoadError::Read(_, error)) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
