//! What becomes of a request after looks at pictures: the best one is kept, and what was decided is begun.

use atelier_proto::{
    ArtifactRef,
    job::JobKind,
    review::{Action, Decision, Findings, Fix, FixKind, Score},
};

use crate::{
    Best, Effect, Job, JobState, Millis, PlanInUse, Repair, Request, StageNode, Standing, State,
    decide::decide, request::Place,
};

impl Request {
    /// A picture was looked at. Nothing is decided before every candidate of the round was, unless one passes.
    pub(crate) fn reviewed(
        &mut self,
        (round, candidate): (u32, u32),
        score: Score,
        findings: Findings,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        let mut worse = None;
        match self.result_of(round, candidate) {
            Some(image) if self.replaces_best(round, &score) => {
                self.take_best(image, score, round, findings, effects);
            }
            _ => worse = Some(findings.failed),
        }
        let passed = worse.is_none() && score.fail == 0;
        if passed || self.critiques(round).all(|job| job.state.is_terminal()) {
            self.decide_next(worse.as_deref(), now, effects);
        }
    }

    fn replaces_best(&self, round: u32, score: &Score) -> bool {
        self.best.is_none_or(|best| match best.score {
            None => true,
            Some(old) if best.round == round => score.is_better_candidate(&old),
            Some(old) => score.beats(&old),
        })
    }

    fn take_best(
        &mut self,
        image: ArtifactRef,
        score: Score,
        round: u32,
        findings: Findings,
        effects: &mut Vec<Effect>,
    ) {
        if self.best.is_none_or(|best| best.image != image) {
            effects.push(Effect::BestPicture(image));
        }
        self.best = Some(Best {
            image,
            score: Some(score),
            round,
        });
        self.findings = findings;
    }

    /// What is left of a round after one of its pictures could not be drawn or looked at.
    pub(crate) fn go_on_without(
        &mut self,
        (round, candidate): (u32, u32),
        reason: &str,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        for job in &mut self.jobs {
            // Workers are told to drop whole requests: what still runs of this one's is left to end, its report comes too late.
            let lost = (job.round, job.candidate) == (round, candidate);
            if lost && !job.state.is_terminal() {
                job.state = JobState::Canceled;
            }
        }
        if !self.critiques(round).all(|job| job.state.is_terminal()) {
            return;
        }
        match self.best {
            None => self.end(
                State::Failed {
                    reason: reason.to_owned(),
                },
                effects,
            ),
            Some(best) if best.round == round && best.score.is_some() => {
                self.decide_next(None, now, effects);
            }
            Some(_) => self.stop(reason, effects),
        }
    }

    /// Ends with the best picture there is. One that failed nothing, or that nobody looked at, needs no mark.
    pub(crate) fn stop(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        if self
            .best
            .and_then(|best| best.score)
            .is_some_and(|score| score.fail > 0)
        {
            self.decisions.push(Decision {
                round: self.round,
                action: Action::Stop,
                reason: reason.to_owned(),
                checks: self.findings.failed.clone(),
            });
        }
        self.finish(effects);
    }

    /// Ends with the best picture when time or cost are used up and nothing more of it was begun: what is left lies in the queue, and would
    /// lie there longer. What a worker has in its hands goes on, and what is drawn is looked at.
    pub(crate) fn stop_when_spent(&mut self, now: Millis, effects: &mut Vec<Effect>) -> bool {
        let score = self.best.and_then(|best| best.score);
        let (State::Active, Some(score)) = (&self.state, score) else {
            return false;
        };
        let mut left = self.jobs.iter().filter(|job| !job.state.is_terminal());
        if left.any(|job| self.has_begun(job)) {
            return false;
        }
        let Some(reason) = self.spent(now) else {
            return false;
        };
        let reason = format!(
            "{} of {} checks failed, and {reason} before more of round {} was begun",
            score.fail,
            score.total(),
            self.round
        );
        self.stop(&reason, effects);
        true
    }

    /// Whether a worker has the job, or has drawn something of the same picture.
    fn has_begun(&self, job: &Job) -> bool {
        let in_hands = matches!(
            job.state,
            JobState::Dispatched {
                worker: Some(_),
                ..
            }
        );
        let mut beside = self.renders(job.round, job.candidate);
        in_hands || beside.any(|other| other.picture().is_some())
    }

    /// Delivers the best picture, and the plan that it was drawn from.
    fn finish(&mut self, effects: &mut Vec<Effect>) {
        if let Some(best) = self.best
            && let Some(score) = best.score
        {
            self.plan = Some(PlanInUse {
                artifact: self.plan_of(best.round),
                checks: score.total(),
            });
        }
        self.end(State::Succeeded, effects);
    }

    fn decide_next(&mut self, worse: Option<&[String]>, now: Millis, effects: &mut Vec<Effect>) {
        let Some(best) = self.best else {
            return;
        };
        let spent = self.spent(now);
        let first = self
            .decisions
            .iter()
            .position(|decision| decision.round >= best.round);
        let standing = Standing {
            round: self.round,
            max_rounds: self.max_rounds,
            spent: spent.as_deref(),
            score: best.score.unwrap_or_default(),
            findings: &self.findings,
            worse,
            tried: first.map_or(&[], |first| &self.decisions[first..]),
            plan_stays: self.plan_stays(),
            mendable: self.is_mendable(&best),
        };
        let (decision, fixes) = decide(&standing);
        let fixes: Vec<Fix> = fixes.into_iter().cloned().collect();
        let action = decision.action;
        // That the first picture is as wanted is not worth a line: its score says so.
        if action != Action::Accept {
            self.decisions.push(decision);
        }
        match action {
            Action::Accept | Action::Stop => return self.finish(effects),
            Action::Repair | Action::Edit => self.repair(best.image, fixes, now),
            Action::Redraw => {
                let stages = self.stages();
                self.round += 1;
                self.make_drawing(&stages, 1, now);
            }
            Action::Replan => {
                self.round += 1;
                self.make_job(&Place::new(JobKind::Plan), true, now);
            }
        }
        self.announce_ready(effects);
    }

    /// Why no further round may begin.
    pub(crate) fn spent(&self, now: Millis) -> Option<String> {
        let time = now.saturating_sub(self.created);
        let cost = self.cost().total_ms();
        let over = |used: u64, limit: Option<u64>| limit.filter(|limit| used >= *limit);
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        match (
            over(time, self.limits.time_ms),
            over(cost, self.limits.cost_ms),
        ) {
            (Some(limit), _) => Some(format!("its {} s are over", seconds(limit))),
            (_, Some(limit)) => {
                let limit = seconds(limit);
                Some(format!("its {limit} s on devices are used"))
            }
            (None, None) => None,
        }
    }

    /// A plan is made again once, and one that the user gave never.
    fn plan_stays(&self) -> bool {
        let planned = |job: &Job| job.kind == JobKind::Plan && job.round > 1;
        let given = self
            .plan
            .is_some_and(|plan| plan.artifact == self.direct_plan);
        given || self.jobs.iter().any(planned)
    }

    /// A picture of an earlier plan has none of this plan's boxes.
    fn is_mendable(&self, best: &Best) -> bool {
        let in_use = self.plan.map(|plan| plan.artifact);
        in_use == Some(self.plan_of(best.round))
    }

    /// A round that mends `base`, one fix after another.
    fn repair(&mut self, base: ArtifactRef, fixes: Vec<Fix>, now: Millis) {
        self.round += 1;
        let id = |round: u32, index: usize| format!("repair-{round}-{index}");
        let round = self.round;
        for (index, fix) in fixes.into_iter().enumerate() {
            let first = index == 0;
            let op = match fix.kind {
                FixKind::Relight => "edit",
                FixKind::Add | FixKind::Erase | FixKind::Recolor => "repair",
            };
            let inputs = if first {
                Vec::new()
            } else {
                vec![id(round, index)]
            };
            let place = Place {
                stage: Some(StageNode {
                    id: id(round, index + 1),
                    op: op.into(),
                    inputs,
                }),
                repair: Some(Repair {
                    fix,
                    base: first.then_some(base),
                }),
                ..Place::new(JobKind::Render)
            };
            self.make_job(&place, first, now);
        }
        self.make_job(&Place::new(JobKind::Critique), false, now);
    }
}
