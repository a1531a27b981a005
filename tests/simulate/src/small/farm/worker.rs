//! What workers do: take, live, finish, acknowledge, die.

use atelier_domain::{Event, Outcome};
use atelier_proto::{JobId, MediaType, RequestId, WorkerId, job::JobKind, review::Score};

use super::{Farm, Held, Place, Worker, pick, random_part};
use crate::{
    shapes::{artifact, findings},
    small::{Broken, Ends},
};

impl Farm {
    pub(super) fn deliver(&mut self, worker: usize, sequence: u64) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let Some(message) = stream.deliver(sequence) else {
            return;
        };
        let held = &mut self.workers[worker].held;
        // The same attempt again is known; a newer one takes the place of an older one.
        if held
            .iter()
            .any(|h| h.job == message.job && h.attempt >= message.attempt)
        {
            return;
        }
        held.retain(|h| h.job != message.job);
        held.push(Held {
            request: message.request,
            job: message.job,
            attempt: message.attempt,
            place: Place {
                epoch: stream.epoch,
                sequence,
            },
            outcome: None,
        });
    }

    pub(super) fn deliver_all(&mut self, worker: usize) {
        let held: Vec<_> = self
            .workers
            .iter()
            .flat_map(|w| &w.held)
            .map(|h| h.place)
            .collect();
        let Some(stream) = &self.stream else {
            return;
        };
        let epoch = stream.epoch;
        let waiting: Vec<_> = stream
            .messages()
            .iter()
            .map(|message| message.sequence)
            .filter(|&sequence| !held.contains(&Place { epoch, sequence }))
            .collect();
        for sequence in waiting {
            self.deliver(worker, sequence);
        }
    }

    pub(super) fn heartbeat(&mut self, worker: usize, device: usize) -> Result<(), Broken> {
        let Worker { id, held } = self.workers[worker].clone();
        let on_device = pick(&held, device);
        for (index, held) in held.into_iter().enumerate() {
            let event = Event::Alive {
                job: held.job,
                attempt: held.attempt,
                worker: id,
                begun: Some(index) == on_device && held.outcome.is_none(),
            };
            self.commit(held.request, event)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, worker: usize, job: usize, ends: Ends) {
        let held = &self.workers[worker].held;
        let Some(index) = pick(held, job) else {
            return;
        };
        if held[index].outcome.is_some() {
            return;
        }
        let (request, job) = (held[index].request, held[index].job);
        let outcome = self.outcome(request, job, ends);
        let worker = &mut self.workers[worker];
        worker.held[index].outcome = Some(outcome);
        self.reports.extend(worker.held[index].report(worker.id));
    }

    pub(super) fn finish_next(&mut self, worker: usize) {
        let undone = |held: &Held| held.outcome.is_none();
        if let Some(index) = self.workers[worker].held.iter().position(undone) {
            self.finish(worker, index, Ends::Good);
        }
    }

    /// What a worker makes of a job; its artifact is stored before anybody hears of it.
    pub(super) fn outcome(&mut self, request: RequestId, job: JobId, ends: Ends) -> Outcome {
        let poor = match ends {
            Ends::Good => false,
            Ends::Poor => true,
            Ends::Failed { retry } => {
                let reason = "no memory".into();
                return Outcome::Failed { reason, retry };
            }
            Ends::Outage => {
                let reason = "the store was away".into();
                return Outcome::Outage { reason };
            }
            Ends::Returned => return Outcome::Returned,
        };
        let graph = self.shapes[self.shape_of[&request]].graph.clone();
        let request = &self.database.requests[&request];
        let checks = request.plan.map_or(0, |plan| plan.checks);
        let kind = request.job(job).map_or(JobKind::Render, |job| job.kind);
        let made = artifact(
            self.name(),
            match kind {
                JobKind::Render => MediaType::Png,
                JobKind::Plan | JobKind::Critique => MediaType::Json,
            },
        );
        self.promises.stored(made);
        match kind {
            JobKind::Plan => Outcome::Planned {
                artifact: made,
                graph,
            },
            JobKind::Render => Outcome::Rendered { image: made },
            JobKind::Critique => Outcome::Reviewed {
                artifact: made,
                score: Score {
                    pass: checks - u32::from(poor),
                    fail: u32::from(poor),
                    unknown: 0,
                },
                findings: findings(u32::from(poor)),
            },
        }
    }

    /// The report was answered, committed or too late: the worker forgets the job and acknowledges its message.
    pub(super) fn acknowledge(&mut self, worker: WorkerId, job: JobId, attempt: u32) {
        let Some(worker) = self.workers.iter_mut().find(|w| w.id == worker) else {
            return;
        };
        let answered = |held: &Held| held.job == job && held.attempt == attempt;
        for held in worker.held.iter().filter(|held| answered(held)) {
            if let Some(stream) = &mut self.stream
                && stream.epoch == held.place.epoch
            {
                stream.remove(held.place.sequence);
            }
        }
        worker.held.retain(|held| !answered(held));
    }

    pub(super) fn kill_worker(&mut self, worker: usize) {
        let number = self.name();
        self.workers[worker] = Worker {
            id: WorkerId::at(self.now, random_part(number)),
            held: Vec::new(),
        };
    }
}
