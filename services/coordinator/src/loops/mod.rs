//! What a coordinator does all the time, one loop a file. A loop that meets an error logs it, waits a little and goes on: PostgreSQL and NATS
//! may go away and come back while it runs.

pub mod cancels;
pub mod collect;
pub mod dispatch;
pub mod intake;
pub mod liveness;
pub mod notices;
pub mod pods;
pub mod queue;
pub mod reconcile;
pub mod registry;
pub mod retire;
pub mod traces;
pub mod webhooks;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A commit of so many submits or reports says that the next ones are about to come.
const BUSY: usize = 4;

/// How long they are waited for: each commit costs as much as several of them in one.
const GATHER: Duration = Duration::from_millis(5);

/// So many are worth a commit as they are.
const ENOUGH: usize = 64;

/// Wait after an error, so that a server that is down is not hammered.
const AFTER_ERROR: Duration = Duration::from_millis(250);

/// A turn of a loop that takes longer hangs. What a turn may wait for ends before: a connection to PostgreSQL after 5 s, a statement after
/// 20 s, a call of NATS after 5 s, of the object store after 30 s.
const LONGEST_TURN: Duration = Duration::from_secs(90);

/// Waits for more of what comes in great numbers, and takes it into the same commit.
async fn gather<T>(inbox: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, most: usize) {
    if batch.len() < ENOUGH {
        tokio::time::sleep(GATHER).await;
    }
    take_waiting(inbox, batch, most);
}

/// Takes what waits by now into a batch that has begun.
fn take_waiting<T>(inbox: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, most: usize) {
    while batch.len() < most
        && let Ok(next) = inbox.try_recv()
    {
        batch.push(next);
    }
}

/// Sleeps, unless `stop` comes first; says whether to go on.
async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}
