//! What a renderer's folder says beyond its parts: `renderer.json`.

use serde::{Deserialize, Serialize};

use super::{
    index::Pipeline,
    regions::{Positions, Ties},
};

/// How a checkpoint is used when a request does not say. Published checkpoints have no such file: they are used as their authors do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RendererConfig {
    /// Which positions the checkpoint was trained with.
    pub positions: Positions,
    /// Denoise steps.
    pub steps: u32,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How far the velocity goes from that of an empty text to that of the scene's; at 1 there is no guidance and one pass a step.
    /// Z-Image's own documents count from 0 instead.
    #[serde(default = "unguided")]
    pub guidance: f64,
    /// How firmly things are tied to their boxes.
    #[serde(default, skip_serializing_if = "Ties::is_default")]
    pub regions: Ties,
}

const fn unguided() -> f64 {
    1.0
}

impl RendererConfig {
    /// Name of the file in the renderer's folder.
    pub const FILE: &str = "renderer.json";

    /// As the authors of a pipeline use it.
    pub const fn of(pipeline: Pipeline) -> Self {
        let (positions, steps, guidance) = match pipeline {
            Pipeline::Klein => (Positions::Family, 4, unguided()),
            Pipeline::KleinBase => (Positions::Family, 50, 4.0),
            Pipeline::ZImage => (Positions::Counted, 8, unguided()),
        };
        Self {
            positions,
            steps,
            width: 1024,
            height: 1024,
            guidance,
            regions: Ties::DEFAULT,
        }
    }

    /// Whether the velocity is guided away from that of an empty text.
    pub fn guided(&self) -> bool {
        self.guidance > unguided()
    }
}
