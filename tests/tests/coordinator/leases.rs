use std::time::{Duration, Instant};

use anyhow::Result;
use atelier_proto::{
    http::{RequestState, SubmitRequest},
    job::{JobKind, Think},
    report::{Outcome, ReportAnswer},
};
use atelier_tests::{Sandbox, prompt};

use crate::hand::Hand;

fn direct() -> SubmitRequest {
    SubmitRequest {
        think: Think::Off,
        ..prompt("a cat")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_worker_loses_its_job_to_the_next() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let (silent, other) = (Hand::new(&sandbox).await?, Hand::new(&sandbox).await?);
    let request = coordinator.api.submit(&direct()).await?;
    let lost = silent.next(JobKind::Render).await?;
    silent.beat(&[&lost.offer]).await?;
    let again = other.next(JobKind::Render).await?;
    assert_eq!((again.offer.job, again.offer.attempt), (lost.offer.job, 2));
    let late = silent
        .report(&lost.offer, silent.rendered(1).await?)
        .await?;
    assert_eq!(late, ReportAnswer::Superseded);
    other.finish(again, other.rendered(2).await?).await?;
    coordinator
        .api
        .succeeded(request.id, Duration::from_secs(5))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_keep_a_lease() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let hand = Hand::new(&sandbox).await?;
    let request = coordinator.api.submit(&direct()).await?;
    let job = hand.next(JobKind::Render).await?;
    let until = Instant::now() + Duration::from_secs(4);
    let mut step = 0;
    while Instant::now() < until {
        step += 1;
        match step % 2 {
            0 => hand.beat(&[&job.offer]).await?,
            _ => hand.progress(&job.offer, step, 100).await?,
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    hand.finish(job, hand.rendered(1).await?).await?;
    let view = coordinator
        .api
        .succeeded(request.id, Duration::from_secs(5))
        .await?;
    assert_eq!(view.jobs[0].attempt, 1);
    assert_eq!(coordinator.api.workers().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_only_queues_keeps_its_attempt() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let hand = Hand::new(&sandbox).await?;
    let request = coordinator.api.submit(&direct()).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let job = hand.next(JobKind::Render).await?;
    assert_eq!(job.offer.attempt, 1);
    hand.finish(job, hand.rendered(1).await?).await?;
    coordinator
        .api
        .succeeded(request.id, Duration::from_secs(5))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_parked_and_takes_no_other_along() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let poisoned = coordinator.api.submit(&direct()).await?;
    for _ in 0..2 {
        let hand = Hand::new(&sandbox).await?;
        let job = hand.next(JobKind::Render).await?;
        assert_eq!(job.offer.request, poisoned.id);
        hand.beat(&[&job.offer]).await?;
    }
    let view = coordinator
        .api
        .ended(poisoned.id, Duration::from_secs(10))
        .await?;
    assert_eq!(view.state, RequestState::Failed);
    assert!(
        view.reason
            .as_deref()
            .is_some_and(|why| why.starts_with("parked")),
        "{view:?}"
    );

    let hand = Hand::new(&sandbox).await?;
    let fine = coordinator.api.submit(&direct()).await?;
    let job = hand.next(JobKind::Render).await?;
    assert_eq!(job.offer.request, fine.id);
    hand.finish(job, hand.rendered(1).await?).await?;
    coordinator
        .api
        .succeeded(fine.id, Duration::from_secs(5))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_until_they_are_too_many() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--max-failures", "3"])?;
    let hand = Hand::new(&sandbox).await?;
    let request = coordinator.api.submit(&direct()).await?;
    let returned = hand.next(JobKind::Render).await?;
    hand.finish(returned, Outcome::Returned).await?;
    for attempt in 2..=4 {
        let job = hand.next(JobKind::Render).await?;
        assert_eq!(
            job.offer.attempt, attempt,
            "a returned job counts as no failure"
        );
        let failed = Outcome::Failed {
            reason: "no paint".into(),
            retry: true,
        };
        hand.finish(job, failed).await?;
    }
    let view = coordinator
        .api
        .ended(request.id, Duration::from_secs(5))
        .await?;
    assert_eq!(view.state, RequestState::Failed);
    assert!(view.reason.is_some_and(|why| why.contains("no paint")));
    Ok(())
}
