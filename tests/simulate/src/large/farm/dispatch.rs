//! Dispatch: from ready to published, and from the stream into the hands of idle workers.

use atelier_domain::{Event, fair::Lane};
use atelier_proto::job::JobKind;
use rand::RngExt;

use super::{AHEAD_MS, Farm, MOST_AHEAD, Where};
use crate::large::{
    agenda::{Happening, Key},
    rates::{Loop, Of},
    stream::Message,
};

impl Farm {
    /// Publishes what is ready, and hands out what is published, as long as there are both.
    pub(super) fn dispatch(&mut self) {
        while self.broker_up {
            self.look();
            for kind in JobKind::ALL {
                self.claim(kind);
            }
            if !self.hand_out() {
                return;
            }
        }
    }

    /// Moves the clock of the shares on.
    pub(super) fn look(&mut self) {
        if let Some(first) = self.ready.iter().filter_map(Lane::first).min() {
            self.shares.see(first.tag);
        }
    }

    /// How many jobs of a kind may be in nobody's hands, as the coordinator has it: one for each idle worker, and a little work ahead of the others.
    pub(super) fn room(&self, kind: JobKind) -> u32 {
        let mean_ms = self.config.mean_s(kind) * 1_000.0;
        let ahead = (AHEAD_MS / mean_ms).min(MOST_AHEAD).max(self.config.ahead);
        let idle = self.workers.alive - self.workers.busy;
        (idle + (ahead * f64::from(self.workers.alive)).ceil() as u32).max(1)
    }

    pub(super) fn claim(&mut self, kind: JobKind) {
        let lane = kind as usize;
        let room = self.room(kind);
        while self.queued[lane] < room {
            let Some(turn) = self.ready[lane].pop() else {
                return;
            };
            let mut key = turn.id;
            let Some(live) = self.live.get(&key.request) else {
                continue;
            };
            let job = live.job(key).id;
            if !self.change(key.request, Event::Dispatched { job }, Loop::Dispatch) {
                continue;
            }
            key.attempt += 1;
            self.publish(lane, key);
        }
    }

    pub(super) fn publish(&mut self, kind: usize, key: Key) {
        if let Some(live) = self.live.get_mut(&key.request) {
            *live.place(key.index) = Where::Queued;
        }
        self.queued[kind] += 1;
        self.rates.add(self.now, Of::Publishes, 1);
        let vanishes = self.rng.random_bool(self.config.noise);
        self.stream.publish(kind, Message { key, vanishes });
        if self.rng.random_bool(self.config.noise) {
            self.tally.doubled += 1;
            self.stream.publish(kind, Message { key, vanishes });
        }
    }

    /// Gives messages to idle workers; says whether any was given.
    pub(super) fn hand_out(&mut self) -> bool {
        let mut given = false;
        while let Some(worker) = self.workers.take_idle() {
            if !self.hand_to(worker) {
                self.workers.put_back(worker);
                break;
            }
            given = true;
        }
        given
    }

    pub(super) fn hand_to(&mut self, worker: u32) -> bool {
        while let Some((_, message)) = self.stream.take() {
            let key = message.key;
            let Some(live) = self.live.get_mut(&key.request) else {
                continue;
            };
            if !live.job(key).runs(key.attempt) {
                // It was withdrawn.
                continue;
            }
            if message.vanishes {
                let place = live.place(key.index);
                if *place == Where::Queued {
                    *place = Where::Vanished;
                    self.tally.vanished += 1;
                    let time = self.now + self.policy.lease_ms;
                    self.agenda.at(time, Happening::Lease(key));
                }
                continue;
            }
            self.begin(worker, key);
            return true;
        }
        false
    }
}
