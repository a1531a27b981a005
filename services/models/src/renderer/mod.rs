//! The FLUX.2 [klein] family: transformer, autoencoder, schedule, regions.

pub mod autoencoder;
pub mod blend;
pub mod noise;
pub mod regions;
pub mod schedule;
pub mod text_stats;
pub mod transformer;
