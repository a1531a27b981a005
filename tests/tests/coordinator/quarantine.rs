use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    decode,
    job::{JobKind, Think},
    report::Outcome,
    signal::Quarantine,
};
use atelier_tests::{Sandbox, prompt};
use futures::StreamExt;

use crate::hand::Hand;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_fails_what_another_then_does_is_kept_from_it() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let (mut bad, mut good) = (Hand::new(&sandbox).await?, Hand::new(&sandbox).await?);
    let subject = bad.bus.names().quarantine(bad.id);
    let mut advice = bad.bus.subscribe(subject, None).await?;
    let mut advised = async || -> Result<Quarantine> {
        let message = tokio::time::timeout(Duration::from_secs(10), advice.next()).await?;
        Ok(decode::<Quarantine>(&message.context("closed")?.payload)?.body)
    };
    bad.beat(&[]).await?;
    good.beat(&[]).await?;
    while coordinator.api.workers().await?.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
    // The advice came at the last report, if both had been heard lately by then; else a sign of life brings it.
    good.beat(&[]).await?;
    bad.beat(&[]).await?;
    let first = advised().await?;
    assert_eq!(first.kind, JobKind::Render);
    assert!((1..=30_000).contains(&first.for_ms), "{}", first.for_ms);
    // Its next sign of life does not show it, so that it is told again.
    good.beat(&[]).await?;
    bad.beat(&[]).await?;
    let second = advised().await?;
    assert!(second.for_ms <= first.for_ms);
    bad.kept_from = vec![JobKind::Render];
    bad.beat(&[]).await?;
    while !coordinator
        .api
        .workers()
        .await?
        .iter()
        .any(|worker| worker.kept_from == [JobKind::Render])
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // With nobody else left, it is better than none.
    good.draining = true;
    good.beat(&[]).await?;
    let left_off = async {
        loop {
            bad.beat(&[]).await?;
            if advised().await?.for_ms == 0 {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), left_off).await?
}
