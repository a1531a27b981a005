//! The watchdog: a device that makes no step for too long is taken for hung. A call into a driver cannot be told to stop, so that its attempts
//! are reported failed and the process ends, for its supervisor to start it anew.

use std::{sync::Arc, time::Duration};

use crate::shared::Shared;

/// Exit code of a worker whose device hung. 1 is any other failure.
pub const HUNG: u8 = 3;

/// How often at least the device is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the device until nothing is in hands any more, or it hangs.
pub async fn run(shared: Arc<Shared>) {
    let limit = shared.step_timeout;
    let every = (limit / 10).min(LOOK);
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = shared.empty.cancelled() => return,
        }
        let stuck = shared.hands.stuck(limit);
        if stuck.is_empty() {
            continue;
        }
        for job in &stuck {
            tracing::error!(
                kind = job.offer.work.kind().as_str(), job = %job.offer.job, attempt = job.offer.attempt,
                request = %job.offer.request, step_timeout_s = limit.as_secs_f64(),
                "THE DEVICE HANGS: no step in this time; the attempt is reported failed and the worker ends with exit code {HUNG}"
            );
        }
        shared.device_hung();
        stuck.iter().for_each(|job| job.hang());
        return;
    }
}
