//! Reports: until answered, whatever happens meanwhile.

use std::time::Duration;

use anyhow::Result;
use atelier_proto::report::{Outcome, ReportAnswer};
use atelier_tests::{Options, Sandbox, in_time};

use crate::desk::{Desk, PATIENCE, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_sent_until_somebody_answers_and_only_then_acknowledged() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::without_reports(&sandbox).await?;
    let worker = sandbox.worker("worker", &[])?;
    let job = offer(plan_work("a cat"));
    desk.offer(&job).await?;
    in_time("it tries again", PATIENCE, async || {
        Ok(worker.program.log().contains("nobody answered a report"))
    })
    .await?;
    assert_eq!(desk.waiting().await?, 1);
    // Somebody is there, but takes it without an answer, as a coordinator that dies before its commit.
    desk.hear_reports().await?;
    let (first, _) = desk.unanswered().await?;
    assert_eq!(desk.waiting().await?, 1);
    let (second, reply) = desk.unanswered().await?;
    assert_eq!(first, second);
    assert_eq!(second.job, job.job);
    desk.answer(reply, ReportAnswer::Superseded).await?;
    desk.empty().await?;
    assert!(desk.quiet(Duration::from_millis(300)).await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_over_a_wiped_nats() -> Result<()> {
    let own_nats = Options {
        own_nats: true,
        ..Options::default()
    };
    let sandbox = Sandbox::with(own_nats).await?;
    let mut desk = Desk::open(&sandbox).await?;
    let worker = sandbox.worker("worker", &[])?;
    let job = desk.render("a cat [slow:200]", 10).await?;
    desk.offer(&job).await?;
    desk.progress_that(|step| step.step >= 3).await?;
    sandbox.wipe_nats()?;
    let report = desk.report().await?;
    assert_eq!(report.job, job.job);
    assert!(matches!(report.outcome, Outcome::Rendered { .. }));
    // The stream and the consumers are made again without anybody's help.
    desk.stream_is_there().await?;
    desk.plan("a dog").await?;
    desk.empty().await?;
    assert!(worker.program.log().contains("NATS is away"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_loses_everything_during_a_report_costs_only_time() -> Result<()> {
    let own_nats = Options {
        own_nats: true,
        ..Options::default()
    };
    let sandbox = Sandbox::with(own_nats).await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    let job = offer(plan_work("a cat"));
    desk.offer(&job).await?;
    // Heard, and not answered yet.
    let (first, _) = desk.unanswered().await?;
    sandbox.wipe_nats()?;
    let second = desk.report().await?;
    assert_eq!(first, second);
    desk.stream_is_there().await?;
    desk.plan("a dog").await?;
    desk.empty().await
}
