use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use atelier_proto::{
    http::SubmitRequest,
    job::{JobKind, Think},
};
use atelier_tests::{Options, Sandbox, prompt};

use atelier_tests::hand::Hand;

fn direct() -> SubmitRequest {
    SubmitRequest {
        think: Think::Off,
        ..prompt("a cat")
    }
}

async fn own_nats() -> Result<Sandbox> {
    let options = Options {
        own_nats: true,
        ..Options::default()
    };
    Sandbox::with(options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_nats_loses_no_job() -> Result<()> {
    let sandbox = own_nats().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "4000"])?;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(coordinator.api.submit(&direct()).await?.id);
    }
    let before = Hand::new(&sandbox).await?;
    let held = before.next(JobKind::Render).await?;
    before.beat(&[&held.offer]).await?;
    tokio::time::sleep(Duration::from_millis(600)).await;
    sandbox.wipe_nats()?;
    // Accepted while the stream is gone or just coming back.
    ids.push(coordinator.api.submit(&direct()).await?.id);
    // A job in a worker's hands needs no message: what was drawn over the wipe counts.
    before.finish(held, before.rendered(1).await?).await?;
    let hand = Hand::new(&sandbox).await?;
    for _ in 1..ids.len() {
        let job = hand.next(JobKind::Render).await?;
        hand.finish(job, hand.rendered(1).await?).await?;
    }
    for id in ids {
        coordinator
            .api
            .succeeded(id, Duration::from_secs(10))
            .await?;
    }
    hand.nothing(JobKind::Render, Duration::from_secs(1)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_coordinator_forgets_nothing_that_it_accepted() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut coordinator = sandbox.coordinator("one", &["--lease-ms", "2000"])?;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(coordinator.api.submit(&direct()).await?.id);
    }
    coordinator.program.kill()?;
    coordinator.restart()?;
    let hand = Hand::new(&sandbox).await?;
    let mut left = ids.clone();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !left.is_empty() {
        ensure!(Instant::now() < deadline, "never drawn: {left:?}");
        let job = hand.next(JobKind::Render).await?;
        let outcome = hand.rendered(1).await?;
        // What was published just before the kill may come twice.
        hand.report(&job.offer, outcome).await?;
        job.delivery.done().await;
        let mut open = Vec::new();
        for id in left {
            if !coordinator.api.view(id).await?.state.is_terminal() {
                open.push(id);
            }
        }
        left = open;
    }
    Ok(())
}
