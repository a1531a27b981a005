//! What to do with a delivery, from what is in hands, done and canceled. Pure, so that every case is tested without a server.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
};

use atelier_proto::{JobId, RequestId};

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
#[derive(Debug, Default)]
pub struct Ledger {
    held: HashMap<JobId, u32>,
    ended: Recent<(JobId, u32)>,
    canceled: Recent<RequestId>,
}

impl Ledger {
    /// Decides about a delivery; remembers it as held when it is to be taken (also when its request is canceled: it is in hands until reported).
    pub fn decide(&mut self, job: JobId, attempt: u32, request: RequestId) -> Decision {
        if self.ended.has(&(job, attempt)) {
            return Decision::Past;
        }
        let held = self.held.get(&job).copied();
        match held {
            Some(held) if held == attempt => return Decision::Again,
            Some(held) if held > attempt => return Decision::Past,
            _ => {}
        }
        self.held.insert(job, attempt);
        if self.canceled.has(&request) {
            Decision::Canceled
        } else {
            Decision::Take { stop: held }
        }
    }

    /// An attempt is out of hands. `settled`: a coordinator has answered, so that another delivery of it is acknowledged unseen.
    pub fn release(&mut self, job: JobId, attempt: u32, settled: bool) {
        if self.held.get(&job) == Some(&attempt) {
            self.held.remove(&job);
        }
        if settled {
            self.ended.add((job, attempt));
        }
    }

    /// A request was canceled.
    pub fn cancel(&mut self, request: RequestId) {
        self.canceled.add(request);
    }
}

/// A set that forgets its oldest entries.
#[derive(Debug)]
struct Recent<K> {
    known: HashSet<K>,
    order: VecDeque<K>,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Recent<K> {
    fn has(&self, key: &K) -> bool {
        self.known.contains(key)
    }

    fn add(&mut self, key: K) {
        if self.known.insert(key) {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
