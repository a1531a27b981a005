//! The farm on this machine: its data folder, its processes, and who watches over them.

mod data;
mod service;
mod start;

pub use data::{DataDir, FarmInfo};
pub use service::{Service, Spec};
pub use start::{Farm, FarmOptions};
