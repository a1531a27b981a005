//! The detector's parameters in f32 as they are trained, with their moving average, and their way to and from files.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use atelier_models::{
    critic::detector::{DetectorConfig, DetectorNet, net},
    weights::Weights,
};
use tch::{Device, Kind, Tensor, nn};

/// Parameters by name.
pub struct Master {
    store: nn::VarStore,
    values: BTreeMap<String, Tensor>,
    average: BTreeMap<String, Tensor>,
}

impl Master {
    /// Fresh parameters from the global seed of libtorch.
    pub fn fresh(config: &DetectorConfig) -> Self {
        let store = nn::VarStore::new(Device::Cpu);
        let mut values = BTreeMap::new();
        for (name, shape) in net::parameters(config) {
            let (path, leaf) = name.rsplit_once('.').unwrap_or(("", &name));
            let place = path
                .split('.')
                .fold(store.root(), |place, part| place / part);
            values.insert(name.clone(), place.var(leaf, &shape, start(&name, &shape)));
        }
        if let Some(bias) = values.get_mut("cells.bias") {
            // Nine cells of ten are empty: saying so from the start saves the first hundred steps.
            tch::no_grad(|| {
                let _ = bias.narrow(0, 0, 1).fill_(-2.2);
            });
        }
        let average = values
            .iter()
            .map(|(name, value)| (name.clone(), value.detach().copy()))
            .collect();
        Self {
            store,
            values,
            average,
        }
    }

    /// The parameters that the recipe exported to a folder.
    pub fn trained(config: &DetectorConfig, dir: &Path) -> anyhow::Result<Self> {
        let master = Self::fresh(config);
        let shipped = Weights::load_file(&dir.join("model.safetensors"))?;
        tch::no_grad(|| {
            for tensors in [&master.values, &master.average] {
                for (name, tensor) in tensors {
                    let saved = shipped.get_shaped(name, &tensor.size())?;
                    tensor.shallow_clone().copy_(&saved);
                }
            }
            shipped.refuse_extra(|_| false)?;
            Ok(master)
        })
    }

    /// What the optimizer steps.
    pub const fn store(&self) -> &nn::VarStore {
        &self.store
    }

    /// The network of the present parameters, computing in `kind`; gradients flow back to the parameters.
    pub fn net(&self, config: &DetectorConfig, kind: Kind) -> anyhow::Result<DetectorNet> {
        of(&self.values, config, kind)
    }

    /// The network of the moving average, in f32.
    pub fn average_net(&self, config: &DetectorConfig) -> anyhow::Result<DetectorNet> {
        of(&self.average, config, Kind::Float)
    }

    /// Moves the average by `1 - keep` towards the parameters.
    pub fn follow(&mut self, keep: f64) {
        tch::no_grad(|| {
            for (name, average) in &mut self.average {
                let _ = average.lerp_(&self.values[name], 1.0 - keep);
            }
        });
    }

    /// Writes parameters and average into one safetensors file, whole or not at all.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let all = self
            .values
            .iter()
            .map(|(name, value)| (format!("value.{name}"), value.detach()));
        let averages = self
            .average
            .iter()
            .map(|(name, value)| (format!("average.{name}"), value.shallow_clone()));
        write(&all.chain(averages).collect::<Vec<_>>(), path)
    }

    /// Reads what [`Self::save`] wrote.
    pub fn load(&mut self, path: &Path) -> anyhow::Result<()> {
        let file: BTreeMap<String, Tensor> = Tensor::read_safetensors(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .into_iter()
            .collect();
        tch::no_grad(|| {
            for (part, tensors) in [("value", &mut self.values), ("average", &mut self.average)] {
                for (name, tensor) in tensors {
                    let saved = file.get(&format!("{part}.{name}")).with_context(|| {
                        format!("{part}.{name} is missing in {}", path.display())
                    })?;
                    anyhow::ensure!(
                        saved.size() == tensor.size(),
                        "{name} has shape {:?} in {}",
                        saved.size(),
                        path.display()
                    );
                    tensor.copy_(saved);
                }
            }
            Ok(())
        })
    }

    /// Writes the average in bf16: what is shipped.
    pub fn export(&self, path: &Path) -> anyhow::Result<()> {
        let average = self
            .average
            .iter()
            .map(|(name, value)| (name.clone(), value.to_kind(Kind::BFloat16)));
        write(&average.collect::<Vec<_>>(), path)
    }
}

fn of(
    tensors: &BTreeMap<String, Tensor>,
    config: &DetectorConfig,
    kind: Kind,
) -> anyhow::Result<DetectorNet> {
    DetectorNet::new(config, &|name, _| {
        tensors
            .get(name)
            .map(|tensor| tensor.to_kind(kind))
            .with_context(|| format!("no parameter {name}"))
    })
}

fn write(tensors: &[(String, Tensor)], path: &Path) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    Tensor::write_safetensors(tensors, &part)
        .with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("cannot rename to {}", path.display()))
}

/// He's deviation for what a SiLU follows, ones and zeros for norms and biases.
fn start(name: &str, shape: &[i64]) -> nn::Init {
    if name.ends_with("norm.weight") {
        // A residual block starts near nothing.
        let last = name.starts_with("middle.1") || name.starts_with("deep.1");
        return nn::Init::Const(if last { 0.3 } else { 1.0 });
    }
    if name.ends_with("bias") {
        return nn::Init::Const(0.0);
    }
    let inputs: i64 = shape[1..].iter().product();
    let gain = if name.ends_with("back.weight") {
        0.1
    } else if shape.len() == 4 || name.starts_with("neck") || name.ends_with("wide.weight") {
        2.0
    } else if name.ends_with("merge.weight") {
        1.0
    } else {
        0.5
    };
    nn::Init::Randn {
        mean: 0.0,
        stdev: (gain / inputs as f64).sqrt(),
    }
}
