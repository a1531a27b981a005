//! The worker under load, with a real coordinator in its own place.

use std::time::Duration;

use anyhow::Result;
use atelier_proto::http::SubmitRequest;
use atelier_tests::{Sandbox, prompt};

use crate::desk::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_workers_drains_under_load_and_no_attempt_counts_as_failed() -> Result<()> {
    const REQUESTS: u64 = 50;
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let mut drained = sandbox.worker("drained", &["--drain-ms", "10000"])?;
    let _stays = sandbox.worker("stays", &[])?;
    let mut accepted = Vec::new();
    for seed in 0..REQUESTS {
        let request = SubmitRequest {
            seed: Some(seed),
            ..prompt("a cat and a radio [slow:25]")
        };
        accepted.push(coordinator.api.submit(&request).await?.id);
    }
    // In the middle of it.
    coordinator.api.succeeded(accepted[5], PATIENCE).await?;
    let ended = tokio::task::spawn_blocking(move || {
        let status = drained.program.terminate(Duration::from_secs(15));
        (status, drained.program.log_tail())
    });
    let (status, log) = ended.await?;
    let status = status?;
    assert!(status.success(), "{status}:\n{log}");
    for id in &accepted {
        coordinator.api.succeeded(*id, 2 * PATIENCE).await?;
    }
    let mut database = sandbox.database().await?;
    let counts: (i64, i64, i64) =
        sqlx::query_as("SELECT count(*), sum(failures), sum(losses) FROM jobs")
            .fetch_one(&mut database)
            .await?;
    assert_eq!((counts.1, counts.2), (0, 0), "of {} jobs", counts.0);
    Ok(())
}
