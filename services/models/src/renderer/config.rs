//! What a renderer's folder says beyond its parts: `renderer.json`.

use serde::{Deserialize, Serialize};

use super::regions::Positions;

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
}

impl RendererConfig {
    /// Name of the file in the renderer's folder.
    pub const FILE: &str = "renderer.json";
}

impl Default for RendererConfig {
    /// FLUX.2 klein as published: distilled to four steps.
    fn default() -> Self {
        Self {
            positions: Positions::Family,
            steps: 4,
            width: 1024,
            height: 1024,
        }
    }
}
