//! What every recipe shares: parameters with their average, optimizers, and a run that can be stopped and taken up again exactly.

mod ahead;
mod master;
mod optimizer;
mod plot;
mod session;
#[cfg(test)]
mod tests;

pub use ahead::ahead;
pub use master::Master;
pub use optimizer::{Optimizer, Rates, Rule};
pub use session::{Options, Session, step_seed};

use std::path::Path;

use anyhow::Context;
use tch::{Kind, Tensor};

/// Holds back other tests that draw from libtorch's one generator.
#[cfg(test)]
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The kind that this processor multiplies fastest: bf16 where it has instructions for it, f32 elsewhere, where bf16 is many times slower.
pub fn fast_kind() -> Kind {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512bf16") {
        return Kind::BFloat16;
    }
    Kind::Float
}

/// Writes a safetensors file whole or not at all.
pub fn write_tensors(tensors: &[(String, Tensor)], path: &Path) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let tensors: Vec<(&str, Tensor)> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor.detach().contiguous()))
        .collect();
    Tensor::write_safetensors(&tensors, &part)
        .with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("cannot rename to {}", path.display()))
}
