//! Low-rank adapters (LoRA, <https://arxiv.org/abs/2106.09685>) in the files that PEFT writes, and projections with them.

use std::{collections::HashMap, fs, path::Path};

use serde::Deserialize;
use tch::Tensor;

use crate::{
    language::LanguageError,
    nn::Linear,
    weights::{Weights, WeightsError},
};

/// What stands before every name in an adapter's file.
const PREFIX: &str = "base_model.model.";
/// Largest adapter_config.json, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// Highest rank.
const MAX_RANK: i64 = 1 << 12;

/// The projections of a layer, by the last part of their names.
pub const PROJECTIONS: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];

/// `W x` becomes `W x + alpha / rank * B (A x)` for the projections that an adapter has.
pub struct Adapter {
    /// Under the decoder's names.
    weights: Weights,
    rank: i64,
    scale: f64,
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    r: i64,
    lora_alpha: f64,
    target_modules: Vec<String>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    bias: Option<String>,
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    rank_pattern: HashMap<String, i64>,
    #[serde(default)]
    alpha_pattern: HashMap<String, f64>,
}

impl Adapter {
    /// An adapter for all [`PROJECTIONS`], for example a trainer's: `base_model.model.model.layers.N.self_attn.q_proj.lora_A.weight`
    /// `(rank, input)` and `.lora_B.weight` `(output, rank)`.
    pub fn new(weights: &Weights, rank: i64, alpha: f64) -> Self {
        Self {
            weights: weights.sub(PREFIX.trim_end_matches('.')),
            rank,
            scale: alpha / rank as f64,
            targets: PROJECTIONS.map(str::to_owned).to_vec(),
        }
    }

    /// Reads `adapter_config.json` and the safetensors beside it.
    pub fn load_dir(dir: &Path) -> Result<Self, LanguageError> {
        let path = dir.join("adapter_config.json");
        let unsupported = |what: String| LanguageError::Unsupported(path.clone(), what);
        let size = fs::metadata(&path)
            .map_err(|error| unsupported(error.to_string()))?
            .len();
        if size > MAX_CONFIG {
            return Err(unsupported(format!(
                "{size} bytes, at most {MAX_CONFIG} are read"
            )));
        }
        let bytes = fs::read(&path).map_err(|error| unsupported(error.to_string()))?;
        let config: Config =
            serde_json::from_slice(&bytes).map_err(|error| unsupported(error.to_string()))?;
        if !(1..=MAX_RANK).contains(&config.r) || !config.lora_alpha.is_finite() {
            return Err(unsupported(format!(
                "rank {} and alpha {}",
                config.r, config.lora_alpha
            )));
        }
        let more = config.use_rslora
            || config.use_dora
            || config.bias.is_some_and(|bias| bias != "none")
            || config
                .modules_to_save
                .is_some_and(|modules| !modules.is_empty())
            || !config.rank_pattern.is_empty()
            || !config.alpha_pattern.is_empty();
        if more {
            return Err(unsupported(
                "only plain adapters of one rank are computed: no rsLoRA, DoRA, biases, patterns or whole modules".into(),
            ));
        }
        if let Some(other) = config
            .target_modules
            .iter()
            .find(|name| !PROJECTIONS.contains(&name.as_str()))
        {
            return Err(unsupported(format!(
                "{other:?} is no projection of a decoder's layer"
            )));
        }
        let targets = config.target_modules;
        Ok(Self {
            targets,
            ..Self::new(&Weights::load_dir(dir)?, config.r, config.lora_alpha)
        })
    }

    /// The same in the kind and on the device of a tensor of the decoder.
    pub fn like(&self, tensor: &Tensor) -> Self {
        Self {
            weights: self
                .weights
                .to_kind(tensor.kind())
                .to_device(tensor.device()),
            targets: self.targets.clone(),
            ..*self
        }
    }

    fn delta(&self, name: &str, input: i64, output: i64) -> Result<Option<Delta>, WeightsError> {
        let last = name.rsplit('.').next().unwrap_or(name);
        if !self.targets.iter().any(|target| target == last) {
            return Ok(None);
        }
        let weights = self.weights.sub(name);
        Ok(Some(Delta {
            down: weights.get_shaped("lora_A.weight", &[self.rank, input])?,
            up: weights.get_shaped("lora_B.weight", &[output, self.rank])?,
            scale: self.scale,
        }))
    }
}

struct Delta {
    down: Tensor,
    up: Tensor,
    scale: f64,
}

/// A linear map with what an adapter adds to it.
pub(super) struct Projection {
    base: Linear,
    delta: Option<Delta>,
}

impl Projection {
    /// `name` counts from the checkpoint's root, as adapters name things.
    pub(super) fn load(
        weights: &Weights,
        adapter: Option<&Adapter>,
        name: &str,
        input: i64,
        output: i64,
    ) -> Result<Self, WeightsError> {
        let delta = adapter.map(|adapter| adapter.delta(name, input, output));
        Ok(Self {
            base: Linear::load(weights, name, input, output)?,
            delta: delta.transpose()?.flatten(),
        })
    }

    /// `(.., input)` to `(.., output)`. The delta is computed in the kind of its own weights.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let y = self.base.forward(x);
        match &self.delta {
            None => y,
            Some(Delta { down, up, scale }) => {
                let inner = x.to_kind(down.kind()).linear(down, None::<&Tensor>) * *scale;
                y + inner.linear(up, None::<&Tensor>).to_kind(x.kind())
            }
        }
    }
}
