//! Attempts whose reports have arrived here lately, saved or not.
//!
//! What a worker says of such an attempt as a sign of life is out of date, and its lease has just been vouched for: writing it down would cost one
//! more version of its row. A job that takes next to no time on its device is over before any sign of it is written.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use atelier_proto::JobId;

/// The attempts. Clones share them.
#[derive(Clone, Debug)]
pub struct Reported {
    attempts: Arc<Mutex<HashMap<JobId, (u32, Instant)>>>,
    /// How long a report counts: if it was not saved by then, its worker has to keep the lease until it could send it again.
    lately: Duration,
}

impl Reported {
    /// Nothing yet; a report counts for `lately`.
    pub fn new(lately: Duration) -> Self {
        Self {
            attempts: Arc::default(),
            lately,
        }
    }

    /// A report has arrived.
    pub fn add(&self, job: JobId, attempt: u32) {
        let now = Instant::now();
        let mut attempts = self.lock();
        let latest = attempts
            .get(&job)
            .map_or(attempt, |(known, _)| attempt.max(*known));
        attempts.insert(job, (latest, now));
    }

    /// Forgets what is not of late any more.
    pub fn forget_old(&self) {
        let lately = self.lately;
        self.lock().retain(|_, (_, since)| since.elapsed() < lately);
    }

    /// Whether the report of this attempt, or of a later one, has arrived lately.
    pub fn has(&self, job: JobId, attempt: u32) -> bool {
        let attempts = self.lock();
        let known = attempts.get(&job);
        known.is_some_and(|(latest, since)| *latest >= attempt && since.elapsed() < self.lately)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, (u32, Instant)>> {
        // Nothing under the lock can panic halfway through a change.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_for_its_attempt_and_those_before_and_not_for_ever() {
        let job = JobId::at(0, [1; 10]);
        let reported = Reported::new(Duration::from_secs(60));
        assert!(!reported.has(job, 1));
        reported.add(job, 2);
        reported.add(job, 1);
        assert!(reported.has(job, 1) && reported.has(job, 2));
        assert!(!reported.has(job, 3), "that one is at work");
        reported.forget_old();
        assert!(reported.has(job, 2));

        let forgetful = Reported::new(Duration::ZERO);
        forgetful.add(job, 1);
        assert!(!forgetful.has(job, 1), "it was not saved, it seems");
        forgetful.forget_old();
        assert!(forgetful.lock().is_empty());
    }
}
