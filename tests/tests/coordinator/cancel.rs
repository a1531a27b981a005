use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    decode,
    http::{RequestState, RequestView},
    job::JobKind,
    report::ReportAnswer,
    signal::Cancel,
    subject::Names,
};
use atelier_tests::{Sandbox, in_time, prompt};
use futures::StreamExt;

use atelier_tests::hand::{Hand, day_and_night};

const SOON: Duration = Duration::from_secs(10);

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
    let mut database = sandbox.database().await?;
    in_time("it is written down where they are", SOON, async || {
        let noted = "SELECT count(*) FROM jobs WHERE stream_sequence IS NOT NULL";
        let noted: i64 = sqlx::query_scalar(noted).fetch_one(&mut database).await?;
        Ok(noted == 4)
    })
    .await?;
    // Latest first, so that none takes the place of a canceled one in the queue.
    for id in ids.iter().rev() {
        coordinator.api.cancel(*id).await?;
    }
    assert_eq!(waiting(&sandbox).await?, 0, "canceled jobs are left");
    hand.nothing(JobKind::Plan, Duration::from_millis(500))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_takes_out_what_another_coordinator_published() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let (one, two) = (
        sandbox.coordinator("one", &[])?,
        sandbox.coordinator("two", &[])?,
    );
    for number in 0..12 {
        let (takes, cancels) = match number % 2 {
            0 => (&one, &two),
            _ => (&two, &one),
        };
        let request = takes.api.submit(&prompt("a cat")).await?;
        // Either of them may have been the one that published it.
        in_time("it is published", SOON, async || {
            Ok(waiting(&sandbox).await? == 1)
        })
        .await?;
        cancels.api.cancel(request.id).await?;
        in_time("it is taken out", SOON, async || {
            Ok(waiting(&sandbox).await? == 0)
        })
        .await?;
    }
    Ok(())
}

/// Messages in the stream of jobs.
async fn waiting(sandbox: &Sandbox) -> Result<u64> {
    let client = async_nats::connect(&sandbox.nats_url).await?;
    let stream = Names::new(&sandbox.prefix)?.jobs_stream();
    let stream = async_nats::jetstream::new(client)
        .get_stream(stream)
        .await?;
    Ok(stream.cached_info().state.messages)
}
