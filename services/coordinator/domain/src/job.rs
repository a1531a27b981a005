//! One job: its states and the transitions between them.
//!
//! ```text
//! waiting -> ready -> dispatched -> done | failed
//!              ^----------'          any of the first three -> canceled
//! ```

use atelier_proto::{ArtifactRef, JobId, WorkerId, job::JobKind, review::Score};

use crate::{Millis, Policy, StageNode};

/// One unit of work for a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its kind.
    pub kind: JobKind,
    /// The round it belongs to, from 1.
    pub round: u32,
    /// The stage it draws; render jobs have one, others none.
    pub stage: Option<StageNode>,
    /// Seed of its noise or sampling.
    pub seed: u64,
    /// Executions begun so far. Counted up by every dispatch; fences late answers.
    pub attempt: u32,
    /// Executions that failed or were lost with their worker.
    pub failures: u32,
    /// Different workers that died over it, in order.
    pub dead_workers: Vec<WorkerId>,
    /// Where it stands.
    pub state: JobState,
}

/// Where a job stands, with the data of just that state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Its inputs are not there yet.
    Waiting,
    /// May be dispatched.
    Ready {
        /// Not before this time.
        not_before: Millis,
    },
    /// Published for a worker.
    Dispatched {
        /// Lost when there is no sign of life until then.
        lease_until: Millis,
        /// Who gave a sign of life; none while it queues.
        worker: Option<WorkerId>,
    },
    /// Has its output.
    Done(Output),
    /// Given up.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// Not needed any more.
    Canceled,
}

/// What a job made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// A plan.
    Plan(ArtifactRef),
    /// The picture of a stage.
    Picture(ArtifactRef),
    /// A review and its counts.
    Review(ArtifactRef, Score),
}

impl Output {
    /// The artifact of any output.
    pub const fn artifact(&self) -> ArtifactRef {
        match self {
            Self::Plan(artifact) | Self::Picture(artifact) | Self::Review(artifact, _) => *artifact,
        }
    }
}

impl JobState {
    /// The word used in tables, views and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready { .. } => "ready",
            Self::Dispatched { .. } => "dispatched",
            Self::Done(_) => "done",
            Self::Failed { .. } => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether it never changes again.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed { .. } | Self::Canceled)
    }
}

/// What becomes of a job whose attempt did not work out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is ready again.
    Again,
    /// It is given up for this reason.
    GivenUp(String),
}

impl Job {
    /// Id of its stage, empty when it has none.
    pub fn stage_id(&self) -> &str {
        self.stage.as_ref().map_or("", |stage| &stage.id)
    }

    /// The picture it made, of a render job that is done.
    pub const fn picture(&self) -> Option<ArtifactRef> {
        match self.state {
            JobState::Done(Output::Picture(image)) => Some(image),
            _ => None,
        }
    }

    /// Whether `attempt` is being executed at this moment.
    pub const fn runs(&self, attempt: u32) -> bool {
        matches!(self.state, JobState::Dispatched { .. }) && self.attempt == attempt
    }

    /// Counts a failed attempt and says whether there is another one.
    pub(crate) fn fail(
        &mut self,
        reason: &str,
        retry: bool,
        now: Millis,
        policy: &Policy,
    ) -> Verdict {
        self.failures += 1;
        if !retry {
            return self.give_up(reason.to_owned());
        }
        if self.failures >= policy.max_failures {
            return self.give_up(format!("{reason} (failed {} times)", self.failures));
        }
        self.state = JobState::Ready {
            not_before: now + policy.backoff(self.id, self.attempt, self.failures),
        };
        Verdict::Again
    }

    /// The lease ran out. A job that nobody had started goes back without blame; one that a worker had in its hands counts
    /// against it, since a job that kills its workers must not take the whole farm down.
    pub(crate) fn lose(
        &mut self,
        worker: Option<WorkerId>,
        now: Millis,
        policy: &Policy,
    ) -> Verdict {
        let Some(worker) = worker else {
            self.state = JobState::Ready { not_before: now };
            return Verdict::Again;
        };
        if !self.dead_workers.contains(&worker) {
            self.dead_workers.push(worker);
        }
        let dead = self.dead_workers.len() as u32;
        if dead >= policy.max_dead_workers {
            self.failures += 1;
            return self.give_up(format!(
                "parked: {dead} different workers fell silent while working on it"
            ));
        }
        self.fail("its worker fell silent", true, now, policy)
    }

    fn give_up(&mut self, reason: String) -> Verdict {
        self.state = JobState::Failed {
            reason: reason.clone(),
        };
        Verdict::GivenUp(reason)
    }
}
