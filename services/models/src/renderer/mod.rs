//! Renderers: FLUX.2 klein and Z-Image as diffusers lays them out, and the small model of klein's family.
//!
//! [`Renderer`] prepares what a family's transformer ([`klein`], [`zimage`]) reads of scenes, steps from noise to tokens along the
//! [`schedule`], and has the [`autoencoder`] make pictures of them.

mod attention;
pub mod autoencoder;
pub mod blend;
mod config;
mod decode;
mod draw;
mod index;
mod input;
pub mod klein;
mod load;
mod network;
pub mod noise;
mod pixels;
mod prepare;
pub mod regions;
mod repaint;
mod rope;
mod sample;
mod scene;
pub mod schedule;
pub mod text_stats;
mod time;
pub mod zimage;

pub use config::RendererConfig;
pub use draw::{Canvas, Drawing, Noise, OnDrawingStep, OnStep, Preview};
pub use index::{ModelIndex, Pipeline};
pub use input::{Layers, Observe, TransformerInput};
pub use load::{LoadError, Renderer};
pub use network::{Network, NetworkConfig, TransformerConfigError};
pub use repaint::Area;
pub use scene::{MAX_STEPS, MAX_TEXT, MAX_THINGS, RenderError, RenderScene, RenderThing};
