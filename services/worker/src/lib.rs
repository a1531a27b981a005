//! The worker: takes jobs from the stream, fetches what they need, computes on one thread that owns the engine, stores what came
//! out, and reports until a coordinator has answered.
//!
//! ```text
//! intake ─> hands ─> job task: fetch ─> device thread ─> store ─> outbox ─> acknowledge
//!             └─ lease keeper (signs of life), cancel, quarantine, watchdog, drain
//! ```
//! Order at the end of a job: the object is stored, then the report is answered, then the message is acknowledged.

pub mod announce;
pub mod app;
pub mod cancel;
pub mod config;
pub mod departures;
pub mod device;
pub mod drain;
pub mod engines;
pub mod hands;
pub mod inputs;
pub mod intake;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod metrics;
pub mod offer;
pub mod outbox;
pub mod progress;
pub mod quarantine;
mod recent;
pub mod results;
pub mod shared;
pub mod spans;
pub mod stages;
pub mod trial;
pub mod watchdog;
