//! Start and end of a process: SIGTERM or SIGINT asks its tasks to finish (soft), a deadline or a second signal tells them to stop (hard).
//!
//! A task that fails or panics ends the whole process with exit code 1, so that a supervisor starts it again.

use std::{
    fmt::Display,
    future::Future,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long tasks get between the hard stop and the end of the process.
const LAST_CALL: Duration = Duration::from_secs(2);

/// The life of this process. Clones share it.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tracker: TaskTracker,
    /// Exit code of the first failure; 0 while there is none.
    failed: Arc<AtomicU8>,
    grace: Duration,
}

impl Lifecycle {
    /// A process that gets `grace` between the first signal and the hard stop.
    pub fn new(grace: Duration) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tracker: TaskTracker::new(),
            failed: Arc::default(),
            grace,
        }
    }

    /// Cancelled when the process shall take nothing new and finish what it has.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the process shall stop at once.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Ends the process in good order, as SIGTERM does.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Ends the process in good order, with exit code 1.
    pub fn fail(&self) {
        self.fail_with(1);
    }

    /// Ends the process in good order, with this exit code; that of the first failure stays.
    pub fn fail_with(&self, code: u8) {
        let _ = self
            .failed
            .compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        self.soft.cancel();
    }

    /// Runs a task that the end of the process waits for. An error or a panic of it ends the process.
    pub fn spawn<E: Display + Send>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let life = self.clone();
        self.tracker.spawn(async move {
            match std::panic::AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => tracing::debug!(task = name, "task ended"),
                Ok(Err(error)) => {
                    // The alternate form of an anyhow error holds its causes.
                    tracing::error!(task = name, error = format!("{error:#}"), "task failed");
                    life.fail();
                }
                Err(_) => {
                    tracing::error!(task = name, "task panicked");
                    life.fail();
                }
            }
        });
    }

    /// Runs a small task that cannot fail and that the end of the process waits for.
    pub fn track(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Waits for a signal or [`Self::stop`], then for the tasks; returns the exit code: 0 when everything ended in time without a failure, else that of the first failure, or 1.
    pub async fn run(self) -> ExitCode {
        let (mut terminate, mut interrupt) = match (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "cannot listen for signals");
                return ExitCode::FAILURE;
            }
        };
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing"),
            () = self.soft.cancelled() => tracing::info!("finishing"),
        }
        self.soft.cancel();
        self.tracker.close();
        let in_time = tokio::select! {
            () = self.tracker.wait() => true,
            () = tokio::time::sleep(self.grace) => { tracing::warn!(grace_s = self.grace.as_secs_f64(), "not done in time: stopping"); false }
            _ = terminate.recv() => { tracing::warn!("second SIGTERM: stopping"); false }
            _ = interrupt.recv() => { tracing::warn!("second SIGINT: stopping"); false }
        };
        self.hard.cancel();
        let stopped = in_time
            || tokio::time::timeout(LAST_CALL, self.tracker.wait())
                .await
                .is_ok();
        match self.failed.load(Ordering::SeqCst) {
            0 if stopped => ExitCode::SUCCESS,
            0 => ExitCode::FAILURE,
            code => ExitCode::from(code),
        }
    }
}

#[cfg(test)]
mod tests;
