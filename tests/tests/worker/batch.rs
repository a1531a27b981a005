//! Equal drawings at once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use atelier_proto::report::Outcome;
use atelier_tests::Sandbox;

use crate::desk::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn equal_drawings_that_wait_are_made_at_once_and_one_is_canceled_without_the_others()
-> Result<()> {
    const STEP: Duration = Duration::from_millis(200);
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &["--batch", "4"])?;
    let mut lone = desk.render("a cat [slow:200]", 6).await?;
    lone.alone = true;
    let mut equal = Vec::new();
    for _ in 0..4 {
        equal.push(desk.render("a dog [slow:200]", 9).await?);
    }
    desk.offer(&lone).await?;
    desk.progress_that(|step| step.job == lone.job).await?;
    // These wait for the device while it works on the first.
    for job in &equal {
        desk.offer(job).await?;
    }
    let first = desk.report().await?;
    assert_eq!((first.job, first.batch), (lone.job, 1));
    let canceled = equal[2].clone();
    desk.progress_that(|step| step.job == canceled.job && step.step >= 2)
        .await?;
    let start = Instant::now();
    desk.cancel(canceled.request).await?;
    let mut reports = HashMap::new();
    for _ in 0..4 {
        let report = desk.report().await?;
        reports.insert(report.job, report);
    }
    // Three drawings one after another would take three times as long.
    assert!(start.elapsed() < 2 * 9 * STEP, "{:?}", start.elapsed());
    for job in &equal {
        let report = &reports[&job.job];
        assert_eq!(report.batch, 4);
        if job.job == canceled.job {
            assert_eq!(report.outcome, Outcome::Returned);
        } else {
            assert!(matches!(report.outcome, Outcome::Rendered { steps: 9, .. }));
        }
    }
    desk.empty().await
}
