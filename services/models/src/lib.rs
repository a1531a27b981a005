//! Native implementations of the model families on libtorch, behind the engine seam.
//!
//! Synchronous: no async runtime and no network in here, and no tensor leaves the crate except towards the trainer.

mod bounded;
pub mod checkpoint;
pub mod critic;
pub mod device;
pub mod judge;
pub mod language;
pub mod nn;
pub mod planner;
pub mod props;
pub mod renderer;
pub mod residency;
mod torch_engine;
pub mod weights;

pub use torch_engine::{LoadError, Manifest, ManifestError, Sources, TorchEngine};
