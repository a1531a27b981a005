//! What the farm has promised to those outside, and whether it was kept.

use std::collections::{BTreeMap, BTreeSet};

use atelier_domain::{Effect, JobState, Output, Request, State, invariants::Violation};
use atelier_proto::{ArtifactRef, JobId, RequestId, Sha256};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An invariant of the domain.
    #[error("{0}: {1}")]
    Invariant(RequestId, Violation),
    /// An accepted request is not in the database.
    #[error("{0} was accepted and is gone")]
    Lost(RequestId),
    /// A request ended a second time.
    #[error("{0} ended twice")]
    EndedTwice(RequestId),
    /// A report was committed for a job that had its output.
    #[error("two reports of {0} were committed")]
    TwoOutputs(JobId),
    /// A report was committed although another attempt of the job was running, or none.
    #[error("a report of {0} was committed that came too late")]
    TooLate(JobId),
    /// A job has another output than its committed report.
    #[error("{0} has not the output of its committed report")]
    OtherOutput(JobId),
    /// An artifact that is named and not stored.
    #[error("{0} names an artifact that was never stored")]
    NotStored(RequestId),
    /// Nothing goes wrong any more, and still a request does not end.
    #[error("{0} does not end: {1}")]
    Stuck(RequestId, String),
}

/// What was promised.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    accepted: BTreeSet<RequestId>,
    ended: BTreeSet<RequestId>,
    outputs: BTreeMap<JobId, ArtifactRef>,
    stored: BTreeSet<Sha256>,
}

impl Promises {
    /// A submit was answered.
    pub fn accepted(&mut self, request: RequestId) {
        self.accepted.insert(request);
    }

    /// A PUT was acknowledged.
    pub fn stored(&mut self, artifact: ArtifactRef) {
        self.stored.insert(artifact.sha256);
    }

    /// A report with this output was answered as committed.
    pub fn committed(&mut self, job: JobId, output: ArtifactRef) -> Result<(), Broken> {
        match self.outputs.insert(job, output) {
            None => Ok(()),
            Some(_) => Err(Broken::TwoOutputs(job)),
        }
    }

    /// The domain asked for this after a change was saved.
    pub fn followed(&mut self, request: RequestId, effects: &[Effect]) -> Result<(), Broken> {
        for effect in effects {
            if matches!(effect, Effect::Ended(_)) && !self.ended.insert(request) {
                return Err(Broken::EndedTwice(request));
            }
        }
        Ok(())
    }

    /// Whether the database still holds what was promised.
    pub fn check(&self, database: &BTreeMap<RequestId, Request>) -> Result<(), Broken> {
        for id in &self.accepted {
            let request = database.get(id).ok_or(Broken::Lost(*id))?;
            if self.ended.contains(id) != (request.state != State::Active) {
                return Err(Broken::EndedTwice(*id));
            }
            self.check_artifacts(request)?;
        }
        Ok(())
    }

    fn check_artifacts(&self, request: &Request) -> Result<(), Broken> {
        let mut named = vec![request.direct_plan];
        named.extend(request.plan.map(|plan| plan.artifact));
        named.extend(request.best.map(|best| best.image));
        for job in &request.jobs {
            let output = match &job.state {
                JobState::Done(output) => Some(Output::artifact(output)),
                _ => None,
            };
            if self.outputs.get(&job.id).copied() != output {
                return Err(Broken::OtherOutput(job.id));
            }
            named.extend(output);
        }
        if named.iter().all(|a| self.stored.contains(&a.sha256)) {
            Ok(())
        } else {
            Err(Broken::NotStored(request.id))
        }
    }
}
