//! Critics: what is in a picture, and where.

pub mod detector;
mod detector_critic;
mod questions;
pub mod qwen3_vl;
mod reading_critic;
pub mod review;

pub use detector_critic::DetectorCritic;
pub use questions::question;
pub use reading_critic::{ReadingCritic, answer};
