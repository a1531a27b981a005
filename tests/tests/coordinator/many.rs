use std::time::Duration;

use anyhow::Result;
use atelier_proto::{
    http::SubmitRequest,
    job::{JobKind, Think},
    report::ReportAnswer,
};
use atelier_tests::{Sandbox, prompt};

use atelier_tests::hand::Hand;

const REQUESTS: usize = 120;

/// Draws whatever comes until it is told to stop.
async fn draw(hand: Hand) {
    loop {
        let Ok(job) = hand.take(JobKind::Render, Duration::from_secs(30)).await else {
            continue;
        };
        let _ = hand.beat(&[&job.offer]).await;
        let Ok(outcome) = hand.rendered(job.offer.attempt as u8).await else {
            continue;
        };
        if let Ok(ReportAnswer::Committed | ReportAnswer::Superseded) =
            hand.report(&job.offer, outcome).await
        {
            job.delivery.done().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_coordinators_share_the_work_and_one_may_die() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let lease = ["--lease-ms", "2000"];
    let one = sandbox.coordinator("one", &lease)?;
    let mut two = sandbox.coordinator("two", &lease)?;
    let workers: Vec<_> = [
        Hand::new(&sandbox).await?,
        Hand::new(&sandbox).await?,
        Hand::new(&sandbox).await?,
    ]
    .map(|hand| tokio::spawn(draw(hand)))
    .into();
    let mut ids = Vec::new();
    for index in 0..REQUESTS {
        let direct = SubmitRequest {
            think: Think::Off,
            ..prompt("a cat")
        };
        let api = if index % 2 == 0 || index > REQUESTS / 2 {
            &one.api
        } else {
            &two.api
        };
        ids.push(api.submit(&direct).await?.id);
        if index == REQUESTS / 2 {
            two.program.kill()?;
        }
    }
    for id in &ids {
        let view = one.api.succeeded(*id, Duration::from_secs(40)).await?;
        assert!(view.image.is_some());
    }
    two.restart()?;
    assert_eq!(two.api.view(ids[0]).await?, one.api.view(ids[0]).await?);
    for worker in workers {
        worker.abort();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_is_in_hand() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let direct = SubmitRequest {
        think: Think::Off,
        ..prompt("a cat")
    };
    let request = coordinator.api.submit(&direct).await?;
    let job = hand.next(JobKind::Render).await?;
    // A reader of events must not keep it from ending.
    let events = coordinator
        .api
        .get(&format!("/v1/requests/{}/events", request.id))
        .await?;
    let status = coordinator.program.terminate(Duration::from_secs(15))?;
    assert_eq!(status.code(), Some(0), "{}", coordinator.program.log_tail());
    drop(events);
    coordinator.restart()?;
    hand.finish(job, hand.rendered(1).await?).await?;
    coordinator
        .api
        .succeeded(request.id, Duration::from_secs(10))
        .await?;
    Ok(())
}
