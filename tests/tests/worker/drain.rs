//! The end of a worker on SIGTERM.

use std::time::Duration;

use anyhow::Result;
use atelier_proto::report::Outcome;
use atelier_tests::Sandbox;

use crate::desk::{Desk, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nearly_done_is_finished_and_the_next_given_back() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let mut worker = sandbox.worker("worker", &["--heartbeat-ms", "100"])?;
    let running = desk.render("a cat [slow:200]", 10).await?;
    let next = desk.render("a dog [slow:200]", 10).await?;
    desk.offer(&running).await?;
    desk.offer(&next).await?;
    // Both are in its hands once the first is past its middle.
    desk.heartbeat_that(|beat| beat.holding.len() == 2).await?;
    let ended = tokio::task::spawn_blocking(move || worker.program.terminate(PATIENCE));
    let first = desk.report().await?;
    let second = desk.report().await?;
    assert_eq!(
        (first.job, first.outcome),
        (next.job, Outcome::Returned),
        "what has not begun goes back at once"
    );
    assert_eq!(second.job, running.job);
    assert!(matches!(second.outcome, Outcome::Rendered { .. }));
    assert!(ended.await??.success());
    desk.empty().await?;
    desk.heartbeat_that(|beat| beat.draining).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_take_too_long_goes_back_within_the_grace() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let mut worker = sandbox.worker("worker", &["--drain-ms", "5000"])?;
    let job = desk.render("a cat [slow:100]", 1_000).await?;
    desk.offer(&job).await?;
    desk.progress_that(|step| step.step >= 3).await?;
    let ended = tokio::task::spawn_blocking(move || worker.program.terminate(PATIENCE));
    assert_eq!(desk.report().await?.outcome, Outcome::Returned);
    assert!(ended.await??.success());
    desk.empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_nobody_answers_gives_the_job_back_to_the_stream() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let mut worker = sandbox.worker("worker", &["--drain-ms", "1000"])?;
    let job = desk.render("a cat", 1).await?;
    desk.offer(&job).await?;
    desk.unanswered().await?;
    let ended = tokio::task::spawn_blocking(move || worker.program.terminate(PATIENCE));
    ended.await??;
    assert_eq!(desk.waiting().await?, 1);
    // At once, not after the stream's own patience.
    let _other = sandbox.worker("other", &[])?;
    let again = tokio::time::timeout(Duration::from_secs(10), desk.report()).await??;
    assert_eq!(again.job, job.job);
    desk.empty().await
}
