//! What every process of the farm stands on: clock, lifecycle, pulse, logs and metrics, the bus, the artifact store, admin endpoints.
//!
//! Not one word of rendering in here, and no SQL. Only proto names subjects and object keys; this crate carries them out.

pub mod admin;
pub mod artifacts;
pub mod bus;
pub mod clock;
pub mod inbox;
pub mod lifecycle;
pub mod pulse;
pub mod telemetry;

pub use artifacts::{ArtifactError, Artifacts};
pub use bus::{Bus, BusError, BusOptions};
pub use clock::{Clock, ManualClock, SystemClock};
pub use lifecycle::Lifecycle;
pub use pulse::{Pulse, Pulses};
