//! Cancels.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Result;
use atelier_proto::{job::JobOffer, report::Outcome};
use atelier_tests::{Sandbox, in_time};

use crate::desk::{Desk, PATIENCE, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_the_device_within_a_step() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    // A minute and a half if nothing stops it.
    let job = desk.render("a cat [slow:300]", 300).await?;
    desk.offer(&job).await?;
    let progress = desk
        .progress_that(|step| step.job == job.job && step.step >= 2)
        .await?;
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
async fn a_cancel_hits_nobody_else_on_the_device_or_waiting_for_it() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &["--heartbeat-ms", "50"])?;
    for cancel_the_waiting_one in [true, false] {
        let running = desk.render("a cat [slow:150]", 10).await?;
        let waiting = desk.render("a dog [slow:10]", 3).await?;
        desk.offer(&running).await?;
        desk.offer(&waiting).await?;
        let both = [(running.job, 1), (waiting.job, 1)];
        desk.heartbeat_that(|beat| both.iter().all(|pair| beat.holding.contains(pair)))
            .await?;
        let (canceled, spared) = match cancel_the_waiting_one {
            true => (&waiting, &running),
            false => (&running, &waiting),
        };
        desk.cancel(canceled.request).await?;
        let first = desk.report().await?;
        assert_eq!(
            (first.job, first.outcome),
            (canceled.job, Outcome::Returned)
        );
        let second = desk.report().await?;
        assert_eq!(second.job, spared.job);
        assert!(matches!(second.outcome, Outcome::Rendered { .. }));
    }
    desk.empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_the_fetching_of_inputs_and_the_storing_of_what_was_made() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    // Another one makes the plans: a worker keeps those that it made itself.
    let planner = sandbox.worker("planner", &[])?;
    let fetched = desk.render("a cat", 4).await?;
    let stored = desk.render("a dog [slow:200]", 4).await?;
    let healed = desk.render("a radio [slow:200]", 4).await?;
    desk.empty().await?;
    drop(planner);
    let worker = sandbox.worker("worker", &[])?;
    let until_it_says = async |words: &str, job: &JobOffer| {
        let id = job.job.to_string();
        let said = |line: &str| line.contains(words) && line.contains(&id);
        in_time(words, PATIENCE, async || {
            Ok(worker.program.log().lines().any(said))
        })
        .await
    };

    let away = StoreAway::begin(&sandbox)?;
    desk.offer(&fetched).await?;
    until_it_says("fetching an input: trying again", &fetched).await?;
    desk.cancel(fetched.request).await?;
    assert_eq!(desk.report().await?.outcome, Outcome::Returned);
    away.end()?;

    for (job, canceled) in [(&stored, true), (&healed, false)] {
        desk.offer(job).await?;
        desk.progress_that(|step| step.job == job.job).await?;
        let away = StoreAway::begin(&sandbox)?;
        until_it_says("storing an output: trying again", job).await?;
        if canceled {
            desk.cancel(job.request).await?;
            assert_eq!(desk.report().await?.outcome, Outcome::Returned);
            away.end()?;
        } else {
            away.end()?;
            let outcome = desk.report().await?.outcome;
            assert!(matches!(outcome, Outcome::Rendered { .. }), "{outcome:?}");
        }
    }
    desk.empty().await
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
        let progress = desk.progress_that(|step| step.job == job.job).await?;
        steps.push(progress.step);
        if let Some(png) = progress.preview_png {
            image::load_from_memory_with_format(&png, image::ImageFormat::Png)?;
            previews += 1;
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

/// While it lives the store is away: where its folder was is something else.
struct StoreAway {
    folder: PathBuf,
    aside: PathBuf,
}

impl StoreAway {
    fn begin(sandbox: &Sandbox) -> Result<Self> {
        let away = Self {
            folder: sandbox.folder().join("objects"),
            aside: sandbox.folder().join("objects-aside"),
        };
        fs::rename(&away.folder, &away.aside)?;
        fs::write(&away.folder, "no folder")?;
        Ok(away)
    }

    fn end(self) -> Result<()> {
        fs::remove_file(&self.folder)?;
        Ok(fs::rename(&self.aside, &self.folder)?)
    }
}
