//! What coordinators do: accept, mark, publish, look, collect.

use atelier_domain::{Effect, Event, JobState, Outcome, Request, invariants};
use atelier_proto::{JobId, RequestId};

use super::{Claim, Farm, Place, Report, pick, random_part};
use crate::small::{Answer, Broken, Publish, stream::Stream};

impl Farm {
    /// One transaction: applies an event, checks the invariants, saves. None when the event was refused.
    pub(super) fn commit(
        &mut self,
        id: RequestId,
        event: Event,
    ) -> Result<Option<Vec<Effect>>, Broken> {
        let Some(request) = self.database.requests.get_mut(&id) else {
            return Ok(None);
        };
        let before = request.clone();
        let applied = request.apply(event, self.now, &self.policy);
        invariants::check(request)
            .and_then(|()| invariants::check_step(&before, request))
            .map_err(|violation| Broken::Invariant(id, violation))?;
        let effects = applied.ok();
        if let Some(effects) = &effects {
            self.promises.followed(id, effects)?;
        }
        Ok(effects)
    }

    /// The same, and what a coordinator does afterwards: messages of jobs that are to stop are taken out of the stream. False when the event was
    /// refused.
    pub(super) fn settle_event(
        &mut self,
        coordinator: usize,
        id: RequestId,
        event: Event,
    ) -> Result<bool, Broken> {
        let Some(effects) = self.commit(id, event)? else {
            return Ok(false);
        };
        for effect in effects {
            if let Effect::StopWork(job) = effect {
                self.withdraw(coordinator, job, None);
            }
        }
        Ok(true)
    }

    /// Takes the message of a job out of the stream, as far as `coordinator` knows where it is; of `attempt` only when there is one.
    pub(super) fn withdraw(&mut self, coordinator: usize, job: JobId, attempt: Option<u32>) {
        let coordinator = &mut self.coordinators[coordinator];
        let remembered = match (coordinator.posted.get(&job), attempt) {
            (Some((posted, _)), Some(attempt)) if *posted != attempt => None,
            (known, _) => known.map(|(_, place)| *place),
        };
        if remembered.is_some() {
            coordinator.posted.remove(&job);
        }
        let noted = self.database.places.get(&job).copied();
        let (Some(place), Some(stream)) = (remembered.or(noted), &mut self.stream) else {
            return;
        };
        if place.epoch == coordinator.epoch {
            stream.remove(place.sequence);
        }
    }

    pub(super) fn submit(&mut self, shape: usize) {
        let number = self.name();
        let id = RequestId::at(self.now, random_part(number));
        let new = self.shapes[shape].request(id, number);
        self.promises.stored(new.direct_plan);
        let request = Request::start(new, self.now);
        self.database.requests.insert(id, request);
        self.shape_of.insert(id, shape);
        self.promises.accepted(id);
    }

    pub(super) fn jobs_where(&self, state: impl Fn(&JobState) -> bool) -> Vec<(RequestId, JobId)> {
        self.active()
            .flat_map(|(id, request)| request.jobs.iter().map(move |job| (*id, job)))
            .filter(|(_, job)| state(&job.state))
            .map(|(id, job)| (id, job.id))
            .collect()
    }

    pub(super) fn claimable(&self) -> Vec<(RequestId, JobId)> {
        let now = self.now;
        self.jobs_where(
            |state| matches!(state, JobState::Ready { not_before } if *not_before <= now),
        )
    }

    pub(super) fn claim(&mut self, coordinator: usize, job: usize) -> Result<(), Broken> {
        let ready = self.claimable();
        let Some(index) = pick(&ready, job) else {
            return Ok(());
        };
        let (id, job) = ready[index];
        let epoch = self.coordinators[coordinator].epoch;
        // Without a stream jobs stay ready.
        if epoch == 0 || self.commit(id, Event::Dispatched { job })?.is_none() {
            return Ok(());
        }
        self.database.places.remove(&job);
        if let Some(job) = self.database.requests[&id].job(job) {
            self.coordinators[coordinator].claims.push(Claim {
                request: id,
                job: job.id,
                kind: job.kind,
                attempt: job.attempt,
                epoch,
            });
        }
        Ok(())
    }

    pub(super) fn claim_first(&mut self, coordinator: usize) -> Result<bool, Broken> {
        let some = self.coordinators[coordinator].epoch != 0 && !self.claimable().is_empty();
        if some {
            self.claim(coordinator, 0)?;
        }
        Ok(some)
    }

    pub(super) fn publish(
        &mut self,
        coordinator: usize,
        claim: usize,
        how: Publish,
    ) -> Result<(), Broken> {
        let claims = &mut self.coordinators[coordinator].claims;
        let Some(index) = pick(claims, claim) else {
            return Ok(());
        };
        let claim = claims.remove(index);
        let sequence = match (&mut self.stream, how) {
            (Some(stream), Publish::Done | Publish::Unconfirmed) => {
                Some(stream.publish(claim.request, claim.job, claim.kind, claim.attempt))
            }
            (_, Publish::Vanished) => return Ok(()),
            (None, _) | (_, Publish::Refused) => None,
        };
        match sequence {
            None => {
                let (job, attempt) = (claim.job, claim.attempt);
                // What moved on meanwhile is left alone.
                self.commit(claim.request, Event::MessageLost { job, attempt })?;
            }
            Some(sequence) if how == Publish::Done => {
                let place = Place {
                    epoch: claim.epoch,
                    sequence,
                };
                let posted = &mut self.coordinators[coordinator].posted;
                posted.insert(claim.job, (claim.attempt, place));
            }
            Some(_) => {}
        }
        Ok(())
    }

    pub(super) fn look(&mut self, coordinator: usize) -> Result<(), Broken> {
        if self.stream.is_none() {
            self.stream = Some(Stream::new(self.name()));
        }
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        let memory = &mut self.coordinators[coordinator];
        memory.epoch = stream.epoch;
        for (job, (attempt, place)) in std::mem::take(&mut memory.posted) {
            let runs = |request: &Request| request.job(job).is_some_and(|job| job.runs(attempt));
            if self.database.requests.values().any(runs) {
                self.database.places.insert(job, place);
            }
        }
        let mut gone = Vec::new();
        for request in self.database.requests.values_mut() {
            for job in &mut request.jobs {
                let JobState::Dispatched {
                    lease_until,
                    worker: None,
                    ..
                } = &mut job.state
                else {
                    continue;
                };
                let Some(place) = self.database.places.get(&job.id) else {
                    continue;
                };
                if place.epoch != stream.epoch {
                    gone.push((request.id, job.id, job.attempt));
                    continue;
                }
                let read = self.care.empty_is_read && !stream.has_waiting(job.kind);
                if place.sequence > stream.delivered(job.kind) && !read {
                    *lease_until = self.now + self.policy.lease_ms;
                }
            }
        }
        if self.care.sweep {
            for (id, job, attempt) in gone {
                self.settle_event(coordinator, id, Event::MessageLost { job, attempt })?;
            }
        }
        Ok(())
    }

    pub(super) fn reconcile(&mut self, coordinator: usize) -> Result<(), Broken> {
        if !self.care.sweep {
            return Ok(());
        }
        let now = self.now;
        let expired = self.jobs_where(
            |state| matches!(state, JobState::Dispatched { lease_until, .. } if *lease_until <= now),
        );
        for (id, job) in expired {
            let attempt = self.database.requests[&id].job(job).map(|job| job.attempt);
            self.settle_event(coordinator, id, Event::LeasesChecked)?;
            let still = self.database.requests[&id]
                .job(job)
                .is_some_and(|job| matches!(job.state, JobState::Dispatched { .. }));
            if !still {
                self.withdraw(coordinator, job, attempt);
            }
        }
        Ok(())
    }

    pub(super) fn report(&mut self, report: Report, answer: Answer) -> Result<(), Broken> {
        if answer == Answer::Lost {
            return Ok(());
        }
        let Report {
            worker,
            request,
            job,
            attempt,
            ref outcome,
        } = report;
        let event = Event::Reported {
            job,
            attempt,
            worker,
            device_ms: 100,
            outcome: outcome.clone(),
        };
        // Either coordinator may get it; the even names go to the first.
        let coordinator = (self.names % 2) as usize;
        let running = self.database.requests.get(&request);
        let running = running
            .and_then(|request| request.job(job))
            .is_some_and(|job| job.runs(attempt));
        if self.settle_event(coordinator, request, event)? {
            if !running {
                return Err(Broken::TooLate(job));
            }
            self.coordinators[coordinator].posted.remove(&job);
            let made = match *outcome {
                Outcome::Planned { artifact, .. } | Outcome::Reviewed { artifact, .. } => {
                    Some(artifact)
                }
                Outcome::Rendered { image } => Some(image),
                Outcome::Failed { .. } | Outcome::Outage { .. } | Outcome::Returned => None,
            };
            if let Some(made) = made {
                self.promises.committed(job, made)?;
            }
        }
        match answer {
            Answer::Unheard | Answer::Lost => {}
            Answer::Heard => self.acknowledge(worker, job, attempt),
            Answer::Doubled => {
                self.acknowledge(worker, job, attempt);
                self.reports.push(report);
            }
        }
        Ok(())
    }
}
