//! What the trace of a request tells and its state does not: kept of requests that this coordinator took in and saw through, so that nothing of them
//! has to be read back. Where something went wrong on the way only rows tell all.

use std::{collections::HashMap, sync::Arc};

use atelier_domain::{Delta, Job, JobState, Request};
use atelier_proto::{JobId, WorkerId};

use super::{Detail, Finding, Written};

/// Longest thought that is kept, in bytes.
const MAX_THOUGHT_BYTES: usize = 8_192;
/// Longest plan or review that is kept, in bytes of its JSON as its report has them; one that is longer is read when it is needed.
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

#[cfg(test)]
mod tests {
    use atelier_domain::{Event, Graph, Limits, NewRequest, Outcome, Policy};
    use atelier_proto::{
        ArtifactRef, MediaType, RequestId, Sha256, job::Think, plan::Plan, report::Thought,
    };

    use super::*;

    fn artifact(bytes: u64) -> ArtifactRef {
        ArtifactRef {
            sha256: Sha256([7; 32]),
            bytes,
            media_type: MediaType::Json,
        }
    }

    fn planned(bytes: u64) -> Outcome {
        Outcome::Planned {
            artifact: artifact(bytes),
            graph: Graph::of(&Plan::direct("a cat")).unwrap(),
        }
    }

    fn finding(thought: &str) -> Finding {
        let thought = Thought {
            text: thought.into(),
            ..Thought::default()
        };
        Finding {
            worker: WorkerId::at(1, [3; 10]),
            device_ms: 5,
            detail: Some(Arc::new(Detail {
                thought: Some(thought),
                ..Detail::default()
            })),
            written: Some(Written::Plan(Arc::new(Plan::direct("a cat")))),
        }
    }

    /// A request that was made at 1,000 us, after its plan job was reported at 9,000 us.
    fn reported(outcome: Outcome, finding: Option<Finding>) -> (Request, Option<History>) {
        let before = Request::start(
            NewRequest {
                id: RequestId::at(1, [7; 10]),
                seed: 42,
                think: Think::Fast,
                max_rounds: 1,
                candidates: 1,
                limits: Limits::default(),
                direct_plan: artifact(1),
                given: None,
                plan_only: false,
            },
            1,
        );
        let history = History::begin("a-model", 1_000, &before.jobs);
        assert_eq!(history.jobs[0].ready_us, Some(1_000));
        let policy = Policy::default();
        let job = before.jobs[0].id;
        let mut after = before.clone();
        after.apply(Event::Dispatched { job }, 2, &policy).unwrap();
        let report = Event::Reported {
            job,
            attempt: 1,
            worker: WorkerId::at(1, [3; 10]),
            device_ms: 5,
            outcome,
        };
        after.apply(report, 9, &policy).unwrap();
        let delta = Delta::between(&before, &after);
        let findings = finding.into_iter().map(|finding| (job, finding)).collect();
        let history = history.after(&after, &delta, &findings, 9_000);
        (after, history)
    }

    #[test]
    fn what_ends_well_is_kept_and_what_follows_begins() {
        let (request, history) = reported(planned(100), Some(finding("short")));
        let history = history.unwrap();
        assert_eq!(history.jobs.len(), request.jobs.len());
        let plan = &history.jobs[0];
        assert_eq!((plan.ready_us, plan.ended_us), (Some(1_000), Some(9_000)));
        assert_eq!(plan.worker, Some(WorkerId::at(1, [3; 10])));
        assert_eq!(plan.device_ms, Some(5));
        assert!(plan.detail.is_some() && plan.written.is_some());
        let drawing = &history.jobs[1];
        assert_eq!((drawing.ready_us, drawing.ended_us), (Some(9_000), None));
    }

    #[test]
    fn what_goes_wrong_only_rows_tell() {
        let failed = Outcome::Failed {
            reason: "no".into(),
            retry: true,
        };
        let told = Finding {
            detail: None,
            written: None,
            ..finding("")
        };
        assert!(reported(failed, Some(told)).1.is_none());
        assert!(reported(planned(100), None).1.is_none());
    }

    #[test]
    fn what_is_long_is_read_when_it_is_needed() {
        let long = "long ".repeat(MAX_THOUGHT_BYTES);
        assert!(reported(planned(100), Some(finding(&long))).1.is_none());
        let (_, history) = reported(planned(MAX_WRITTEN_BYTES + 1), Some(finding("short")));
        assert_eq!(history.unwrap().jobs[0].written, None);
    }
}
