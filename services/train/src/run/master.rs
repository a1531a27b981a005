//! Parameters in f32 as they are trained, and their moving average.

use std::collections::BTreeMap;

use anyhow::Context;
use atelier_models::weights::Weights;
use tch::{Kind, Tensor};

/// Parameters by their names in the checkpoint.
pub struct Master {
    values: BTreeMap<String, Tensor>,
    average: BTreeMap<String, Tensor>,
}

impl Master {
    /// Takes tensors as the start; they become leaves that gradients reach.
    pub fn new(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let values: BTreeMap<String, Tensor> = tensors
            .into_iter()
            .map(|(name, tensor)| {
                let leaf = tensor.detach().to_kind(Kind::Float).copy();
                (name, leaf.set_requires_grad(true))
            })
            .collect();
        let average = values
            .iter()
            .map(|(name, value)| (name.clone(), value.detach().copy()))
            .collect();
        Self { values, average }
    }

    /// Number of parameters.
    pub fn count(&self) -> usize {
        self.values.values().map(Tensor::numel).sum()
    }

    /// The parameters.
    pub fn values(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.values.iter()
    }

    /// The present parameters in `kind` for a network; gradients flow back to the master.
    pub fn weights(&self, kind: Kind) -> Weights {
        Weights::from_map(
            self.values
                .iter()
                .map(|(name, value)| (name.clone(), value.to_kind(kind)))
                .collect(),
        )
    }

    /// The average in `kind`, by name.
    pub fn average(&self, kind: Kind) -> Vec<(String, Tensor)> {
        self.average
            .iter()
            .map(|(name, value)| (name.clone(), value.to_kind(kind)))
            .collect()
    }

    /// Moves the average by `1 - keep` towards the parameters.
    pub fn follow(&mut self, keep: f64) {
        tch::no_grad(|| {
            for (name, average) in &mut self.average {
                let _ = average.lerp_(&self.values[name], 1.0 - keep);
            }
        });
    }

    /// Everything that a checkpoint must hold of it.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |part: &'static str, tensors: &BTreeMap<String, Tensor>| {
            tensors
                .iter()
                .map(move |(name, tensor)| (format!("{part}.{name}"), tensor.shallow_clone()))
                .collect::<Vec<_>>()
        };
        let mut all = named("value", &self.values);
        all.extend(named("average", &self.average));
        all
    }

    /// Takes what [`Self::state`] gave.
    pub fn restore(&mut self, state: &Weights) -> anyhow::Result<()> {
        tch::no_grad(|| {
            for (part, tensors) in [("value", &mut self.values), ("average", &mut self.average)] {
                let state = state.sub(part);
                for (name, tensor) in tensors {
                    let saved = state
                        .get_shaped(name, &tensor.size())
                        .context("the checkpoint is of another network")?;
                    tensor.copy_(&saved);
                }
            }
            Ok(())
        })
    }
}
