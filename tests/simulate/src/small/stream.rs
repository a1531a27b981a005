//! The model of the stream of jobs.

use std::collections::BTreeMap;

use atelier_proto::{JobId, RequestId, job::JobKind};

/// One message: an attempt of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in the stream.
    pub sequence: u64,
    /// Request of the job.
    pub request: RequestId,
    /// The job.
    pub job: JobId,
    /// Kind of the job.
    pub kind: JobKind,
    /// Which attempt.
    pub attempt: u32,
}

/// A stream; one that is made anew has another epoch.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Which one it is.
    pub epoch: u64,
    messages: Vec<Message>,
    last: u64,
    delivered: BTreeMap<JobKind, u64>,
}

impl Stream {
    /// An empty one.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            messages: Vec::new(),
            last: 0,
            delivered: BTreeMap::new(),
        }
    }

    /// Appends an attempt of a job; returns its number.
    pub fn publish(&mut self, request: RequestId, job: JobId, kind: JobKind, attempt: u32) -> u64 {
        self.last += 1;
        self.messages.push(Message {
            sequence: self.last,
            request,
            job,
            kind,
            attempt,
        });
        self.last
    }

    /// What is in it, in order.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Hands out the message called `sequence`.
    pub fn deliver(&mut self, sequence: u64) -> Option<Message> {
        let message = *self.messages.iter().find(|m| m.sequence == sequence)?;
        let delivered = self.delivered.entry(message.kind).or_default();
        *delivered = sequence.max(*delivered);
        Some(message)
    }

    /// Takes a message out.
    pub fn remove(&mut self, sequence: u64) {
        self.messages.retain(|m| m.sequence != sequence);
    }

    /// Number up to which messages of `kind` were handed out.
    pub fn delivered(&self, kind: JobKind) -> u64 {
        self.delivered.get(&kind).copied().unwrap_or(0)
    }

    /// Whether a message of `kind` waits that was never handed out.
    pub fn has_waiting(&self, kind: JobKind) -> bool {
        let delivered = self.delivered(kind);
        self.messages
            .iter()
            .any(|m| m.kind == kind && m.sequence > delivered)
    }
}
