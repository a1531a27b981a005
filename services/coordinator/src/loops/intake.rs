//! Intake: gathers the submits that wait while a commit is under way into the next one.

use std::time::Instant;

use atelier_domain::Job;
use atelier_proto::job::JobKind;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::LONGEST_TURN;
use crate::{
    farm::Farm,
    operations::{
        dispatch::Publishing,
        submit::{Answer, Waiting},
    },
    store::{Accepted, Intake, StoreError, Submission},
};

/// Most submits in one commit.
const BATCH: usize = 256;

/// Runs until `stop`, then writes what still waits.
pub async fn run(farm: Farm, mut waiting: mpsc::Receiver<Waiting>, stop: CancellationToken) {
    let pulse = farm.pulses.watch("intake", LONGEST_TURN);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            taken = pulse.idle(waiting.recv_many(&mut batch, BATCH)) => if taken == 0 { return },
            () = stop.cancelled() => return,
        }
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
    let mut passed = Vec::new();
    let may = |job: &Job| {
        let may = epoch.is_some() && farm.pass.take(job.kind);
        if may {
            passed.push(job.kind);
        }
        may
    };
    let (limit, policy) = (farm.queue_limit, &farm.policy);
    let done = farm.store.accept(&submissions, limit, policy, may).await;
    give_back_unused(farm, passed, &done);
    match done {
        Ok(Intake {
            accepted,
            queues,
            dispatched,
            ready,
        }) => {
            let at = queues.first().map_or(0, |queue| queue.at);
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
            if ready {
                farm.pass.wait();
                farm.ready.notify_one();
            }
            if let Some(epoch) = epoch.filter(|_| !dispatched.is_empty()) {
                farm.metrics.chained.inc_by(dispatched.len() as u64);
                let publishing = Publishing::new(farm, dispatched, epoch);
                farm.life.track(publishing.publish(farm.clone()));
            }
            for (answer, accepted) in answers.into_iter().zip(accepted) {
                // A caller that went away may ask again with its key.
                let _ = answer.send(Answer { accepted, at });
            }
        }
        // The callers see that their answer was dropped.
        Err(error) => {
            tracing::error!(%error, requests = submissions.len(), "requests were not accepted")
        }
    }
    if !later.is_empty() {
        Box::pin(accept(farm, later)).await;
    }
}

/// Passes that were taken for requests which were there already, or were not written.
fn give_back_unused(farm: &Farm, mut passed: Vec<JobKind>, done: &Result<Intake, StoreError>) {
    if let Ok(intake) = done {
        for claimed in &intake.dispatched {
            let kind = claimed.offer.work.kind();
            if let Some(at) = passed.iter().position(|passed| *passed == kind) {
                passed.swap_remove(at);
            }
        }
    }
    for kind in passed {
        farm.pass.give_back(kind);
    }
}

/// Two of one key in a commit would not see each other.
fn repeats_key(submissions: &[Submission], next: &Submission) -> bool {
    next.idempotency_key.is_some()
        && submissions.iter().any(|other| {
            other.tenant == next.tenant && other.idempotency_key == next.idempotency_key
        })
}
