//! One job: its states and the transitions between them.
//!
//! ```text
//! waiting -> ready -> dispatched -> done | failed
//!              ^----------'          any of the first three -> canceled
//! ```

use atelier_proto::{
    ArtifactRef, JobId, WorkerId,
    job::JobKind,
    review::{Fix, Score},
};

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
    /// Which of the round's candidates it belongs to, from 1; every round but the first has one.
    pub candidate: u32,
    /// The stage it draws; render jobs have one, others none.
    pub stage: Option<StageNode>,
    /// What it mends, when its stage is none of the plan's.
    pub repair: Option<Repair>,
    /// Seed of its noise or sampling.
    pub seed: u64,
    /// Executions begun so far. Counted up by every dispatch; fences late answers.
    pub attempt: u32,
    /// Executions that failed, by report or because their worker died while it computed them.
    pub failures: u32,
    /// Different workers that it failed on, in order.
    pub failed_on: Vec<WorkerId>,
    /// Executions that were lost in a worker's hands without being computed: nobody is blamed, but there is an end to it.
    pub losses: u32,
    /// Milliseconds on devices, of all executions that reported.
    pub device_ms: u64,
    /// Where it stands.
    pub state: JobState,
}

/// What a render job mends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repair {
    /// The box and what shall be there.
    pub fix: Fix,
    /// The picture that the first repair of a round begins with; those after it read the one before.
    pub base: Option<ArtifactRef>,
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
        /// Whether that worker has it on its device, as far as is known. Others only lie in its hands: inputs are fetched, or the output
        /// is stored and reported.
        begun: bool,
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

    /// Counts an attempt that failed on `worker` and says whether there is another one. A job that failed on several different workers is
    /// to blame itself and is parked, before it takes the whole farm down.
    pub(crate) fn fail(
        &mut self,
        worker: WorkerId,
        reason: &str,
        retry: bool,
        now: Millis,
        policy: &Policy,
    ) -> Verdict {
        if !self.failed_on.contains(&worker) {
            self.failed_on.push(worker);
        }
        let workers = self.failed_on.len() as u32;
        if retry && workers >= policy.max_failed_workers {
            self.failures += 1;
            return self.give_up(format!(
                "parked: failed on {workers} different workers, the last time: {reason}"
            ));
        }
        self.count(reason, retry, now, policy)
    }

    /// Counts an attempt that failed because something else was away, for example the object store. Says nothing against job or worker.
    pub(crate) fn suffer(&mut self, reason: &str, now: Millis, policy: &Policy) -> Verdict {
        self.count(reason, true, now, policy)
    }

    /// The lease ran out. A job that nobody had started goes back without blame, and so does one that lay in a dead worker's hands beside
    /// the one on its device; only that one may have killed it.
    pub(crate) fn lose(
        &mut self,
        worker: Option<WorkerId>,
        begun: bool,
        now: Millis,
        policy: &Policy,
    ) -> Verdict {
        match worker {
            Some(worker) if begun => {
                return self.fail(worker, "its worker fell silent", true, now, policy);
            }
            Some(_) => self.losses += 1,
            None => {}
        }
        if self.losses >= policy.max_losses {
            return self.give_up(format!(
                "parked: {} workers fell silent with it in their hands",
                self.losses
            ));
        }
        self.state = JobState::Ready { not_before: now };
        Verdict::Again
    }

    fn count(&mut self, reason: &str, retry: bool, now: Millis, policy: &Policy) -> Verdict {
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

    fn give_up(&mut self, reason: String) -> Verdict {
        self.state = JobState::Failed {
            reason: reason.clone(),
        };
        Verdict::GivenUp(reason)
    }
}
