//! The farm on this machine: its data folder, its ports and keys, its processes, and who watches over them.

mod admin;
mod data;
mod model;
mod ports;
mod service;
mod start;

pub use admin::{Admin, LOCAL_TENANT};
pub use data::{DataDir, FarmInfo};
pub use ports::Ports;
pub use service::{Service, Spec};
pub use start::{Farm, FarmOptions};
