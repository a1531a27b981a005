//! Critics: what is in a picture, and where.

pub mod detector;
mod detector_critic;
pub mod review;

pub use detector_critic::DetectorCritic;
