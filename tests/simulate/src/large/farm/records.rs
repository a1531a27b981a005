//! Requests in the database: accepted, changed by one event at a time, ended.

use atelier_domain::{
    Delta, Effect, Event, JobState, Request, State,
    fair::{Tag, Turn},
    invariants,
};
use atelier_proto::{JobId, RequestId};

use super::{Farm, Live, STEP_MS, Where};
use crate::large::{
    agenda::{Happening, Key},
    arrivals::{Arrivals, Submit},
    rates::{Loop, Of},
};

impl Farm {
    pub(super) fn submit(&mut self, submit: Submit) {
        let number = self.submitted;
        self.submitted += 1;
        self.active += 1;
        let mut random = [0; 10];
        random[6..].copy_from_slice(&number.to_be_bytes());
        let shape = self.arrivals.shape(submit.shape);
        let id = RequestId::at(self.now, random);
        let request = Request::start(shape.request(id, u64::from(number)), self.now);
        let weight = Arrivals::weight(submit.tenant);
        let tag = if self.config.without_fairness {
            Tag::from(number)
        } else {
            self.look();
            self.shares.admit(submit.tenant, submit.priority, 1, weight)
        };
        self.rates.add(self.now, Of::Submits, 1);
        self.rates.add(self.now, Of::Puts, 1);
        self.rates
            .write(self.now, Loop::Intake, 1 + request.jobs.len());
        self.fairness
            .submitted(submit.tenant, submit.priority, self.now);
        if let Some(after) = submit.canceled_after {
            self.agenda.at(self.now + after, Happening::Cancel(number));
        }
        let first = (0..request.jobs.len() as u32).map(|index| Key {
            request: number,
            index,
            attempt: 0,
        });
        let first: Vec<_> = first.collect();
        self.live.insert(
            number,
            Box::new(Live {
                request,
                submit,
                accepted: self.now,
                tag,
                begun: false,
                places: Vec::new(),
            }),
        );
        for key in first {
            self.offer(key);
        }
    }

    /// Puts a job in the queue, if it is ready.
    pub(super) fn offer(&mut self, key: Key) {
        let Some(live) = self.live.get(&key.request) else {
            return;
        };
        let job = live.job(key);
        let JobState::Ready { not_before } = job.state else {
            return;
        };
        if job.attempt != key.attempt {
            return;
        }
        if not_before > self.now {
            self.agenda.at(not_before, Happening::Ready(key));
            return;
        }
        let lane = &mut self.ready[job.kind as usize];
        let before = lane.len();
        lane.push(Turn {
            tag: live.tag,
            id: key,
        });
        if lane.len() > before {
            let Submit {
                tenant, priority, ..
            } = live.submit;
            self.fairness.waits(tenant, priority, self.now);
        }
    }

    /// One transaction: applies an event to a request, checks every invariant, counts what is written. None when it was refused.
    pub(super) fn apply(&mut self, number: u32, event: Event, by: Loop) -> Option<Vec<Effect>> {
        let live = self.live.get_mut(&number)?;
        let before = live.request.clone();
        let applied = live.request.apply(event, self.now, &self.policy);
        let sound = invariants::check(&live.request)
            .and_then(|()| invariants::check_step(&before, &live.request));
        self.tally.checks += 1;
        if let Err(violation) = sound {
            self.tally.violated(&violation);
        }
        let effects = applied.ok()?;
        let delta = Delta::between(&before, &live.request);
        let rows = delta.made.len() + delta.changed.len() + usize::from(delta.request_changed);
        self.rates.write(self.now, by, rows);
        self.last_progress = self.now;
        Some(effects)
    }

    /// Applies an event and does what follows from it. False when it was refused.
    pub(super) fn change(&mut self, number: u32, event: Event, by: Loop) -> bool {
        let Some(effects) = self.apply(number, event, by) else {
            return false;
        };
        for effect in effects {
            match effect {
                Effect::JobReady(job) => {
                    if let Some(key) = self.key(number, job) {
                        self.offer(key);
                    }
                }
                Effect::StopWork(job) => {
                    if let Some(key) = self.key(number, job) {
                        self.stop(key);
                    }
                }
                Effect::BestPicture(_) => {}
                Effect::Ended(state) => self.end(number, &state),
            }
        }
        true
    }

    pub(super) fn key(&self, number: u32, job: JobId) -> Option<Key> {
        let jobs = &self.live.get(&number)?.request.jobs;
        let index = jobs.iter().position(|one| one.id == job)?;
        Some(Key {
            request: number,
            index: index as u32,
            attempt: jobs[index].attempt,
        })
    }

    /// A dispatched job is not needed any more: its message is withdrawn, or its worker told.
    pub(super) fn stop(&mut self, key: Key) {
        match self.leave(key) {
            Where::Worker(worker) => {
                let until = self.now + STEP_MS;
                let worker_now = self.workers.get(worker);
                if let Some(work) = &mut worker_now.job
                    && work.key == key
                    && work.until > until
                {
                    work.stopped = true;
                    work.until = until;
                    worker_now.run += 1;
                    let run = worker_now.run;
                    self.agenda.at(until, Happening::Done { worker, run });
                }
            }
            Where::Nowhere | Where::Queued | Where::Vanished | Where::Silent => {}
        }
    }

    /// The current attempt of a job is nowhere any more; says where it was.
    pub(super) fn leave(&mut self, key: Key) -> Where {
        let Some(live) = self.live.get_mut(&key.request) else {
            return Where::Nowhere;
        };
        let kind = live.job(key).kind as usize;
        let was = std::mem::replace(live.place(key.index), Where::Nowhere);
        if matches!(was, Where::Queued | Where::Vanished) {
            self.queued[kind] -= 1;
            let Submit {
                tenant, priority, ..
            } = live.submit;
            self.fairness.waits_no_more(tenant, priority);
        }
        was
    }

    pub(super) fn end(&mut self, number: u32, state: &State) {
        let Some(live) = self.live.get(&number) else {
            return;
        };
        let Submit {
            tenant, priority, ..
        } = live.submit;
        if !live.begun {
            self.fairness.left(tenant, priority);
        }
        for (index, job) in live.request.jobs.iter().enumerate() {
            let id = Key {
                request: number,
                index: index as u32,
                attempt: job.attempt,
            };
            let turn = Turn { tag: live.tag, id };
            if self.ready[job.kind as usize].remove(&turn) {
                self.fairness.waits_no_more(tenant, priority);
            }
        }
        if *state == State::Succeeded {
            self.totals[priority as usize].add(self.now - live.accepted);
        }
        self.tally.ended(number, state);
        self.active -= 1;
        self.ended.push_back((self.now, number));
        self.rates.add(self.now, Of::Puts, 1);
        self.rates.write(self.now, Loop::Traces, 1);
    }
}
