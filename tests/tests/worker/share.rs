//! Signs of life, and work shared between workers.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::Result;
use atelier_proto::job::JobKind;
use atelier_tests::{Sandbox, in_time};

use crate::desk::{Desk, MODEL, PATIENCE, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sign_of_life_comes_at_once_and_a_short_lease_is_kept() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &["--heartbeat-ms", "60000", "--name", "first"])?;
    let first = desk.heartbeat().await?;
    assert_eq!(
        (first.name.as_str(), first.model.as_str()),
        ("first", MODEL)
    );
    assert_eq!(first.roles, JobKind::ALL);
    assert!(first.holding.is_empty() && !first.draining);

    let mut job = desk.render("a cat [slow:100]", 30).await?;
    job.lease_ms = 400;
    desk.offer(&job).await?;
    let mut held = Vec::new();
    while held.len() < 10 {
        desk.heartbeat_that(|beat| beat.holding == [(job.job, 1)])
            .await?;
        held.push(Instant::now());
    }
    // Ten signs at a quarter of the lease would take 0.9 s; they must not take as long as nine leases.
    assert!(held[9].duration_since(held[0]).as_millis() < 9 * 400);
    assert_eq!(desk.report().await?.job, job.job);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_workers_go_before_those_that_fetch_ahead() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _one = sandbox.worker("one", &[])?;
    let _two = sandbox.worker("two", &[])?;
    for pause in [0, 700, 1_900] {
        in_time("both ask", PATIENCE, async || {
            Ok(desk.pulls(JobKind::Plan).await? >= 2)
        })
        .await?;
        // A plan has one step of unknown length, so that its worker would fetch ahead from the start.
        desk.offer(&offer(plan_work("a cat [slow:3000]"))).await?;
        // Whose request has waited longer differs from round to round.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        desk.offer(&offer(plan_work("a cat [slow:10]"))).await?;
        let mut workers = HashSet::new();
        for _ in 0..2 {
            workers.insert(desk.report().await?.worker);
        }
        assert_eq!(workers.len(), 2, "one worker did both");
        desk.empty().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_draws_one_at_a_time_holds_one_more_at_most() -> Result<()> {
    const JOBS: usize = 20;
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let options = ["--batch", "1", "--heartbeat-ms", "50"];
    let _worker = sandbox.worker("worker", &options)?;
    let job = desk.render("a cat [slow:60]", 4).await?;
    for _ in 0..JOBS {
        desk.offer(&offer(job.work.clone())).await?;
    }
    for _ in 0..JOBS {
        desk.report().await?;
    }
    desk.empty().await?;
    // What was said meanwhile is still there to be heard, and then some that was said afterwards.
    let (mut most, mut heard) = (0, 0);
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        let sign = desk.heartbeat().await?;
        // What has left the device only waits for the answer to its report.
        let holding = sign.holding.len() - sign.computed.len();
        heard += usize::from(holding > 0);
        most = most.max(holding);
    }
    assert!(heard >= JOBS, "only {heard} signs of life while it worked");
    // The next one is fetched before the last is done.
    assert_eq!(most, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_here_is_left_to_others_and_done_all_the_same_when_there_are_none()
-> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _one = sandbox.worker("one", &[])?;
    let one = desk.heartbeat().await?.worker;
    let failed_before = || {
        let mut job = offer(plan_work("a cat"));
        (job.attempt, job.alone, job.avoid) = (2, true, vec![one]);
        job.lease_ms = 4_000;
        job
    };
    let start = Instant::now();
    desk.offer(&failed_before()).await?;
    assert_eq!(desk.report().await?.worker, one);
    assert!(start.elapsed() > Duration::from_millis(500), "at once");
    let _two = sandbox.worker("two", &[])?;
    for _ in 0..4 {
        desk.offer(&failed_before()).await?;
        assert_ne!(desk.report().await?.worker, one);
    }
    desk.empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_only_its_roles() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _planner = sandbox.worker("planner", &["--roles", "plan"])?;
    let job = desk.render("a cat", 2).await?;
    desk.offer(&job).await?;
    desk.plan("a dog").await?;
    // The picture waits for a renderer.
    desk.all_but(1).await?;
    let _renderer = sandbox.worker("renderer", &["--roles", "render,critique"])?;
    assert_eq!(desk.report().await?.job, job.job);
    desk.empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_are_each_reported_once() -> Result<()> {
    const JOBS: usize = 500;
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _one = sandbox.worker("one", &[])?;
    let _two = sandbox.worker("two", &[])?;
    let mut wanted = HashSet::new();
    for _ in 0..JOBS {
        let job = offer(plan_work("a cat and a dog"));
        wanted.insert(job.job);
        desk.offer(&job).await?;
    }
    let start = Instant::now();
    let (mut done, mut workers) = (HashSet::new(), HashSet::new());
    while done.len() < JOBS {
        let report = desk.report().await?;
        workers.insert(report.worker);
        assert!(done.insert(report.job), "reported twice");
    }
    println!(
        "{JOBS} reports, the last {:?} after the last offer",
        start.elapsed()
    );
    assert_eq!(done, wanted);
    assert_eq!(workers.len(), 2);
    desk.empty().await
}
