//! From a prompt to a draft with a language model that writes under a grammar.

pub mod grammar;
pub mod schema;
pub mod tokens;
pub mod words;

pub use schema::{Binding, draft_schema};
pub use words::PromptWords;
