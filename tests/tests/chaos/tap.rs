//! Listens to what goes over NATS, past every wire: messages to be sent once more, and which request is being worked on.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Result;
use async_nats::{Client, Subject};
use atelier_proto::{RequestId, decode, job::JobKind, signal::Progress, subject::Names};
use futures::StreamExt;

/// How many messages are kept.
const KEPT: usize = 64;

/// A message as it was sent.
pub type Heard = (Subject, Vec<u8>);

/// What was heard. Clones share it.
#[derive(Clone, Default)]
pub struct Tap {
    jobs: Arc<Mutex<VecDeque<Heard>>>,
    reports: Arc<Mutex<VecDeque<Heard>>>,
    drawn: Arc<Mutex<HashMap<RequestId, Instant>>>,
}

impl Tap {
    /// Begins to listen.
    pub async fn start(client: &Client, names: &Names) -> Result<Self> {
        let tap = Self::default();
        let mut jobs = client.subscribe(names.all_jobs()).await?;
        let alone = client.subscribe(names.all_reports()).await?;
        let together = client.subscribe(names.all_reports_together()).await?;
        let mut reports = futures::stream::select(alone, together);
        let mut progress = client.subscribe(names.all_progress()).await?;
        client.flush().await?;
        let heard = tap.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(job) = jobs.next() => keep(&heard.jobs, (job.subject, job.payload.into())),
                    Some(report) = reports.next() => keep(&heard.reports, (report.subject, report.payload.into())),
                    Some(step) = progress.next() => heard.step(&step.payload),
                    else => return,
                }
            }
        });
        Ok(tap)
    }

    fn step(&self, bytes: &[u8]) {
        let Ok(step) = decode::<Progress>(bytes) else {
            return;
        };
        if step.body.kind == JobKind::Render {
            lock(&self.drawn).insert(step.body.request, Instant::now());
        }
    }

    /// Some message of a job.
    pub fn job(&self, which: usize) -> Option<Heard> {
        some(&self.jobs, which)
    }

    /// Some report.
    pub fn report(&self, which: usize) -> Option<Heard> {
        some(&self.reports, which)
    }

    /// When the last step of a drawing of this request was heard.
    pub fn last_drawn(&self, request: RequestId) -> Option<Instant> {
        lock(&self.drawn).get(&request).copied()
    }
}

fn keep(all: &Mutex<VecDeque<Heard>>, heard: Heard) {
    let mut all = lock(all);
    all.push_back(heard);
    if all.len() > KEPT {
        all.pop_front();
    }
}

fn some(all: &Mutex<VecDeque<Heard>>, which: usize) -> Option<Heard> {
    let all = lock(all);
    let index = which.checked_rem(all.len())?;
    all.get(index).cloned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
