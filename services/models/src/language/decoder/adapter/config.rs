//! adapter_config.json as PEFT writes it (<https://github.com/huggingface/peft/blob/main/src/peft/tuners/lora/config.py>).

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value as Json;

use super::PROJECTIONS;
use crate::{bounded, language::LanguageError};

/// Largest adapter_config.json, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// Highest rank.
const MAX_RANK: i64 = 1 << 12;

/// Which projections have which rank and which scale.
#[derive(Clone, Debug)]
pub struct Config {
    rank: i64,
    alpha: f64,
    targets: Vec<String>,
    /// The layers that are changed; None: all.
    layers: Option<Vec<u32>>,
    /// Scale is alpha by the root of the rank (<https://arxiv.org/abs/2312.03732>).
    rank_stabilised: bool,
    ranks: BTreeMap<String, i64>,
    alphas: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Peft {
    peft_type: Option<String>,
    r: i64,
    lora_alpha: f64,
    target_modules: Json,
    layers_to_transform: Option<Layers>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    rank_pattern: BTreeMap<String, i64>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    bias: Option<String>,
    init_lora_weights: Option<Json>,
    #[serde(flatten)]
    rest: BTreeMap<String, Json>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Layers {
    One(u32),
    Many(Vec<u32>),
}

impl Config {
    /// All projections of all layers.
    pub fn plain(rank: i64, alpha: f64) -> Self {
        Self {
            rank,
            alpha,
            targets: PROJECTIONS.map(str::to_owned).to_vec(),
            layers: None,
            rank_stabilised: false,
            ranks: BTreeMap::new(),
            alphas: BTreeMap::new(),
        }
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, LanguageError> {
        let unsupported = |what: String| LanguageError::Unsupported(path.to_owned(), what);
        let bytes =
            bounded::read(path, MAX_CONFIG).map_err(|error| unsupported(error.to_string()))?;
        Self::parse(&bytes).map_err(unsupported)
    }

    /// Reads what a file holds; what is not computed is refused with a sentence.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let read: Peft = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        read.refuse_unknown()?;
        let targets: Vec<String> = serde_json::from_value(read.target_modules)
            .map_err(|_| "target_modules is no list of names; expressions are not read")?;
        if let Some(other) = targets
            .iter()
            .find(|name| !PROJECTIONS.contains(&name.as_str()))
        {
            return Err(format!("{other:?} is no projection of a decoder's layer"));
        }
        let config = Self {
            rank: read.r,
            alpha: read.lora_alpha,
            targets,
            layers: read.layers_to_transform.map(|layers| match layers {
                Layers::One(layer) => vec![layer],
                Layers::Many(layers) => layers,
            }),
            rank_stabilised: read.use_rslora,
            ranks: read.rank_pattern,
            alphas: read.alpha_pattern,
        };
        let ranks = config.ranks.values().chain([&config.rank]);
        if let Some(rank) = ranks.into_iter().find(|r| !(1..=MAX_RANK).contains(*r)) {
            return Err(format!("a rank of {rank}"));
        }
        let alphas = config.alphas.values().chain([&config.alpha]);
        if let Some(alpha) = alphas.into_iter().find(|alpha| !alpha.is_finite()) {
            return Err(format!("an alpha of {alpha}"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let patterns = config.ranks.keys().chain(config.alphas.keys());
        if let Some(other) = patterns.into_iter().find(|name| !name.chars().all(plain)) {
            return Err(format!("the pattern {other:?} is no plain name"));
        }
        Ok(config)
    }

    /// The projections that are changed, by the last part of their names.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// Which target a module (`model.layers.N.mlp.up_proj`) is, if any.
    pub fn target(&self, module: &str) -> Option<&str> {
        let last = module.rsplit('.').next()?;
        let target = self.targets.iter().find(|target| *target == last)?;
        let layer = module
            .strip_prefix("model.layers.")
            .and_then(|rest| rest.split('.').next()?.parse().ok());
        let chosen = match (&self.layers, layer) {
            (Some(chosen), Some(layer)) => chosen.contains(&layer),
            _ => true,
        };
        chosen.then_some(target)
    }

    /// Rank of a module, and what its product is multiplied by.
    pub fn rank_and_scale(&self, module: &str) -> (i64, f64) {
        let rank = *found(&self.ranks, module).unwrap_or(&self.rank);
        let alpha = *found(&self.alphas, module).unwrap_or(&self.alpha);
        let divisor = rank as f64;
        let divisor = if self.rank_stabilised {
            divisor.sqrt()
        } else {
            divisor
        };
        (rank, alpha / divisor)
    }
}

/// The value of the pattern that a module's name is or ends with, behind a dot.
fn found<'p, T>(patterns: &'p BTreeMap<String, T>, module: &str) -> Option<&'p T> {
    let fits = |pattern: &str| {
        module
            .strip_suffix(pattern)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    patterns
        .iter()
        .find(|(pattern, _)| fits(pattern))
        .map(|(_, value)| value)
}

impl Peft {
    /// Options that change what is computed, with the values that leave it as it is computed here.
    const OTHERS: [&str; 12] = [
        "use_dora",
        "use_qalora",
        "use_bdlora",
        "lora_bias",
        "fan_in_fan_out",
        "modules_to_save",
        "exclude_modules",
        "target_parameters",
        "trainable_token_indices",
        "layer_replication",
        "megatron_config",
        "alora_invocation_tokens",
    ];

    fn refuse_unknown(&self) -> Result<(), String> {
        if let Some(kind) = self.peft_type.as_deref().filter(|kind| *kind != "LORA") {
            return Err(format!("an adapter of type {kind:?}; LORA is computed"));
        }
        if let Some(bias) = self.bias.as_deref().filter(|bias| *bias != "none") {
            return Err(format!("biases ({bias}) are not read"));
        }
        // Some ways to begin change the base as well.
        if let Some(Json::String(begun)) = &self.init_lora_weights
            && begun != "gaussian"
        {
            return Err(format!("begun as {begun:?}, which changes the base"));
        }
        let set = |value: &Json| match value {
            Json::Null | Json::Bool(false) => false,
            Json::Array(values) => !values.is_empty(),
            Json::Object(values) => !values.is_empty(),
            _ => true,
        };
        match Self::OTHERS
            .iter()
            .find(|name| self.rest.get(**name).is_some_and(set))
        {
            Some(name) => Err(format!("{name} is not computed")),
            None => Ok(()),
        }
    }
}
