//! The FLUX.2 klein family: transformer, autoencoder, schedule, regions, and drawing with them.

pub mod autoencoder;
pub mod blend;
mod config;
mod draw;
mod load;
pub mod noise;
mod pixels;
mod prepare;
pub mod regions;
mod scene;
pub mod schedule;
pub mod text_stats;
pub mod transformer;

pub use config::RendererConfig;
pub use draw::OnStep;
pub use load::{LoadError, Renderer};
pub use scene::{MAX_STEPS, MAX_TEXT, MAX_THINGS, RenderError, RenderScene, RenderThing};
