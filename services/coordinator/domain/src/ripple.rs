//! How an event changes a request: first the job that it is about, then what follows from that for the others.

use atelier_proto::{ArtifactRef, JobId, WorkerId, job::JobKind};

use crate::{
    Best, Effect, Event, Graph, Job, JobState, Millis, NotApplied, Outcome, Output, Policy,
    Request, State, invariants, job::Verdict,
};

#[cfg(test)]
mod tests;

impl Request {
    /// Applies `event`; says what to do once it is saved. An event that comes too late or is wrong changes nothing. Debug builds check the
    /// invariants after each.
    pub fn apply(
        &mut self,
        event: Event,
        now: Millis,
        policy: &Policy,
    ) -> Result<Vec<Effect>, NotApplied> {
        let before = cfg!(debug_assertions).then(|| self.clone());
        let applied = self.step(event, now, policy);
        if let Some(before) = before {
            let held = invariants::check(self).and_then(|()| invariants::check_step(&before, self));
            debug_assert_eq!(held, Ok(()), "{before:?}");
            debug_assert!(applied.is_ok() || *self == before, "{before:?}");
        }
        applied
    }

    fn step(
        &mut self,
        event: Event,
        now: Millis,
        policy: &Policy,
    ) -> Result<Vec<Effect>, NotApplied> {
        let mut effects = Vec::new();
        if self.state != State::Active {
            return Err(NotApplied::Superseded);
        }
        match event {
            Event::Dispatched { job } => self.dispatch(job, now, policy)?,
            Event::Alive {
                job,
                attempt,
                worker,
                begun,
            } => self.alive(job, attempt, worker, begun, now, policy)?,
            Event::Reported {
                job,
                attempt,
                worker,
                device_ms,
                outcome,
            } => {
                let from = (worker, device_ms);
                self.report(job, attempt, from, outcome, now, policy, &mut effects)?;
                self.stop_when_spent(now, &mut effects);
            }
            Event::LeasesChecked => {
                self.check_leases(now, policy, &mut effects)?;
                self.stop_when_spent(now, &mut effects);
            }
            Event::LimitsChecked => {
                if !self.stop_when_spent(now, &mut effects) {
                    return Err(NotApplied::Superseded);
                }
            }
            Event::MessageLost { job, attempt } => {
                let lost = self.running(job, attempt)?;
                let JobState::Dispatched { worker: None, .. } = lost.state else {
                    return Err(NotApplied::Superseded);
                };
                lost.state = JobState::Ready { not_before: now };
                effects.push(Effect::JobReady(job));
            }
            Event::Canceled { reason } => self.end(State::Canceled { reason }, &mut effects),
        }
        Ok(effects)
    }

    fn dispatch(&mut self, id: JobId, now: Millis, policy: &Policy) -> Result<(), NotApplied> {
        let job = self.job_mut(id)?;
        match job.state {
            JobState::Ready { not_before } if not_before <= now => {
                job.attempt += 1;
                job.state = JobState::Dispatched {
                    lease_until: now + policy.lease_ms,
                    worker: None,
                    begun: false,
                };
                Ok(())
            }
            _ => Err(NotApplied::Superseded),
        }
    }

    /// A sign of life. What one worker has on its device is not taken over by another that got the same message: when the first one fell
    /// silent, its lease has to run out, so that it is known who died of it.
    fn alive(
        &mut self,
        id: JobId,
        attempt: u32,
        worker: WorkerId,
        begun: bool,
        now: Millis,
        policy: &Policy,
    ) -> Result<(), NotApplied> {
        let job = self.running(id, attempt)?;
        if let JobState::Dispatched {
            worker: Some(other),
            begun: true,
            ..
        } = job.state
            && other != worker
        {
            return Err(NotApplied::Superseded);
        }
        job.state = JobState::Dispatched {
            lease_until: now + policy.lease_ms,
            worker: Some(worker),
            begun,
        };
        Ok(())
    }

    fn check_leases(
        &mut self,
        now: Millis,
        policy: &Policy,
        effects: &mut Vec<Effect>,
    ) -> Result<(), NotApplied> {
        let lost: Vec<_> = self
            .jobs
            .iter()
            .filter_map(|job| match job.state {
                JobState::Dispatched {
                    lease_until,
                    worker,
                    begun,
                } if lease_until <= now => Some((job.id, worker, begun)),
                _ => None,
            })
            .collect();
        if lost.is_empty() {
            return Err(NotApplied::Superseded);
        }
        for (id, worker, begun) in lost {
            if self.state != State::Active {
                break;
            }
            let job = self.job_mut(id)?;
            let verdict = job.lose(worker, begun, now, policy);
            self.follow(id, verdict, now, effects)?;
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one event, taken apart by its only caller"
    )]
    fn report(
        &mut self,
        id: JobId,
        attempt: u32,
        (worker, device_ms): (WorkerId, u64),
        outcome: Outcome,
        now: Millis,
        policy: &Policy,
        effects: &mut Vec<Effect>,
    ) -> Result<(), NotApplied> {
        let checks = self.plan.map_or(0, |plan| plan.checks);
        let job = self.job_mut(id)?;
        if outcome.kind().is_some_and(|kind| kind != job.kind) {
            return Err(NotApplied::WrongKind);
        }
        if !job.runs(attempt) {
            return Err(NotApplied::Superseded);
        }
        if let Outcome::Reviewed { score, .. } = &outcome
            && score.total() != checks
        {
            let answers = score.total();
            return Err(NotApplied::WrongChecks { answers, checks });
        }
        job.device_ms = job.device_ms.saturating_add(device_ms);
        let at = (job.round, job.candidate);
        match outcome {
            Outcome::Returned => {
                job.state = JobState::Ready { not_before: now };
                effects.push(Effect::JobReady(id));
            }
            Outcome::Failed { reason, retry } => {
                let verdict = job.fail(worker, &reason, retry, now, policy);
                self.follow(id, verdict, now, effects)?;
            }
            Outcome::Outage { reason } => {
                let verdict = job.suffer(&reason, now, policy);
                self.follow(id, verdict, now, effects)?;
            }
            Outcome::Planned { artifact, graph } => {
                job.state = JobState::Done(Output::Plan(artifact));
                if self.plan_only {
                    self.take_plan(artifact, &graph);
                    self.end(State::Succeeded, effects);
                    return Ok(());
                }
                // Planning again took of what was left, too.
                if self.best.is_some()
                    && let Some(reason) = self.spent(now)
                {
                    self.stop(&format!("planned again, and {reason}"), effects);
                    return Ok(());
                }
                self.carry_out(artifact, &graph, now);
                self.announce_ready(effects);
            }
            Outcome::Rendered { image } => {
                job.state = JobState::Done(Output::Picture(image));
                let sink = self.job(id).is_some_and(|job| self.is_sink(job));
                self.rendered(at, image, sink, now, effects);
            }
            Outcome::Reviewed {
                artifact,
                score,
                findings,
            } => {
                job.state = JobState::Done(Output::Review(artifact, score));
                self.reviewed(at, score, findings, now, effects);
            }
        }
        Ok(())
    }

    /// A stage has its picture: those that waited for it become ready, and the last one is the result of its candidate.
    fn rendered(
        &mut self,
        (round, candidate): (u32, u32),
        image: ArtifactRef,
        sink: bool,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        if sink && self.best.is_none() {
            self.best = Some(Best {
                image,
                score: None,
                round,
            });
            effects.push(Effect::BestPicture(image));
        }
        if sink && self.plan.is_none_or(|plan| plan.checks == 0) {
            return self.stop("the plan that was made again checks nothing", effects);
        }
        let drawn = |job: &Job, inputs: &[String]| {
            let mut inputs = inputs.iter();
            inputs.all(|id| self.picture_beside(job, id).is_some())
        };
        let unblocked: Vec<_> = self
            .jobs
            .iter()
            .filter(|job| (job.round, job.candidate) == (round, candidate))
            .filter(|job| job.state == JobState::Waiting)
            .filter(|job| match &job.stage {
                Some(stage) => drawn(job, &stage.inputs),
                None => sink,
            })
            .map(|job| job.id)
            .collect();
        for job in &mut self.jobs {
            if unblocked.contains(&job.id) {
                job.state = JobState::Ready { not_before: now };
                effects.push(Effect::JobReady(job.id));
            }
        }
    }

    /// What an attempt that did not work out means for the request.
    fn follow(
        &mut self,
        id: JobId,
        verdict: Verdict,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) -> Result<(), NotApplied> {
        let reason = match verdict {
            Verdict::Again => {
                effects.push(Effect::JobReady(id));
                return Ok(());
            }
            Verdict::GivenUp(reason) => reason,
        };
        let job = self.job_mut(id)?;
        let (kind, at) = (job.kind, (job.round, job.candidate));
        match kind {
            // What was asked for is the plan.
            JobKind::Plan if self.plan_only => self.end(State::Failed { reason }, effects),
            JobKind::Plan if at.0 > 1 => {
                self.stop(&format!("planning again failed: {reason}"), effects);
            }
            JobKind::Plan => {
                self.notes
                    .push(format!("drawn from the prompt without a plan: {reason}"));
                self.carry_out(self.direct_plan, &Graph::direct(), now);
                self.announce_ready(effects);
            }
            JobKind::Render | JobKind::Critique => {
                self.notes.extend(self.note_on(kind, at, &reason));
                self.go_on_without(at, &reason, now, effects);
            }
        }
        Ok(())
    }

    /// What people should know of a picture that could not be drawn or looked at; the reason of a request that fails says it all.
    fn note_on(&self, kind: JobKind, at: (u32, u32), reason: &str) -> Option<String> {
        let (round, candidate) = at;
        let several = self.critiques(round).nth(1).is_some();
        Some(match (kind, self.best) {
            (JobKind::Critique, _) if several => {
                format!("candidate {candidate} was not looked at: {reason}")
            }
            (JobKind::Critique, _) => format!("round {round} was not looked at: {reason}"),
            _ if several => format!("candidate {candidate} could not be drawn: {reason}"),
            (_, Some(best)) => format!(
                "round {round} could not be drawn, kept the picture of round {}: {reason}",
                best.round
            ),
            (_, None) => return None,
        })
    }

    /// Ends the request; what is left of its jobs is not needed any more.
    pub(crate) fn end(&mut self, state: State, effects: &mut Vec<Effect>) {
        for job in &mut self.jobs {
            if matches!(job.state, JobState::Dispatched { .. }) {
                effects.push(Effect::StopWork(job.id));
            }
            if !job.state.is_terminal() {
                job.state = JobState::Canceled;
            }
        }
        self.state = state.clone();
        effects.push(Effect::Ended(state));
    }

    pub(crate) fn announce_ready(&self, effects: &mut Vec<Effect>) {
        let ready = |job: &&Job| matches!(job.state, JobState::Ready { .. });
        effects.extend(
            self.jobs
                .iter()
                .filter(ready)
                .map(|job| Effect::JobReady(job.id)),
        );
    }

    fn job_mut(&mut self, id: JobId) -> Result<&mut Job, NotApplied> {
        self.jobs
            .iter_mut()
            .find(|job| job.id == id)
            .ok_or(NotApplied::UnknownJob)
    }

    fn running(&mut self, id: JobId, attempt: u32) -> Result<&mut Job, NotApplied> {
        let job = self.job_mut(id)?;
        if job.runs(attempt) {
            Ok(job)
        } else {
            Err(NotApplied::Superseded)
        }
    }
}
