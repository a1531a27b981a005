//! What the coordinator has to do after an event was applied and saved.

use atelier_proto::{ArtifactRef, JobId};

use crate::State;

/// Something to do once the change is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The job may be dispatched.
    JobReady(JobId),
    /// Workers that have the job in their hands may drop it.
    StopWork(JobId),
    /// There is a result, or a better one.
    BestPicture(ArtifactRef),
    /// The request ended like this; its trace can be written.
    Ended(State),
}
