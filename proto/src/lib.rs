//! Every byte that crosses a process boundary of the farm: ids, plans, jobs, reports, subjects, object keys, HTTP bodies.
//!
//! No I/O and no async in here. Messages are MessagePack with named fields, encoded and decoded by one pair of functions.

pub mod artifact;
pub mod envelope;
mod flat;
mod hex;
pub mod http;
pub mod ids;
pub mod job;
pub mod judging;
pub mod made;
pub mod object_key;
pub mod openai;
pub mod plan;
pub mod report;
pub mod review;
pub mod signal;
pub mod subject;
pub mod trace;
pub mod trace_context;
pub mod webhook;

pub use artifact::{ArtifactRef, MediaType, Sha256};
pub use envelope::{DecodeError, Envelope, decode, encode};
pub use ids::{JobId, RequestId, TenantId, WorkerId};
pub use trace_context::{Leg, TraceContext};
