//! What must hold for every request at all times. Shared by the property tests, the store's own checks and simulations.

use atelier_proto::job::JobKind;

use crate::{JobState, Output, Request, State};

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A request that ended still has a job that could run.
    #[error("job {0} is {1} although the request ended")]
    JobAfterEnd(atelier_proto::JobId, &'static str),
    /// An active request that nothing will ever move again.
    #[error("the request is active, and none of its jobs is ready or dispatched")]
    Stuck,
    /// More rounds than allowed.
    #[error("round {round} is not within 1..={max_rounds}")]
    Rounds {
        /// The round.
        round: u32,
        /// The limit.
        max_rounds: u32,
    },
    /// The result is not a picture that one of its jobs drew.
    #[error("the result was not drawn by any of its jobs")]
    ImageNotRendered,
    /// It succeeded without a picture, or without a plan where that is all that was asked for.
    #[error("succeeded without what was asked for")]
    NoResult,
    /// A request that ends with its plan draws.
    #[error("a plan was asked for, and something is drawn")]
    Draws,
    /// A job runs whose inputs are not drawn.
    #[error("job {0} left waiting before its inputs were drawn")]
    InputsMissing(atelier_proto::JobId),
    /// Two jobs are the same work.
    #[error("two jobs for {0:?} {1:?} of candidate {3} in round {2}")]
    Twins(JobKind, String, u32, u32),
    /// A candidate that nobody asked for, or one of a later round.
    #[error("job {0} is of a candidate that there may not be")]
    Candidate(atelier_proto::JobId),
    /// A repair that does not read exactly one picture, or whose box is none.
    #[error("job {0} repairs no box of one picture")]
    Repair(atelier_proto::JobId),
    /// What was decided is of a later round than the request's, or out of order.
    #[error("the decisions are not in the order of their rounds")]
    Decisions,
    /// A job ended like one of another kind.
    #[error("job {0} has an output of another kind")]
    WrongOutput(atelier_proto::JobId),
    /// A request that had ended changed.
    #[error("a request that had ended changed")]
    EndChanged,
    /// An attempt number, a count of failures or losses, or the list of jobs shrank, or a finished job changed.
    #[error("job {0} went backwards")]
    Backwards(atelier_proto::JobId),
    /// A worse picture took the place of a better one.
    #[error("a picture was replaced by one with no more passed checks")]
    BestGotWorse,
    /// A decision was taken back.
    #[error("a decision is gone or was changed")]
    DecisionChanged,
}

/// Checks one request by itself.
pub fn check(request: &Request) -> Result<(), Violation> {
    let ended = request.state != State::Active;
    for job in &request.jobs {
        if ended && !job.state.is_terminal() {
            return Err(Violation::JobAfterEnd(job.id, job.state.as_str()));
        }
        check_inputs(request, job)?;
        let fits = match (&job.state, job.kind) {
            (JobState::Done(Output::Plan(_)), kind) => kind == JobKind::Plan,
            (JobState::Done(Output::Picture(_)), kind) => kind == JobKind::Render,
            (JobState::Done(Output::Review(..)), kind) => kind == JobKind::Critique,
            _ => true,
        };
        if !fits {
            return Err(Violation::WrongOutput(job.id));
        }
        check_place(request, job)?;
    }
    let mut rounds = request.decisions.iter().map(|decision| decision.round);
    if !rounds.clone().is_sorted() || rounds.next_back().is_some_and(|last| last > request.round) {
        return Err(Violation::Decisions);
    }
    if !(1..=request.max_rounds).contains(&request.round) {
        return Err(Violation::Rounds {
            round: request.round,
            max_rounds: request.max_rounds,
        });
    }
    let moving =
        |state: &JobState| matches!(state, JobState::Ready { .. } | JobState::Dispatched { .. });
    if !ended && !request.jobs.iter().any(|job| moving(&job.state)) {
        return Err(Violation::Stuck);
    }
    match request.best {
        Some(best)
            if !(1..=request.candidates)
                .any(|candidate| request.result_of(best.round, candidate) == Some(best.image)) =>
        {
            Err(Violation::ImageNotRendered)
        }
        _ if request.plan_only && request.jobs.iter().any(|job| job.kind != JobKind::Plan) => {
            Err(Violation::Draws)
        }
        None if request.state == State::Succeeded
            && (!request.plan_only || request.plan.is_none()) =>
        {
            Err(Violation::NoResult)
        }
        _ => Ok(()),
    }
}

/// Checks that no other job is the same work, and that this one belongs where it is.
fn check_place(request: &Request, job: &crate::Job) -> Result<(), Violation> {
    let place = |job: &crate::Job| (job.kind, job.round, job.candidate);
    let twins = request
        .jobs
        .iter()
        .filter(|other| place(other) == place(job) && other.stage_id() == job.stage_id());
    if twins.count() > 1 {
        let stage = job.stage_id().to_owned();
        return Err(Violation::Twins(job.kind, stage, job.round, job.candidate));
    }
    let most = if job.round == 1 {
        request.candidates
    } else {
        1
    };
    if !(1..=most).contains(&job.candidate) {
        return Err(Violation::Candidate(job.id));
    }
    if let Some(repair) = &job.repair {
        let inputs = job.stage.as_ref().map_or(0, |stage| stage.inputs.len());
        let reads = inputs + usize::from(repair.base.is_some());
        if job.kind != JobKind::Render || reads != 1 || !repair.fix.bbox.is_inside() {
            return Err(Violation::Repair(job.id));
        }
    }
    Ok(())
}

fn check_inputs(request: &Request, job: &crate::Job) -> Result<(), Violation> {
    let begun = matches!(
        job.state,
        JobState::Ready { .. } | JobState::Dispatched { .. } | JobState::Done(_)
    );
    let there = match (&job.stage, job.kind) {
        (Some(stage), _) => stage
            .inputs
            .iter()
            .all(|id| request.picture_beside(job, id).is_some()),
        (None, JobKind::Critique) => request.result_of(job.round, job.candidate).is_some(),
        (None, _) => true,
    };
    if begun && !there {
        return Err(Violation::InputsMissing(job.id));
    }
    Ok(())
}

/// Checks that `after` may follow `before`.
pub fn check_step(before: &Request, after: &Request) -> Result<(), Violation> {
    if before.state != State::Active && before != after {
        return Err(Violation::EndChanged);
    }
    for (index, old) in before.jobs.iter().enumerate() {
        let backwards = after.jobs.get(index).is_none_or(|new| {
            new.id != old.id
                || new.attempt < old.attempt
                || new.failures < old.failures
                || new.losses < old.losses
                || new.device_ms < old.device_ms
                || (old.state.is_terminal() && new != old)
        });
        if backwards {
            return Err(Violation::Backwards(old.id));
        }
    }
    if !after.decisions.starts_with(&before.decisions) {
        return Err(Violation::DecisionChanged);
    }
    if let (Some(old), Some(new)) = (before.best, after.best)
        && old.image != new.image
    {
        let better = match (old.score, new.score) {
            (Some(old_score), Some(score)) if old.round == new.round => {
                score.is_better_candidate(&old_score)
            }
            (Some(old_score), Some(score)) => score.beats(&old_score),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if !better {
            return Err(Violation::BestGotWorse);
        }
    }
    Ok(())
}
