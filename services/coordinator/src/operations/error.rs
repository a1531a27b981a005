//! Why a unit of work was not saved.

use atelier_platform::ArtifactError;

use crate::store::StoreError;

/// Why a unit of work was not saved. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store did not take the direct plan.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
}

impl SaveError {
    /// Whether a server is out of reach at the moment.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Store(error) => error.is_away(),
            Self::Artifacts(_) => true,
        }
    }

    /// Whether it can never be saved.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_refusal())
    }

    /// Whether somebody else was faster.
    pub fn is_overtaken(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_overtaken())
    }

    /// Whether what was to be written breaks a rule. Of what was taken from memory that says nothing: memory may be out of date in parts.
    pub fn is_violation(&self) -> bool {
        matches!(self, Self::Store(StoreError::Violation { .. }))
    }
}
