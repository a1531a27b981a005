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

    /// The parameters that the recipe exported to a folder. Of a thing that it did not know the outputs are fresh, and so is every layer that it
    /// does not have in the same shape; their names are printed.
    pub fn trained(config: &DetectorConfig, dir: &Path) -> anyhow::Result<Self> {
        let master = Self::fresh(config);
        let shipped = Weights::load_file(&dir.join("model.safetensors"))?;
        let known = Known::read(&dir.join("config.json"))?;
        for (name, tensor) in &master.values {
            let average = &master.average[name];
            let saved = match shipped.get(name) {
                Ok(saved) if name.starts_with("cells.") => known.rows(config, &saved, tensor)?,
                Ok(saved) if saved.size() == tensor.size() => saved,
                _ => {
                    println!("{name} starts anew");
                    continue;
                }
            };
            tch::no_grad(|| {
                for tensor in [tensor, average] {
                    tensor.shallow_clone().copy_(&saved);
                }
            });
        }
        shipped.refuse_extra(|_| false)?;
        Ok(master)
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

/// The words of a detector that training starts from.
#[derive(serde::Deserialize)]
struct Known {
    names: Vec<String>,
    colors: Vec<String>,
}

impl Known {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{} has no names and colours", path.display()))
    }

    /// The outputs of `config`: those of its own order where it knows the name, as `fresh` has them otherwise.
    fn rows(
        &self,
        config: &DetectorConfig,
        saved: &Tensor,
        fresh: &Tensor,
    ) -> anyhow::Result<Tensor> {
        let first = config.name_channel();
        anyhow::ensure!(
            self.colors == config.colors && saved.size()[0] == first + self.names.len() as i64,
            "its outputs are not those of its names and colours"
        );
        let rows = fresh.detach().copy();
        tch::no_grad(|| {
            rows.narrow(0, 0, first).copy_(&saved.narrow(0, 0, first));
            for (at, name) in config.names.iter().enumerate() {
                if let Some(from) = self.names.iter().position(|known| known == name) {
                    rows.get(first + at as i64)
                        .copy_(&saved.get(first + from as i64));
                }
            }
        });
        Ok(rows)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_taken_over_by_names_and_the_rest_is_fresh() {
        let _alone = crate::run::alone();
        let config = |names: &[&str]| {
            DetectorConfig::mini(
                names.iter().map(|name| (*name).into()).collect(),
                vec![vec![]; names.len()],
            )
        };
        let (before, after) = (config(&["cat", "dog"]), config(&["owl", "dog"]));
        let dir = tempfile::tempdir().unwrap();
        tch::manual_seed(1);
        let shipped = super::super::training::export(&Master::fresh(&before), &before, dir.path());
        assert!(shipped.is_ok());
        let saved = Weights::load_file(&dir.path().join("model.safetensors")).unwrap();
        let saved = saved.get("cells.weight").unwrap().to_kind(Kind::Float);
        let master = Master::trained(&after, dir.path()).unwrap();
        let first = after.name_channel();
        let is = |at: i64, was: i64| {
            let row = |rows: &Tensor, at: i64| rows.get(at).to_kind(Kind::Float);
            let (value, average) = (
                &master.values["cells.weight"],
                &master.average["cells.weight"],
            );
            row(value, at).equal(&row(&saved, was)) && row(average, at).equal(&row(&saved, was))
        };
        assert!((0..first).all(|channel| is(channel, channel)));
        assert!(is(first + 1, first + 1), "the dog");
        assert!(!is(first, first), "an owl is no cat");
        // Colours in another order mean something else.
        let other = serde_json::json!({ "names": before.names, "colors": ["blue", "red"] });
        std::fs::write(dir.path().join("config.json"), other.to_string()).unwrap();
        assert!(Master::trained(&after, dir.path()).is_err());
    }
}
