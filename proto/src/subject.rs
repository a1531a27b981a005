//! Every name on NATS. Nobody else builds a subject.
//!
//! A farm may share its NATS with others, so that every name starts with the farm's prefix (`atelier` unless configured; tests use their own).

use crate::{
    RequestId, WorkerId,
    job::{JobKind, Priority},
};

/// The names of one farm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

/// The prefix or model name holds something else than letters, digits, `-` and `_`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} cannot be part of a NATS subject: 1 to 64 letters, digits, '-' and '_' only")]
pub struct BadToken(pub String);

/// Refuses text that would split or widen a subject.
pub fn check_token(text: &str) -> Result<(), BadToken> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=64).contains(&text.len()) && text.chars().all(plain) {
        Ok(())
    } else {
        Err(BadToken(text.to_owned()))
    }
}

/// The nearest text that a subject can have: `FLUX.2-klein-4B` is `FLUX-2-klein-4B`. An empty or too long one stays so.
pub fn token_of(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let letters = text.chars().map(|c| if plain(c) { c } else { '-' });
    letters.collect()
}

impl Default for Names {
    fn default() -> Self {
        Self {
            prefix: "atelier".into(),
        }
    }
}

impl Names {
    /// Names under `prefix`.
    pub fn new(prefix: &str) -> Result<Self, BadToken> {
        check_token(prefix)?;
        Ok(Self {
            prefix: prefix.to_owned(),
        })
    }

    /// The work-queue stream of all jobs.
    pub fn jobs_stream(&self) -> String {
        format!("{}-JOBS", self.prefix)
    }

    /// Every subject of the jobs stream.
    pub fn all_jobs(&self) -> String {
        format!("{}.job.>", self.prefix)
    }

    /// Where a job is published. `model` must pass [`check_token`].
    pub fn job(&self, kind: JobKind, model: &str, priority: Priority) -> String {
        format!(
            "{}.job.{}.{model}.{}",
            self.prefix,
            kind.as_str(),
            priority.as_str()
        )
    }

    /// What the consumer of a role reads: jobs of one kind and model, any priority.
    pub fn jobs_of(&self, kind: JobKind, model: &str) -> String {
        format!("{}.job.{}.{model}.*", self.prefix, kind.as_str())
    }

    /// Durable consumer of a role, shared by its workers.
    pub fn consumer(&self, kind: JobKind, model: &str) -> String {
        format!("{}-{}-{model}", self.prefix, kind.as_str())
    }

    /// Where reports of a kind of job are sent as requests.
    pub fn report(&self, kind: JobKind) -> String {
        format!("{}.report.{}", self.prefix, kind.as_str())
    }

    /// All reports.
    pub fn all_reports(&self) -> String {
        format!("{}.report.*", self.prefix)
    }

    /// Where several reports of a kind of job are sent as one request.
    pub fn reports(&self, kind: JobKind) -> String {
        format!("{}.reports.{}", self.prefix, kind.as_str())
    }

    /// All that are sent so.
    pub fn all_reports_together(&self) -> String {
        format!("{}.reports.*", self.prefix)
    }

    /// Queue group of the coordinators: a report reaches one of them.
    pub fn coordinators(&self) -> String {
        format!("{}-coordinators", self.prefix)
    }

    /// Progress of a request.
    pub fn progress(&self, request: RequestId) -> String {
        format!("{}.progress.{request}", self.prefix)
    }

    /// All progress.
    pub fn all_progress(&self) -> String {
        format!("{}.progress.*", self.prefix)
    }

    /// Cancels, to every worker.
    pub fn cancel(&self) -> String {
        format!("{}.cancel", self.prefix)
    }

    /// What coordinators advise one worker not to do.
    pub fn quarantine(&self, worker: WorkerId) -> String {
        format!("{}.quarantine.{worker}", self.prefix)
    }

    /// Heartbeats of a worker.
    pub fn heartbeat(&self, worker: WorkerId) -> String {
        format!("{}.worker.{worker}", self.prefix)
    }

    /// All heartbeats.
    pub fn all_heartbeats(&self) -> String {
        format!("{}.worker.*", self.prefix)
    }
}

/// Message id of a publish: JetStream drops a second one with the same id within its window.
pub fn message_id(job: crate::JobId, attempt: u32) -> String {
    format!("{job}.{attempt}")
}
