//! How often and how late things are tried again.

use atelier_proto::JobId;

use crate::seed;

/// Milliseconds since the Unix epoch by the database's clock, the only clock that all coordinators share.
pub type Millis = u64;

/// Limits on trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a dispatched job lives without a sign of life, in milliseconds.
    pub lease_ms: u64,
    /// Failed attempts after which a job is given up.
    pub max_failures: u32,
    /// Different workers that a job may fail on, by report or by their death, before it is parked as poisonous.
    pub max_failed_workers: u32,
    /// Times that a job may be lost in a worker's hands without being computed, before it is parked all the same: whatever kills
    /// workers before they begin must come to an end, too.
    pub max_losses: u32,
    /// Longest delay after the first failure, in milliseconds; doubles with each one.
    pub backoff_ms: u64,
    /// Longest delay, in milliseconds.
    pub max_backoff_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lease_ms: 10_000,
            max_failures: 4,
            max_failed_workers: 2,
            max_losses: 8,
            backoff_ms: 250,
            max_backoff_ms: 8_000,
        }
    }
}

impl Policy {
    /// Delay before the attempt after `attempt`, in milliseconds, when `failures` have failed (from 1): half of the doubled base, and up to the
    /// other half by a hash of job and attempt, so that jobs that failed together do not come back together.
    ///
    /// Equal jitter (Brooker 2015, <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>). The same attempt of the same job
    /// always waits equally long.
    pub fn backoff(&self, job: JobId, attempt: u32, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(32);
        let longest = self
            .backoff_ms
            .saturating_mul(1 << doublings)
            .min(self.max_backoff_ms);
        let shortest = longest / 2;
        shortest + seed::of_attempt(job, attempt) % (longest - shortest + 1)
    }
}
