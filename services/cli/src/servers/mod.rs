//! The servers of a farm as child processes: where they are found, how they are prepared, when they are ready.

mod error;
mod locate;
mod nats;
mod ports;
mod postgres;
mod process;
mod unprivileged;

pub use error::ServerError;
pub use locate::Parts;
pub use nats::Nats;
pub use ports::free_port;
pub use postgres::{Durability, Postgres};
pub use process::{end, log_tail, spawn, wait_until};
pub use unprivileged::Identity;
