//! What has to be saved after events were applied: the difference between a request as loaded and as it is now.

use crate::{Job, JobState, Request};

/// What changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    /// Jobs that are new.
    pub made: Vec<Job>,
    /// Jobs that are different, each with the fence of its write.
    pub changed: Vec<ChangedJob>,
    /// Whether anything of the request itself is different.
    pub request_changed: bool,
}

/// A job to write, only over the state that it was loaded in.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedJob {
    /// As it is to be.
    pub job: Job,
    /// Attempt that it was loaded with.
    pub from_attempt: u32,
    /// State that it was loaded in.
    pub from_state: JobState,
}

impl Delta {
    /// Compares `after` with `before`, which must be the same request, earlier. Jobs are never removed.
    pub fn between(before: &Request, after: &Request) -> Self {
        let (kept, made) = after.jobs.split_at(before.jobs.len());
        let changed = before
            .jobs
            .iter()
            .zip(kept)
            .filter(|(old, new)| old != new)
            .map(|(old, new)| ChangedJob {
                job: new.clone(),
                from_attempt: old.attempt,
                from_state: old.state.clone(),
            })
            .collect();
        Self {
            made: made.to_vec(),
            changed,
            request_changed: !before.same_head(after),
        }
    }

    /// Whether there is nothing to save.
    pub fn is_empty(&self) -> bool {
        self.made.is_empty() && self.changed.is_empty() && !self.request_changed
    }
}
