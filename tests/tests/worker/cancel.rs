//! Cancels.

use std::time::{Duration, Instant};

use anyhow::Result;
use atelier_proto::report::Outcome;
use atelier_tests::Sandbox;

use crate::desk::{Desk, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_the_device_within_a_step() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    // A minute and a half if nothing stops it.
    let job = desk.render("a cat [slow:300]", 300).await?;
    desk.offer(&job).await?;
    let mut progress = desk.progress().await?;
    while progress.job != job.job || progress.step < 2 {
        progress = desk.progress().await?;
    }
    assert_eq!((progress.attempt, progress.total), (1, 300));
    let start = Instant::now();
    desk.cancel(job.request).await?;
    let report = desk.report().await?;
    assert_eq!((report.job, report.outcome), (job.job, Outcome::Returned));
    // One step of 300 ms, and what a busy machine adds.
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    desk.empty().await?;

    // What comes later of the same request is not begun, and others are.
    let mut late = offer(plan_work("a dog"));
    late.request = job.request;
    desk.offer(&late).await?;
    assert_eq!(desk.report().await?.outcome, Outcome::Returned);
    desk.plan("a dog").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_show_how_far_it_is() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    let job = desk.render("a cat [slow:100]", 12).await?;
    desk.offer(&job).await?;
    let (mut steps, mut previews) = (Vec::new(), 0);
    while steps.last() != Some(&12) {
        let progress = desk.progress().await?;
        if progress.job == job.job {
            steps.push(progress.step);
            if let Some(png) = progress.preview_png {
                image::load_from_memory_with_format(&png, image::ImageFormat::Png)?;
                previews += 1;
            }
        }
    }
    assert!(steps.is_sorted());
    // 1.2 seconds at no more than four a second, and the first at once.
    assert!((2..=6).contains(&previews), "{previews} previews");
    assert!(matches!(
        desk.report().await?.outcome,
        Outcome::Rendered { .. }
    ));
    Ok(())
}
