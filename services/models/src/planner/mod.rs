//! From a prompt to a draft with a language model that writes under a grammar.
//!
//! [`words`] says what a prompt can mean, [`schema`] makes the grammar of its drafts, [`tokens`] turns that into allowed and forced tokens,
//! [`Planner`] runs the decoder.

mod dialog;
mod drafting;
pub mod grammar;
mod prompt;
pub mod schema;
pub mod tokens;
pub mod words;
mod writing;

pub use dialog::Dialog;
pub use drafting::{DraftOutput, Planner, PlannerError};
pub use prompt::readable;
pub use schema::{Binding, draft_schema};
pub use words::PromptWords;
