//! What workers do: take, live, finish, report.

use atelier_domain::{Event, Millis, Outcome};
use atelier_proto::{MediaType, WorkerId, job::JobKind, review::Score};
use rand::RngExt;

use super::{Farm, REPEAT_MS, Where};
use crate::{
    large::{
        agenda::{Happening, Key},
        arrivals::{POOR, Submit},
        rates::{Loop, Of},
        workers::Work,
    },
    shapes::{artifact, findings},
};

impl Farm {
    pub(super) fn begin(&mut self, worker: u32, key: Key) {
        self.leave(key);
        let id = self.workers.get(worker).id;
        self.alive(key, id, self.now);
        let Some(live) = self.live.get_mut(&key.request) else {
            return;
        };
        *live.place(key.index) = Where::Worker(worker);
        let kind = live.job(key).kind;
        let Submit {
            tenant,
            priority,
            poisonous,
            ..
        } = live.submit;
        if !std::mem::replace(&mut live.begun, true) {
            let group = self.arrivals.group(tenant);
            self.waits[priority as usize][group].add(self.now - live.accepted);
            self.fairness
                .begun(tenant, priority, live.accepted, self.now);
        }
        let takes = self.takes(kind);
        let until = self.now + takes;
        let work = Work {
            key,
            since: self.now,
            until,
            stopped: false,
        };
        let run = self.workers.begin(worker, work);
        if poisonous && kind == JobKind::Render {
            self.agenda
                .at(self.now + takes / 2, Happening::Killed { worker, run });
        }
        self.agenda.at(until, Happening::Done { worker, run });
    }

    /// A sign of life, heard at `time`.
    pub(super) fn alive(&mut self, key: Key, worker: WorkerId, time: Millis) {
        let Some(live) = self.live.get_mut(&key.request) else {
            return;
        };
        let event = Event::Alive {
            job: live.job(key).id,
            attempt: key.attempt,
            worker,
            begun: true,
        };
        // One that comes too late changes nothing.
        if live.request.apply(event, time, &self.policy).is_ok() {
            self.rates.add(time, Of::Rows, 1);
        }
    }

    /// How long a job of `kind` takes: log-normal.
    pub(super) fn takes(&mut self, kind: JobKind) -> Millis {
        let (a, b): (f64, f64) = (self.rng.random(), self.rng.random());
        let normal = (-2.0 * (1.0 - a).ln()).sqrt() * (b * std::f64::consts::TAU).cos();
        let seconds = self.config.middle_s(kind) * (self.config.spread * normal).exp();
        (seconds * 1_000.0).max(1.0) as Millis
    }

    pub(super) fn done(&mut self, worker: u32, run: u32) {
        let state = self.workers.get(worker);
        if state.run != run {
            return;
        }
        let Some(work) = state.job else {
            return;
        };
        if !self.broker_up {
            self.unheard.push((worker, run));
            return;
        }
        if self.rng.random_bool(self.config.noise) {
            self.tally.reports_lost += 1;
            self.agenda
                .at(self.now + REPEAT_MS, Happening::Done { worker, run });
            return;
        }
        self.report(worker, work);
        self.workers.free(worker);
    }

    pub(super) fn report(&mut self, worker: u32, work: Work) {
        let key = work.key;
        let Some((job, kind, tenant, priority)) = self.live.get(&key.request).map(|live| {
            let job = live.job(key);
            (job.id, job.kind, live.submit.tenant, live.submit.priority)
        }) else {
            self.tally.late += 1;
            return;
        };
        let outcome = self.outcome(key, kind, work.stopped);
        let event = Event::Reported {
            job,
            attempt: key.attempt,
            worker: self.workers.get(worker).id,
            device_ms: self.now - work.since,
            outcome,
        };
        let again = self
            .rng
            .random_bool(self.config.noise)
            .then(|| event.clone());
        if let Some(live) = self.live.get_mut(&key.request)
            && *live.place(key.index) == Where::Worker(worker)
        {
            *live.place(key.index) = Where::Nowhere;
        }
        if self.change(key.request, event, Loop::Collect) {
            self.rates.add(self.now, Of::Jobs, 1);
        } else {
            self.tally.late += 1;
        }
        if let Some(event) = again {
            self.tally.doubled += 1;
            if self.change(key.request, event, Loop::Collect) {
                self.tally.duplicated += 1;
            }
        }
        self.rates.add(self.now, Of::Acks, 1);
        self.extend(work.since, self.now);
        self.fairness
            .served(tenant, priority, self.now - work.since);
    }

    /// What a worker makes of a job.
    pub(super) fn outcome(&mut self, key: Key, kind: JobKind, stopped: bool) -> Outcome {
        if stopped {
            return Outcome::Returned;
        }
        if self.rng.random_bool(self.config.failures) {
            self.tally.failures += 1;
            return Outcome::Failed {
                reason: "no memory".into(),
                // One of fifty is hopeless.
                retry: self.rng.random_range(0..50) > 0,
            };
        }
        self.rates.add(self.now, Of::Puts, 1);
        let number = u64::from(key.request) << 16 | u64::from(key.index) << 8;
        let made = |media_type| artifact(number | u64::from(key.attempt & 0xff), media_type);
        let live = &self.live[&key.request];
        match kind {
            JobKind::Plan => Outcome::Planned {
                artifact: made(MediaType::Json),
                graph: self.arrivals.shape(live.submit.shape).graph.clone(),
            },
            JobKind::Render => Outcome::Rendered {
                image: made(MediaType::Png),
            },
            JobKind::Critique => {
                let checks = live.request.plan.map_or(0, |plan| plan.checks);
                let fail = u32::from(self.rng.random_bool(POOR));
                Outcome::Reviewed {
                    artifact: made(MediaType::Json),
                    score: Score {
                        pass: checks - fail,
                        fail,
                        unknown: 0,
                    },
                    findings: findings(fail),
                }
            }
        }
    }

    /// Rows that heartbeats wrote for a job in a worker's hands: a lease is extended when a third of it is over.
    pub(super) fn extend(&mut self, since: Millis, until: Millis) {
        let third = (self.policy.lease_ms / 3).max(1);
        let mut time = since + third;
        while time < until {
            self.rates.add(time, Of::Rows, 1);
            time += third;
        }
    }

    /// When the last heartbeat about `work` was written.
    pub(super) const fn last_extended(&self, work: &Work) -> Millis {
        let third = self.policy.lease_ms / 3;
        work.since + (self.now - work.since) / third * third
    }
}
