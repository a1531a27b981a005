//! Everything under `/v1/requests`.

pub mod artifact;
pub mod cancel;
pub mod events;
pub mod image;
pub mod list;
pub mod retry;
pub mod show;
pub mod submit;
pub mod trace;
