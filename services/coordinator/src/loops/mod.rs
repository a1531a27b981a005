//! What a coordinator does all the time, one loop a file. A loop that meets an error logs it, waits a little and goes on: PostgreSQL and NATS
//! may go away and come back while it runs.

pub mod collect;
pub mod dispatch;
pub mod intake;
pub mod liveness;
pub mod notices;
pub mod queue;
pub mod reconcile;
pub mod registry;
pub mod retire;
pub mod traces;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Wait after an error, so that a server that is down is not hammered.
const AFTER_ERROR: Duration = Duration::from_millis(250);

/// Sleeps, unless `stop` comes first; says whether to go on.
async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}
