//! Which workers keep failing at a kind of job, and for how long they are kept from it.
//!
//! A failure alone says nothing: the job may be at fault. It counts as the worker's when another worker then did the same job; it is forgiven
//! when the job failed elsewhere, too. Many different jobs that failed in a row, of which nothing more is known yet, are enough as well.
//! After a quarantine a worker is on trial: the next failure brings one twice as long, a success clears it.

use std::collections::BTreeMap;

use atelier_proto::{JobId, WorkerId, job::JobKind};

use crate::Millis;

/// When a worker is kept from a kind of job, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rules {
    /// Jobs that failed in a row and that others then did.
    proved: u32,
    /// Different jobs that failed in a row, whoever is at fault.
    suspected: u32,
    /// Length of the first quarantine, in milliseconds; doubles with each one until a success.
    first_ms: u64,
    /// Longest quarantine, in milliseconds.
    longest_ms: u64,
    /// A worker of which nothing was heard for this long after its quarantine is forgotten, in milliseconds.
    forget_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            proved: 3,
            suspected: 5,
            first_ms: 30_000,
            longest_ms: 1_800_000,
            forget_ms: 3_600_000,
        }
    }
}

/// What is known of the workers' failures, by kind of job.
#[derive(Clone, Debug, Default)]
pub struct Quarantine {
    rules: Rules,
    records: BTreeMap<(WorkerId, JobKind), Record>,
}

/// One worker and kind, since its last success.
#[derive(Clone, Debug, Default)]
struct Record {
    /// Jobs that failed here and of which nothing more is known.
    suspects: Vec<JobId>,
    /// Jobs that failed here and that others then did.
    proved: u32,
    /// Quarantines so far.
    times: u32,
    /// End of the latest quarantine; 0 before the first.
    until: Millis,
    /// When it was changed last.
    changed: Millis,
}

impl Quarantine {
    /// `job` failed on `worker`; `before` are the workers that it had failed on before.
    pub fn failed(
        &mut self,
        worker: WorkerId,
        kind: JobKind,
        job: JobId,
        before: &[WorkerId],
        now: Millis,
    ) {
        self.forget(now);
        let others = before.iter().filter(|other| **other != worker);
        let mut elsewhere = false;
        for other in others {
            elsewhere = true;
            if let Some(record) = self.records.get_mut(&(*other, kind)) {
                record.suspects.retain(|suspect| *suspect != job);
            }
        }
        let rules = self.rules;
        let record = self.records.entry((worker, kind)).or_default();
        record.changed = now;
        if elsewhere {
            // It is the job.
            return;
        }
        if !record.suspects.contains(&job) {
            record.suspects.push(job);
        }
        record.judge(&rules, now);
    }

    /// `job` was done by `worker`; `before` are the workers that it had failed on.
    pub fn done(
        &mut self,
        worker: WorkerId,
        kind: JobKind,
        job: JobId,
        before: &[WorkerId],
        now: Millis,
    ) {
        self.records.remove(&(worker, kind));
        let rules = self.rules;
        for other in before.iter().filter(|other| **other != worker) {
            let record = self.records.entry((*other, kind)).or_default();
            record.suspects.retain(|suspect| *suspect != job);
            record.proved += 1;
            record.changed = now;
            record.judge(&rules, now);
        }
    }

    /// For how many milliseconds from `now` the worker is kept from jobs of `kind`; none when it is not.
    pub fn kept_from(&self, worker: WorkerId, kind: JobKind, now: Millis) -> Option<u64> {
        let record = self.records.get(&(worker, kind))?;
        record.until.checked_sub(now).filter(|left| *left > 0)
    }

    fn forget(&mut self, now: Millis) {
        let forget_ms = self.rules.forget_ms;
        self.records
            .retain(|_, record| record.changed.max(record.until) + forget_ms > now);
    }
}

impl Record {
    fn judge(&mut self, rules: &Rules, now: Millis) {
        if now < self.until {
            // What was begun before it.
            return;
        }
        let failed = self.suspects.len() as u32 + self.proved;
        let on_trial = self.times > 0;
        if self.proved < rules.proved && failed < rules.suspected && !on_trial {
            return;
        }
        let doublings = self.times.min(32);
        let length = rules.first_ms.saturating_mul(1 << doublings);
        self.until = now + length.min(rules.longest_ms);
        self.times += 1;
        self.proved = 0;
        self.suspects.clear();
    }
}

#[cfg(test)]
mod tests;
