//! The state machine of a request: what happens next, and why.
//!
//! Pure: no I/O, no clock, no randomness. Time comes in as [`Millis`], seeds and ids derive from the request's own by a hash, and what has to be
//! done comes out as [`Effect`]s. The coordinator loads a [`Request`], applies an [`Event`] and saves what [`Delta`] says has changed.

mod decide;
mod delta;
mod effect;
mod event;
pub mod fair;
mod graph;
pub mod invariants;
mod job;
mod policy;
mod quarantine;
mod remedy;
mod request;
mod ripple;
mod seed;

pub use decide::{MOST_FIXES, Standing, decide};
pub use delta::{ChangedJob, Delta};
pub use effect::Effect;
pub use event::{Event, NotApplied, Outcome};
pub use graph::{Graph, GraphError, StageNode};
pub use job::{Job, JobState, Output, Repair};
pub use policy::{Millis, Policy};
pub use quarantine::Quarantine;
pub use request::{Best, Limits, MAX_CANDIDATES, NewRequest, PlanInUse, Request, State};
pub use seed::{job_id, stage_seed};
