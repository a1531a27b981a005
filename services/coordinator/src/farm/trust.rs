//! Which workers keep failing at a kind of job, as far as this coordinator has heard.
//!
//! Each coordinator judges by the reports that it took in itself, and keeps that in memory: a table would cost a write for every report, and what
//! is at stake is only where a job is tried first. With n coordinators a bad worker is found after about n times as many failures; after a
//! restart it is found again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use atelier_domain::Quarantine;
use atelier_proto::{JobId, WorkerId, job::JobKind};

/// What a committed report says of workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Who reported.
    pub worker: WorkerId,
    /// The kind of the job.
    pub kind: JobKind,
    /// The job.
    pub job: JobId,
    /// Workers that it had failed on before.
    pub before: Vec<WorkerId>,
    /// Whether it was done, or failed.
    pub done: bool,
}

/// What is known of the workers. Clones share it.
#[derive(Clone, Debug)]
pub struct Trust {
    known: Arc<Mutex<Quarantine>>,
    since: Instant,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            since: Instant::now(),
        }
    }
}

impl Trust {
    /// Takes evidence in.
    pub fn weigh(&self, evidence: &Evidence) {
        let now = self.now();
        let Evidence {
            worker,
            kind,
            job,
            before,
            done,
        } = evidence;
        let mut known = self.lock();
        if *done {
            known.done(*worker, *kind, *job, before, now);
        } else {
            known.failed(*worker, *kind, *job, before, now);
        }
    }

    /// For how many more milliseconds a worker is to be kept from jobs of `kind`; none when it is not.
    pub fn kept_from(&self, worker: WorkerId, kind: JobKind) -> Option<u64> {
        self.lock().kept_from(worker, kind, self.now())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Quarantine> {
        // Nothing under the lock can panic halfway through a change.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
