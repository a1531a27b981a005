//! What can happen to a request.

use atelier_proto::{
    ArtifactRef, JobId, WorkerId,
    job::JobKind,
    review::{Findings, Score},
};

use crate::Graph;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A ready job is about to be published; begins its next attempt.
    Dispatched {
        /// The job.
        job: JobId,
    },
    /// A worker has the job in its hands.
    Alive {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// Who.
        worker: WorkerId,
        /// Whether it is on the worker's device, where it may do harm.
        begun: bool,
    },
    /// A worker says how an attempt ended.
    Reported {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// Who says so.
        worker: WorkerId,
        /// Milliseconds that it took of the device.
        device_ms: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// A look at the leases; those that ran out are acted on.
    LeasesChecked,
    /// A look at what is left of time and cost.
    LimitsChecked,
    /// The messages of these attempts are known to be gone from the queue.
    MessageLost {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
    },
    /// The user wants it no more.
    Canceled {
        /// Why, for people.
        reason: String,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A plan was made.
    Planned {
        /// The plan, stored.
        artifact: ArtifactRef,
        /// Its stages.
        graph: Graph,
    },
    /// A stage was drawn.
    Rendered {
        /// The picture, stored.
        image: ArtifactRef,
    },
    /// A picture was looked at.
    Reviewed {
        /// The review, stored.
        artifact: ArtifactRef,
        /// Its counts.
        score: Score,
        /// What failed, and what would mend it.
        findings: Findings,
    },
    /// It went wrong.
    Failed {
        /// Why, for people.
        reason: String,
        /// Whether another attempt may do better.
        retry: bool,
    },
    /// Something that neither the job nor its worker is to blame for was away too long, for example the object store.
    Outage {
        /// What, for people.
        reason: String,
    },
    /// Given back undone; no blame.
    Returned,
}

impl Outcome {
    /// The kind of job that ends like this; none for those that any may end in.
    pub const fn kind(&self) -> Option<JobKind> {
        match self {
            Self::Planned { .. } => Some(JobKind::Plan),
            Self::Rendered { .. } => Some(JobKind::Render),
            Self::Reviewed { .. } => Some(JobKind::Critique),
            Self::Failed { .. } | Self::Outage { .. } | Self::Returned => None,
        }
    }
}

/// Why an event changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// Another attempt or the request's end came first.
    #[error("superseded")]
    Superseded,
    /// The request has no such job.
    #[error("the request has no such job")]
    UnknownJob,
    /// A job of one kind cannot end like one of another.
    #[error("the outcome does not fit the kind of the job")]
    WrongKind,
    /// The review does not answer the checks of the plan.
    #[error("the review answers {answers} checks, the plan has {checks}")]
    WrongChecks {
        /// Answers in the review.
        answers: u32,
        /// Checks in the plan.
        checks: u32,
    },
}

impl NotApplied {
    /// Whether the event was too late, as opposed to wrong.
    pub const fn is_superseded(self) -> bool {
        matches!(self, Self::Superseded)
    }
}
