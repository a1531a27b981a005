//! When a job was ready, on a device, and done.

use atelier_proto::trace::TraceJob;

/// When a job was ready, on a device, and done, in milliseconds from the request's acceptance; in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// It could begin.
    pub ready: u64,
    /// A device began with it.
    pub started: u64,
    /// What it made was stored and reported.
    pub ended: u64,
}

impl Times {
    /// Of a job that ended; none of others.
    pub fn of(job: &TraceJob) -> Option<Self> {
        let (ready, ended) = job.ready_ms.zip(job.ended_ms)?;
        let ended = ended.max(ready);
        // Where nobody told when the device began: so long before the end as it took.
        let begun = || ended.saturating_sub(job.device_ms.unwrap_or(0));
        let started = job.started_ms.unwrap_or_else(begun).clamp(ready, ended);
        Some(Self {
            ready,
            started,
            ended,
        })
    }

    /// Milliseconds that it waited for a device.
    pub const fn waited(&self) -> u64 {
        self.started - self.ready
    }

    /// Milliseconds from then on.
    pub const fn ran(&self) -> u64 {
        self.ended - self.started
    }

    /// Milliseconds of both.
    pub const fn whole(&self) -> u64 {
        self.ended - self.ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_device_is_shown_when_it_was_at_it() {
        let mut job = sample::trace().jobs.remove(0);
        (job.ready_ms, job.ended_ms, job.device_ms) = (Some(100), Some(190), Some(20));
        for (started, waited) in [(Some(110), 10), (None, 70), (Some(50), 0), (Some(500), 90)] {
            job.started_ms = started;
            let times = Times::of(&job).unwrap();
            assert_eq!((times.waited(), times.whole()), (waited, 90));
            assert_eq!(times.ran(), 90 - waited);
        }
        job.ended_ms = None;
        assert_eq!(Times::of(&job), None);
    }
}
