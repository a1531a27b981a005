//! Reports: until answered, whatever happens meanwhile.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, Result};
use atelier_proto::{
    JobId, decode, encode,
    job::JobKind,
    report::{MOST_TOGETHER, Outcome, Report, ReportAnswer, ReportAnswers, Reports},
};
use atelier_tests::{Options, Sandbox, in_time};
use futures::StreamExt;

use crate::desk::{Desk, PATIENCE, offer, plan_work};

/// How long what comes at once on a quiet machine is waited for.
const SHORT: Duration = Duration::from_secs(2);

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
async fn with_many_jobs_in_hands_reports_leave_together_and_each_alone_where_nobody_understands()
-> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let mut together = desk.hear_together().await?;
    let _worker = sandbox.worker("worker", &[])?;
    // Once its device is known to be quick.
    for _ in 0..40 {
        desk.plan("a cat").await?;
    }
    let mut offered = HashSet::new();
    let offer_some = async |desk: &Desk, offered: &mut HashSet<JobId>| {
        for _ in 0..48 {
            let job = offer(plan_work("a cat"));
            desk.offer(&job).await?;
            offered.insert(job.job);
        }
        anyhow::Ok(())
    };
    // Unanswered, the first few stay in its hands. On a busy machine it may take them in too slowly for two to be ready at once.
    let first = loop {
        offer_some(&desk, &mut offered).await?;
        if let Ok(message) = tokio::time::timeout(SHORT, together.next()).await {
            break message.context("closed")?;
        }
        while let Ok(alone) = tokio::time::timeout(SHORT, desk.unanswered()).await {
            let (report, reply) = alone?;
            desk.answer(reply, ReportAnswer::Committed).await?;
            offered.remove(&report.job);
        }
    };
    assert_eq!(first.subject.as_str(), desk.names.reports(JobKind::Plan));
    let reports = decode::<Reports>(&first.payload)?.body.reports;
    assert!((2..=MOST_TOGETHER).contains(&reports.len()));
    for report in &reports {
        assert!(offered.remove(&decode::<Report>(report)?.body.job));
    }
    let answers = vec![ReportAnswer::Committed; reports.len()];
    let bytes = encode(&ReportAnswers { answers }, None);
    let reply = first.reply.context("a request")?;
    desk.client.publish(reply, bytes.into()).await?;
    // What was answered together is settled; the others come again, alone, since nobody answers as many as came.
    while !offered.is_empty() {
        tokio::select! {
            alone = desk.unanswered() => {
                let (report, reply) = alone?;
                desk.answer(reply, ReportAnswer::Committed).await?;
                offered.remove(&report.job);
            }
            Some(message) = together.next() => {
                let bytes = encode(&ReportAnswers { answers: Vec::new() }, None);
                let reply = message.reply.context("a request")?;
                desk.client.publish(reply, bytes.into()).await?;
            }
        }
    }
    desk.empty().await
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
