//! What OpenAI's client libraries speak, on top of the farm's own requests: a call makes as many requests as it wants pictures, and waits.
//!
//! Every field of these libraries is honoured or refused by name ([`wish`]); fields that are not known are ignored, and the answer says which.

mod answer;
pub mod edits;
mod error;
pub mod fields;
pub mod form;
pub mod generations;
pub mod models;
pub mod retouch;
mod stream;
mod waiting;
pub mod wish;

use axum::http::HeaderName;

pub use answer::converted_in;
pub use error::Refusal;
pub use form::MAX_FORM_BYTES;

/// The request of the first picture of a call.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The requests of all of them.
const REQUEST_IDS: HeaderName = HeaderName::from_static("x-atelier-request-ids");
/// Fields that changed nothing.
const IGNORED_FIELDS: HeaderName = HeaderName::from_static("x-atelier-ignored-fields");

/// Longest body without pictures, in bytes.
pub const MAX_JSON_BYTES: usize = 1 << 20;
