//! Standardises text states: some dimensions of a language model's states are hundreds of times larger than the rest.

use std::path::Path;

use tch::{Kind, Tensor};

use crate::weights::{Weights, WeightsError};

/// How many deviations a standardised state may be from the mean.
const CLAMP: f64 = 4.0;

/// Mean and deviation of every dimension of text states, as found over the training's texts.
pub struct TextStats {
    /// `(C)`, f32.
    mean: Tensor,
    /// `(C)`, f32, positive.
    std: Tensor,
}

impl TextStats {
    /// Name of the file beside the checkpoint's folders; it holds `mean` and `std`.
    pub const FILE: &str = "text_stats.safetensors";

    /// Reads a file of [`TextStats::FILE`]'s kind for states of `channels` dimensions.
    pub fn load(path: &Path, channels: i64) -> Result<Self, WeightsError> {
        let weights = Weights::load_file(path)?;
        Ok(Self::new(
            &weights.get_shaped("mean", &[channels])?,
            &weights.get_shaped("std", &[channels])?,
        ))
    }

    /// From vectors `(C)`; deviations of nearly nothing count as 1e-3.
    pub fn new(mean: &Tensor, std: &Tensor) -> Self {
        Self {
            mean: mean.to_kind(Kind::Float),
            std: std.to_kind(Kind::Float).clamp_min(1e-3),
        }
    }

    /// The vectors by their names in the file.
    pub fn tensors(&self) -> [(&'static str, &Tensor); 2] {
        [("mean", &self.mean), ("std", &self.std)]
    }

    /// Standardised states `(.., C)`, clamped to four deviations; in f32.
    pub fn apply(&self, states: &Tensor) -> Tensor {
        let device = states.device();
        ((states.to_kind(Kind::Float) - self.mean.to_device(device)) / self.std.to_device(device))
            .clamp(-CLAMP, CLAMP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_is_standardised_by_its_own_numbers_and_clamped() {
        let stats = TextStats::new(
            &Tensor::from_slice(&[1.0f32, 0.0, 5.0]),
            &Tensor::from_slice(&[2.0f32, 1000.0, 0.0]),
        );
        let states = Tensor::from_slice(&[3.0f32, -1000.0, 5.5]).view([1, 3]);
        assert_eq!(
            stats.apply(&states),
            Tensor::from_slice(&[1.0f32, -1.0, 4.0]).view([1, 3])
        );
    }

    #[test]
    fn the_file_must_fit_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TextStats::FILE);
        Tensor::write_safetensors(
            &[
                ("mean", Tensor::from_slice(&[1.0f32, 2.0])),
                ("std", Tensor::from_slice(&[1.0f32, 2.0])),
            ],
            &path,
        )
        .unwrap();
        let stats = TextStats::load(&path, 2).unwrap();
        assert_eq!(stats.tensors()[0].1, &Tensor::from_slice(&[1.0f32, 2.0]));
        assert!(matches!(
            TextStats::load(&path, 3),
            Err(WeightsError::Shape { .. })
        ));
    }
}
