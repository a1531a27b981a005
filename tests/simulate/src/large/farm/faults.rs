//! What goes wrong, and what makes up for it.

use atelier_domain::{Event, JobState, Millis};
use rand::RngExt;

use super::{Farm, HANG_MS, RESTART_MS, TICK_MS, Where};
use crate::large::{
    agenda::{Happening, Key},
    rates::Loop,
};

impl Farm {
    /// Plans the next fault of which a worker has `times` in the day; none after the day.
    pub(super) fn plan_fault(&mut self, times: f64, what: Happening) {
        if times <= 0.0 {
            return;
        }
        let mean = self.day() as f64 / (times * f64::from(self.config.workers));
        let draw: f64 = self.rng.random();
        let time = self.now + (-(1.0 - draw).ln() * mean) as Millis;
        if time < self.day() {
            self.agenda.at(time, what);
        }
    }

    pub(super) fn kill(&mut self, worker: u32) {
        self.tally.deaths += 1;
        let id = self.workers.get(worker).id;
        self.agenda
            .at(self.now + RESTART_MS, Happening::Start(worker));
        let Some(work) = self.workers.kill(worker) else {
            return;
        };
        let heard = self.last_extended(&work);
        self.alive(work.key, id, heard);
        self.extend(work.since, heard);
        if let Some(live) = self.live.get_mut(&work.key.request) {
            let place = live.place(work.key.index);
            if *place == Where::Worker(worker) {
                *place = Where::Silent;
                self.agenda
                    .at(heard + self.policy.lease_ms, Happening::Lease(work.key));
            }
        }
    }

    pub(super) fn hang(&mut self) {
        let number = self.rng.random_range(0..self.config.workers);
        let length = self.rng.random_range(HANG_MS);
        let until = self.now + length;
        let worker = self.workers.get(number);
        let id = worker.id;
        let Some(work) = &mut worker.job else {
            return;
        };
        self.tally.hangs += 1;
        worker.hangs_until = until;
        work.until += length;
        worker.run += 1;
        let (run, work) = (worker.run, *work);
        self.agenda.at(
            work.until.max(until),
            Happening::Done {
                worker: number,
                run,
            },
        );
        let heard = self.last_extended(&work);
        self.alive(work.key, id, heard);
        self.agenda
            .at(heard + self.policy.lease_ms, Happening::Lease(work.key));
    }

    /// A lease may have run out. The leases of all other jobs are as fresh as their heartbeats, which are not simulated one by one.
    pub(super) fn lease(&mut self, key: Key) {
        if self.config.without_sweep {
            return;
        }
        // Right after an outage workers get the time to speak first.
        let steady = self.heard_since + self.policy.lease_ms / 2;
        if !self.broker_up || (self.heard_since > 0 && self.now < steady) {
            self.agenda
                .at(self.now.max(steady) + TICK_MS, Happening::Lease(key));
            return;
        }
        let Some(live) = self.live.get(&key.request) else {
            return;
        };
        if !live.job(key).runs(key.attempt) {
            return;
        }
        let places = live.places.clone();
        for (index, place) in places.iter().enumerate() {
            let index = index as u32;
            let attempt = self.live[&key.request].request.jobs[index as usize].attempt;
            let other = Key {
                request: key.request,
                index,
                attempt,
            };
            match *place {
                Where::Worker(worker) if self.workers.get(worker).hangs_until <= self.now => {
                    let id = self.workers.get(worker).id;
                    self.alive(other, id, self.now);
                }
                Where::Queued => self.keep_queued(other),
                _ => {}
            }
        }
        let lease_until = match self.live[&key.request].job(key).state {
            JobState::Dispatched { lease_until, .. } => lease_until,
            _ => return,
        };
        if lease_until > self.now {
            // It is alive; its lease is followed no further unless something happens to it.
            if matches!(places[key.index as usize], Where::Silent | Where::Vanished) {
                self.agenda.at(lease_until, Happening::Lease(key));
            }
            return;
        }
        self.tally.leases += 1;
        self.leave(key);
        self.change(key.request, Event::LeasesChecked, Loop::Reconcile);
    }

    /// A job that waits in the stream keeps its lease: the store's own statement, no event.
    pub(super) fn keep_queued(&mut self, key: Key) {
        let until = self.now + self.policy.lease_ms;
        if let Some(live) = self.live.get_mut(&key.request)
            && let JobState::Dispatched { lease_until, .. } =
                &mut live.request.jobs[key.index as usize].state
        {
            *lease_until = until;
        }
    }

    pub(super) fn broker_down(&mut self) {
        self.broker_up = false;
        self.fairness.interrupt();
        self.agenda
            .at(self.now + self.config.outage_s * 1_000, Happening::BrokerUp);
        for (_, message) in self.stream.wipe() {
            let key = message.key;
            let Some(live) = self.live.get_mut(&key.request) else {
                continue;
            };
            if live.job(key).runs(key.attempt) && *live.place(key.index) == Where::Queued {
                *live.place(key.index) = Where::Vanished;
                self.tally.wiped += 1;
                self.orphans.push(key);
            }
        }
    }

    pub(super) fn broker_up(&mut self) {
        self.broker_up = true;
        self.fairness.interrupt();
        self.heard_since = self.now;
        for (worker, run) in std::mem::take(&mut self.unheard) {
            self.done(worker, run);
        }
    }

    /// The message of a job went down with its stream.
    pub(super) fn recover(&mut self, key: Key) {
        let Some(live) = self.live.get_mut(&key.request) else {
            return;
        };
        if !live.job(key).runs(key.attempt) || *live.place(key.index) != Where::Vanished {
            return;
        }
        let (job, attempt) = (live.job(key).id, key.attempt);
        self.leave(key);
        self.change(
            key.request,
            Event::MessageLost { job, attempt },
            Loop::Reconcile,
        );
    }
}
