//! From what a model named to a plan: layout, references and checks, in pure code.

pub mod draft;

pub use draft::{Draft, DraftElement};
