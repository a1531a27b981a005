use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::Subscriber;
use atelier_proto::{
    decode,
    job::{JobKind, Think},
    report::Outcome,
    signal::Quarantine,
};
use atelier_tests::{Sandbox, in_time, prompt};
use futures::StreamExt;

use atelier_tests::hand::Hand;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_fails_what_another_then_does_is_kept_from_it() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let (mut bad, mut good) = (Hand::new(&sandbox).await?, Hand::new(&sandbox).await?);
    let subject = bad.bus.names().quarantine(bad.id);
    let mut advice = bad.bus.subscribe(subject, None).await?;
    bad.beat(&[]).await?;
    good.beat(&[]).await?;
    in_time("both are heard", SOON, async || {
        Ok(coordinator.api.workers().await?.len() == 2)
    })
    .await?;
    for _ in 0..3 {
        let mut direct = prompt("a cat");
        direct.think = Think::Off;
        let id = coordinator.api.submit(&direct).await?.id;
        let failed = Outcome::Failed {
            reason: "no paint".into(),
            retry: true,
        };
        let job = bad.next(JobKind::Render).await?;
        bad.finish(job, failed).await?;
        let job = good.next(JobKind::Render).await?;
        assert_eq!(job.offer.avoid, [bad.id]);
        good.finish(job, good.rendered(1).await?).await?;
        coordinator
            .api
            .succeeded(id, Duration::from_secs(5))
            .await?;
    }
    let first = advised(&mut advice, &bad, &good).await?;
    assert_eq!(first.kind, JobKind::Render);
    assert!((1..=30_000).contains(&first.for_ms), "{}", first.for_ms);
    // Its next sign of life does not show it, so that it is told again.
    let second = advised(&mut advice, &bad, &good).await?;
    assert!(second.for_ms <= first.for_ms);
    bad.kept_from = vec![JobKind::Render];
    bad.beat(&[]).await?;
    in_time("it is told", SOON, async || {
        let workers = coordinator.api.workers().await?;
        let mut kept = workers.iter().map(|worker| &worker.kept_from);
        Ok(kept.any(|kinds| kinds[..] == [JobKind::Render]))
    })
    .await?;
    // With nobody else left, it is better than none.
    good.draining = true;
    let left_off = async {
        while advised(&mut advice, &bad, &good).await?.for_ms > 0 {}
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), left_off).await?
}

/// The next advice to `bad`; both give signs of life until it comes.
async fn advised(advice: &mut Subscriber, bad: &Hand, good: &Hand) -> Result<Quarantine> {
    let told = async {
        loop {
            good.beat(&[]).await?;
            bad.beat(&[]).await?;
            // Both have their own connections, so that the coordinator may hear them in the other order, the advice being due only at the next.
            if let Ok(message) =
                tokio::time::timeout(Duration::from_millis(200), advice.next()).await
            {
                return Ok(decode::<Quarantine>(&message.context("closed")?.payload)?.body);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await?
}
