//! Language models: decoder, tokenizer, chat template, and text as states for other models.

mod decoder;
mod error;

pub use decoder::{Adapter, Cache, Decoder, DecoderConfig, PROJECTIONS};
pub use error::LanguageError;
