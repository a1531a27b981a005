//! What the trace of a request tells and its state does not: kept of requests that this coordinator took in and saw through, so that nothing of them
//! has to be read back. Where something went wrong on the way only rows tell all.

use std::{collections::HashMap, sync::Arc};

use atelier_domain::{Delta, Job, JobState, Request};
use atelier_proto::{JobId, WorkerId};

use super::{Detail, Finding, Written};

/// Longest thought that is kept, in bytes.
const MAX_THOUGHT_BYTES: usize = 8_192;
/// Longest plan or review that is kept, in bytes of its JSON; one that is longer is read when it is needed.
const MAX_WRITTEN_BYTES: u64 = 8_192;

/// What a trace tells beside the state of its request.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Model that works on it.
    pub model: Arc<str>,
    /// When the request was accepted, in microseconds since 1970.
    pub created_us: i64,
    /// Of its jobs, in their order.
    pub jobs: Vec<JobHistory>,
}

/// What a trace tells beside the state of a job.
#[derive(Clone, Debug, Default)]
pub(super) struct JobHistory {
    /// When it could be dispatched first, in microseconds since 1970.
    pub ready_us: Option<i64>,
    /// When it ended, in microseconds since 1970.
    pub ended_us: Option<i64>,
    /// Who ended it.
    pub worker: Option<WorkerId>,
    /// Milliseconds on devices, once something was reported.
    pub device_ms: Option<u64>,
    /// How it was done.
    pub detail: Option<Arc<Detail>>,
    /// What was written, unless that has to be read.
    pub written: Option<Written>,
}

impl History {
    /// Of a request that was just made, at `created_us`, with these jobs.
    pub fn begin(model: &str, created_us: i64, jobs: &[Job]) -> Self {
        let begin = |job: &Job| JobHistory::begin(job, created_us);
        Self {
            model: model.into(),
            created_us,
            jobs: jobs.iter().map(begin).collect(),
        }
    }

    /// After a change to `request` that was decided at `now_us`; none when a job did not simply go on or end well.
    pub fn after(
        &self,
        request: &Request,
        delta: &Delta,
        findings: &HashMap<JobId, Finding>,
        now_us: i64,
    ) -> Option<Self> {
        let mut after = self.clone();
        for changed in &delta.changed {
            let job = &changed.job;
            let position = request.jobs.iter().position(|other| other.id == job.id)?;
            let known = after.jobs.get_mut(position)?;
            match (&job.state, findings.get(&job.id)) {
                (JobState::Done(output), Some(finding)) => {
                    known.end(job, output.artifact().bytes, finding, now_us)?;
                }
                (JobState::Waiting, None) => {}
                (JobState::Ready { .. } | JobState::Dispatched { .. }, None) => {
                    known.ready_us.get_or_insert(now_us);
                }
                _ => return None,
            }
        }
        let made = delta.made.iter();
        after
            .jobs
            .extend(made.map(|job| JobHistory::begin(job, now_us)));
        Some(after)
    }
}

impl JobHistory {
    fn begin(job: &Job, now_us: i64) -> Self {
        let is_ready = matches!(
            job.state,
            JobState::Ready { .. } | JobState::Dispatched { .. }
        );
        Self {
            ready_us: is_ready.then_some(now_us),
            ..Self::default()
        }
    }

    /// None when there is too much to keep. It made `bytes`.
    fn end(&mut self, job: &Job, bytes: u64, finding: &Finding, now_us: i64) -> Option<()> {
        let detail = finding.detail.as_deref();
        if detail.is_some_and(|detail| detail.bytes_of_thought() > MAX_THOUGHT_BYTES) {
            return None;
        }
        self.ended_us = Some(now_us);
        self.worker = Some(finding.worker);
        self.device_ms = Some(job.device_ms);
        self.detail.clone_from(&finding.detail);
        let short = bytes <= MAX_WRITTEN_BYTES;
        self.written = finding.written.clone().filter(|_| short);
        Some(())
    }
}
