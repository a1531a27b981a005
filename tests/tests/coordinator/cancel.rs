use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    decode,
    http::{RequestState, RequestView},
    job::JobKind,
    report::ReportAnswer,
    signal::Cancel,
};
use atelier_tests::{Sandbox, prompt};
use futures::StreamExt;

use crate::hand::{Hand, day_and_night};

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_request_stops_its_workers_and_stays_canceled() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let mut cancels = hand.bus.subscribe(hand.bus.names().cancel(), None).await?;
    hand.bus.flush().await;
    let request = coordinator.api.submit(&prompt("a cat")).await?;
    let job = hand.next(JobKind::Plan).await?;
    let view = coordinator.api.cancel(request.id).await?;
    assert_eq!(view.state, RequestState::Canceled);
    assert!(view.jobs.iter().all(|job| job.state == "canceled"));
    let told = tokio::time::timeout(Duration::from_secs(5), cancels.next()).await?;
    let cancel = decode::<Cancel>(&told.context("no cancel")?.payload)?.body;
    assert_eq!(cancel.request, request.id);

    let planned = hand.planned(day_and_night(1)).await?;
    assert_eq!(
        hand.report(&job.offer, planned).await?,
        ReportAnswer::Superseded
    );
    let again = coordinator.api.cancel(request.id).await?;
    assert_eq!(again, view, "a second cancel changes nothing");
    let trace = coordinator.api.trace(request.id).await?;
    assert_eq!(trace.state, RequestState::Canceled);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_still_waits_is_never_handed_out() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(coordinator.api.submit(&prompt("a cat")).await?.id);
    }
    // The first four fit into the queue; the others are ready in the database.
    let dispatched = |view: &RequestView| view.jobs[0].state == "dispatched";
    for id in &ids[..4] {
        let soon = Duration::from_secs(5);
        coordinator.api.until(*id, soon, dispatched).await?;
    }
    // The stream acknowledges what was published.
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Latest first, so that none takes the place of a canceled one in the queue.
    for id in ids.iter().rev() {
        coordinator.api.cancel(*id).await?;
    }
    let mut handed = 0;
    while let Ok(job) = hand.take(JobKind::Plan, Duration::from_millis(1_500)).await {
        handed += 1;
        let planned = hand.planned(day_and_night(1)).await?;
        assert_eq!(
            hand.report(&job.offer, planned).await?,
            ReportAnswer::Superseded
        );
        job.delivery.done().await;
    }
    assert_eq!(handed, 0, "canceled jobs were handed out");
    Ok(())
}
