//! Messages that this coordinator put into the stream and has not yet written down.
//!
//! Most jobs are over before anybody needs to know where their message is; only of the others it is written down.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use atelier_proto::JobId;

use crate::store::{Place, Posted};

/// Messages by job. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PostedJobs(Arc<Mutex<HashMap<JobId, (Posted, Instant)>>>);

impl PostedJobs {
    /// Remembers a message.
    pub fn add(&self, posted: Posted) {
        self.lock().insert(posted.job, (posted, Instant::now()));
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Forgets the message of a job, and says where it was.
    pub fn take(&self, job: JobId) -> Option<Place> {
        let (posted, _) = self.lock().remove(&job)?;
        Some(posted.place)
    }

    /// The same, but leaves the message of any other attempt than this one.
    pub fn take_attempt(&self, job: JobId, attempt: u32) -> Option<Place> {
        let mut all = self.lock();
        let (posted, _) = all.get(&job)?;
        if posted.attempt != attempt {
            return None;
        }
        all.remove(&job).map(|(posted, _)| posted.place)
    }

    /// Forgets the message of a job that is at this place.
    pub fn forget(&self, job: JobId, place: Place) {
        let mut all = self.lock();
        if all
            .get(&job)
            .is_some_and(|(posted, _)| posted.place == place)
        {
            all.remove(&job);
        }
    }

    /// Takes the messages that are at least `age` old.
    pub fn take_older(&self, age: Duration) -> Vec<Posted> {
        let mut all = self.lock();
        let old: Vec<Posted> = all
            .values()
            .filter(|(_, since)| since.elapsed() >= age)
            .map(|(posted, _)| *posted)
            .collect();
        for posted in &old {
            all.remove(&posted.job);
        }
        old
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, (Posted, Instant)>> {
        // Nothing under the lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
