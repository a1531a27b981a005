//! Intake: gathers the submits that wait while a commit is under way into the next one.

use std::time::Instant;

use atelier_domain::Job;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{BUSY, LONGEST_TURN, gather};
use crate::{
    farm::Farm,
    operations::{
        dispatch::Publishing,
        submit::{Answer, Waiting},
    },
    store::{Accepted, Intake, Submission},
};

/// Most submits in one commit.
const BATCH: usize = 256;

/// Runs until `stop`, then writes what still waits.
pub async fn run(farm: Farm, mut waiting: mpsc::Receiver<Waiting>, stop: CancellationToken) {
    let pulse = farm.pulses.watch("intake", LONGEST_TURN);
    let mut batch = Vec::with_capacity(BATCH);
    let mut busy = false;
    loop {
        tokio::select! {
            biased;
            taken = pulse.idle(waiting.recv_many(&mut batch, BATCH)) => if taken == 0 { return },
            () = stop.cancelled() => return,
        }
        if busy {
            gather(&mut waiting, &mut batch, BATCH).await;
        }
        busy = batch.len() >= BUSY;
        accept(&farm, std::mem::take(&mut batch)).await;
    }
}

async fn accept(farm: &Farm, batch: Vec<Waiting>) {
    let started = Instant::now();
    let (mut submissions, mut answers) = (Vec::new(), Vec::new());
    let mut later = Vec::new();
    for waiting in batch {
        if repeats_key(&submissions, &waiting.submission) {
            later.push(waiting);
        } else {
            submissions.push(waiting.submission);
            answers.push(waiting.answer);
        }
    }
    let epoch = farm.epoch();
    let mut passes = farm.pass.passes();
    let may = |job: &Job| epoch.is_some() && passes.take(job.kind);
    let (limit, policy) = (farm.queue_limit, &farm.policy);
    match farm.store.accept(&submissions, limit, policy, may).await {
        Ok(Intake {
            accepted,
            created_ms,
            queues,
            dispatched,
            ready,
        }) => {
            for queue in queues {
                farm.end_rates.saw(queue.tenant, queue.ended, queue.at);
            }
            farm.metrics.committed("intake", submissions.len(), started);
            let new = |accepted: &&Accepted| matches!(accepted, Accepted::New(_));
            let made = accepted.iter().filter(new).count() as u64;
            farm.metrics.requests_accepted.inc_by(made);
            let refused = |accepted: &&Accepted| matches!(accepted, Accepted::QueueFull { .. });
            farm.metrics
                .submits_refused
                .inc_by(accepted.iter().filter(refused).count() as u64);
            if !ready.is_empty() {
                farm.pass.wait(ready);
                farm.claim_first_jobs();
            }
            for claimed in &dispatched {
                passes.used(claimed.offer.work.kind());
            }
            if let Some(epoch) = epoch.filter(|_| !dispatched.is_empty()) {
                Publishing::new(farm, dispatched, epoch).begin(farm);
            }
            for (answer, accepted) in answers.into_iter().zip(accepted) {
                // A caller that went away may ask again with its key.
                let _ = answer.send(Answer {
                    accepted,
                    created_ms,
                });
            }
        }
        // The callers see that their answer was dropped.
        Err(error) => {
            tracing::error!(%error, requests = submissions.len(), "requests were not accepted")
        }
    }
    drop(passes);
    if !later.is_empty() {
        Box::pin(accept(farm, later)).await;
    }
}

/// Two of one key in a commit would not see each other.
fn repeats_key(submissions: &[Submission], next: &Submission) -> bool {
    next.idempotency_key.is_some()
        && submissions.iter().any(|other| {
            other.tenant == next.tenant && other.idempotency_key == next.idempotency_key
        })
}
