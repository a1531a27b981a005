//! The sandbox of the system tests: real NATS, PostgreSQL and S3 servers, and the farm's own programs as processes.
//!
//! The servers are shared by the tests of one test program and end with it; every test has its own database, subject
//! prefix and object folder, so that tests run side by side. Nothing here waits by sleeping: everything is probed.

mod api;
mod base;
pub mod finished;
mod gate;
pub mod hand;
mod program;
mod sandbox;
mod seaweed;
mod wait;
mod wire;

pub use api::{Api, prompt, sha256};
pub use base::checkout;
pub use gate::{Gate, Mood};
pub use program::Program;
pub use sandbox::{Coordinator, Options, Sandbox, Worker};
pub use seaweed::Seaweed;
pub use wait::in_time;
pub use wire::Wire;
