//! What to do with a delivery, from what is in hands, done and canceled. Pure, so that every case is tested without a server.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use atelier_proto::{JobId, RequestId};

use crate::recent::Recent;

/// How many ended jobs and canceled requests are remembered.
const REMEMBERED: usize = 4_096;

/// What to do with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take it. An older attempt in hands, if any, is to be stopped: the coordinator has given up on it.
    Take {
        /// The attempt to stop.
        stop: Option<u32>,
    },
    /// The same attempt is in hands: keep only the newer handle for acknowledging.
    Again,
    /// A newer attempt is in hands, or this one is reported: acknowledge it.
    Past,
    /// Its request was canceled: give it back without work.
    Canceled,
}

/// Jobs in hands, jobs that ended here, requests that were canceled.
#[derive(Debug)]
pub struct Ledger {
    /// Attempts in hands; more than one while an older one is being stopped.
    held: HashMap<JobId, BTreeSet<u32>>,
    /// The newest attempt that was reported.
    ended: Recent<JobId, u32>,
    canceled: Recent<RequestId, ()>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            held: HashMap::new(),
            ended: Recent::new(REMEMBERED),
            canceled: Recent::new(REMEMBERED),
        }
    }
}

impl Ledger {
    /// Decides about a delivery; remembers it as held when it is to be taken (also when its request is canceled: it is in hands until reported).
    pub fn decide(&mut self, job: JobId, attempt: u32, request: RequestId) -> Decision {
        let held = self.held.get(&job);
        if held.is_some_and(|held| held.contains(&attempt)) {
            return Decision::Again;
        }
        let newest = held.and_then(|held| held.last().copied());
        let ended = self.ended.get(&job).copied();
        if newest.max(ended).is_some_and(|newest| newest >= attempt) {
            return Decision::Past;
        }
        self.held.entry(job).or_default().insert(attempt);
        if self.canceled.get(&request).is_some() {
            Decision::Canceled
        } else {
            Decision::Take { stop: newest }
        }
    }

    /// An attempt is out of hands. `settled`: a coordinator has answered, so that another delivery of it is acknowledged unseen.
    pub fn release(&mut self, job: JobId, attempt: u32, settled: bool) {
        if let Entry::Occupied(mut held) = self.held.entry(job) {
            held.get_mut().remove(&attempt);
            if held.get().is_empty() {
                held.remove();
            }
        }
        if settled {
            let ended = self.ended.get(&job).copied();
            self.ended.set(job, attempt.max(ended.unwrap_or(0)));
        }
    }

    /// A request was canceled.
    pub fn cancel(&mut self, request: RequestId) {
        self.canceled.set(request, ());
    }
}

#[cfg(test)]
mod tests;
