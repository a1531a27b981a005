//! Low-rank adapters (LoRA, <https://arxiv.org/abs/2106.09685>) in the files that PEFT writes, and projections with them.

mod config;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, path::Path};

use tch::{Kind, Tensor};

use self::config::Config;
use crate::{
    language::LanguageError,
    nn::Linear,
    weights::{Weights, WeightsError},
};

/// What stands before every name in an adapter's file.
const PREFIX: &str = "base_model.model";

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

/// `W x` becomes `W x + scale * B (A x)` for the projections that an adapter has.
pub struct Adapter {
    /// Under the decoder's names.
    weights: Weights,
    config: Config,
}

impl Adapter {
    /// An adapter for all [`PROJECTIONS`], for example a trainer's: `base_model.model.model.layers.N.self_attn.q_proj.lora_A.weight`
    /// `(rank, input)` and `.lora_B.weight` `(output, rank)`.
    pub fn new(weights: &Weights, rank: i64, alpha: f64) -> Self {
        Self {
            weights: weights.sub(PREFIX),
            config: Config::plain(rank, alpha),
        }
    }

    /// Reads `adapter_config.json` and the safetensors beside it. What of PEFT is not computed here (DoRA, biases, whole modules, embeddings)
    /// is refused, and so are tensors that the configuration does not speak of.
    pub fn load_dir(dir: &Path) -> Result<Self, LanguageError> {
        let path = dir.join("adapter_config.json");
        let config = Config::read(&path)?;
        let weights = Weights::load_dir(dir)?;
        let unsupported = |what: String| LanguageError::Unsupported(path.clone(), what);
        let mut targets = BTreeSet::new();
        for name in weights.names() {
            let module = module(&name)
                .ok_or_else(|| unsupported(format!("tensor {name:?} is none of a decoder's")))?;
            let target = config
                .target(module)
                .ok_or_else(|| unsupported(format!("{module} is none of its target_modules")))?;
            targets.insert(target.to_owned());
        }
        match config
            .targets()
            .iter()
            .find(|target| !targets.contains(*target))
        {
            Some(unused) => Err(unsupported(format!("it has no tensor for {unused}"))),
            None => Ok(Self {
                weights: weights.sub(PREFIX),
                config,
            }),
        }
    }

    /// The same in the kind and on the device of a tensor of the decoder.
    pub fn like(&self, tensor: &Tensor) -> Self {
        Self {
            weights: self
                .weights
                .to_kind(tensor.kind())
                .to_device(tensor.device()),
            config: self.config.clone(),
        }
    }

    /// The weights of a decoder with the adapter worked in: nothing is left to compute beside them. Copies what changes.
    pub fn merge(&self, weights: &Weights) -> Result<Weights, WeightsError> {
        let mut merged = Vec::new();
        for full in self.weights.names() {
            let Some((module, "A")) = part(&full) else {
                continue;
            };
            let name = format!("{module}.weight");
            let base = weights.get(&name)?;
            let shape = base.size();
            let Some(delta) = self.delta(module, shape[1], shape[0])? else {
                continue;
            };
            let wide = |tensor: &Tensor| tensor.to_kind(Kind::Float).to_device(base.device());
            let change = wide(&delta.up).matmul(&wide(&delta.down)) * delta.scale;
            merged.push((name, (wide(&base) + change).to_kind(base.kind())));
        }
        self.refuse_extra()?;
        Ok(weights.with(merged))
    }

    /// An error that names a tensor of the adapter that no projection took.
    pub fn refuse_extra(&self) -> Result<(), WeightsError> {
        self.weights.refuse_extra(|_| false)
    }

    fn delta(&self, module: &str, input: i64, output: i64) -> Result<Option<Delta>, WeightsError> {
        if self.config.target(module).is_none() {
            return Ok(None);
        }
        let (rank, scale) = self.config.rank_and_scale(module);
        let weights = self.weights.sub(module);
        Ok(Some(Delta {
            down: weights.get_shaped("lora_A.weight", &[rank, input])?,
            up: weights.get_shaped("lora_B.weight", &[output, rank])?,
            scale,
        }))
    }
}

/// The module and half (`A` or `B`) that a tensor's full name in an adapter's file says: `base_model.model.MODULE.lora_A.weight`.
fn part(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix('.')?;
    let (module, half) = rest.strip_suffix(".weight")?.rsplit_once(".lora_")?;
    ["A", "B"].contains(&half).then_some((module, half))
}

/// The module of a tensor, when it is a projection of a decoder's layer.
fn module(name: &str) -> Option<&str> {
    let (module, _) = part(name)?;
    let (layer, part) = module.strip_prefix("model.layers.")?.split_once('.')?;
    let (block, projection) = part.split_once('.')?;
    let known = layer.parse::<u32>().is_ok()
        && ["self_attn", "mlp"].contains(&block)
        && PROJECTIONS.contains(&projection);
    known.then_some(module)
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
    /// `module` is its name as adapters name things.
    pub(super) fn new(
        base: Linear,
        adapter: Option<&Adapter>,
        module: &str,
        input: i64,
        output: i64,
    ) -> Result<Self, WeightsError> {
        let delta = adapter.map(|adapter| adapter.delta(module, input, output));
        Ok(Self {
            base,
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
