//! What may lie in the stream: rubbish, jobs of newer releases, jobs that break rules, the same job twice.

use std::time::Duration;

use anyhow::Result;
use atelier_proto::{encode, job::JobKind, report::Outcome};
use atelier_tests::Sandbox;

use crate::desk::{Desk, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_discarded_and_the_next_job_done() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let worker = sandbox.worker("worker", &[])?;
    desk.send(JobKind::Plan, b"no job at all".to_vec()).await?;
    desk.send(JobKind::Render, vec![0xc1; 5_000]).await?;
    let job = offer(plan_work("a cat"));
    desk.offer(&job).await?;
    let report = desk.report().await?;
    assert_eq!((report.job, report.attempt), (job.job, 1));
    assert!(matches!(report.outcome, Outcome::Planned { .. }));
    desk.empty().await?;
    assert!(worker.program.log().contains("discarding a message"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_newer_release_stays_in_the_stream() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    let mut newer = encode(&offer(plan_work("a cat")), None);
    let version = newer.windows(3).position(|three| three == [0xa1, b'v', 1]);
    newer[version.expect("the version is in the message") + 2] = 2;
    desk.send(JobKind::Plan, newer).await?;
    desk.plan("a dog").await?;
    assert!(desk.quiet(Duration::from_millis(300)).await);
    desk.all_but(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_breaks_a_rule_fails_for_good() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    desk.offer(&offer(plan_work(&"x".repeat(5_000)))).await?;
    let outcome = desk.report().await?.outcome;
    let wanted = Outcome::Failed {
        reason: "the prompt is too long".into(),
        retry: false,
    };
    assert_eq!(outcome, wanted);
    desk.empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_delivery_of_a_held_job_and_of_a_reported_one_is_not_worked_on() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let worker = sandbox.worker("worker", &[])?;
    let job = desk.render("a cat [slow:100]", 10).await?;
    desk.offer(&job).await?;
    // Half of it is done when the next one may come.
    desk.offer(&job).await?;
    let (report, reply) = desk.unanswered().await?;
    assert_eq!((report.job, report.attempt), (job.job, 1));
    assert_eq!(desk.waiting().await?, 2, "acknowledged before the answer");
    let committed = atelier_proto::report::ReportAnswer::Committed;
    desk.answer(reply, committed).await?;
    desk.empty().await?;
    desk.offer(&job).await?;
    desk.empty().await?;
    assert!(desk.quiet(Duration::from_millis(300)).await);
    assert!(worker.program.log().contains("a known job came again"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_attempt_stops_the_older() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    let mut job = desk.render("a cat [slow:50]", 100).await?;
    desk.offer(&job).await?;
    desk.progress_that(|step| step.step >= 2).await?;
    job.attempt = 2;
    // Past its middle the first attempt makes room for the next job; the second stops it there.
    desk.offer(&job).await?;
    let first = desk.report().await?;
    assert_eq!((first.attempt, first.outcome), (1, Outcome::Returned));
    let second = desk.report().await?;
    assert_eq!(second.attempt, 2);
    assert!(matches!(second.outcome, Outcome::Rendered { .. }));
    desk.empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_or_a_consumer_that_is_deleted_is_made_again_and_asked_again() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    desk.plan("a cat").await?;
    desk.delete_consumer(JobKind::Plan).await?;
    desk.plan("a cat without its consumer").await?;
    desk.delete_stream().await?;
    desk.stream_is_there().await?;
    desk.plan("a cat without its stream").await?;
    desk.empty().await
}
