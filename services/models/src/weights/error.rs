//! Why a checkpoint cannot be used.

use std::path::PathBuf;

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, #[source] std::io::Error),
    /// A file is not what its name says.
    #[error("{0} is malformed: {1}")]
    Malformed(PathBuf, String),
    /// A folder without a checkpoint.
    #[error("{0} holds no .safetensors file")]
    Empty(PathBuf),
    /// A tensor is not there.
    #[error("the checkpoint has no tensor {0:?}")]
    Missing(String),
    /// A tensor that no part of the network reads.
    #[error("the checkpoint has a tensor {0:?}, which its configuration has no place for")]
    Extra(String),
    /// A tensor has another shape than the configuration says.
    #[error("tensor {name:?} has shape {found:?}, the configuration says {wanted:?}")]
    Shape {
        /// Its name.
        name: String,
        /// As stored.
        found: Vec<i64>,
        /// As wanted.
        wanted: Vec<i64>,
    },
    /// A tensor that a device has no room for, or that cannot be moved there.
    #[error("tensor {0:?}: {1}")]
    Place(String, String),
}
