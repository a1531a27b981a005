//! What goes wrong with language models.

use std::path::PathBuf;

use crate::weights::WeightsError;

/// Why a language model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LanguageError {
    /// Its weights or its metadata.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A configuration that this decoder does not compute.
    #[error("{0}: {1}")]
    Unsupported(PathBuf, String),
    /// The tokenizer's file or metadata.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The chat template, or what was put into it.
    #[error("chat template: {0}")]
    Template(String),
    /// Numbers that tokens cannot be drawn with.
    #[error("cannot draw tokens with {0}")]
    Sampling(String),
    /// More tokens than the model reads.
    #[error("{tokens} tokens, the model reads at most {most}")]
    TooLong {
        /// How many there were.
        tokens: usize,
        /// How many may be.
        most: usize,
    },
    /// A token that the model does not have, or none at all.
    #[error("{0}")]
    Tokens(String),
}
