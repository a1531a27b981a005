//! Kinds of jobs that a worker is kept from.

use std::time::{Duration, Instant};

use anyhow::Result;
use atelier_proto::{WorkerId, encode, job::JobKind, signal::Quarantine};
use atelier_tests::Sandbox;

use crate::desk::{Desk, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_none_of_what_it_is_kept_from_until_the_time_is_over() -> Result<()> {
    const TIME: Duration = Duration::from_millis(1_500);
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _one = sandbox.worker("one", &["--heartbeat-ms", "60000"])?;
    let one = desk.heartbeat().await?.worker;
    let render = desk.render("a cat", 1).await?;
    let start = Instant::now();
    advise(&desk, one, TIME).await?;
    // It says so at once.
    desk.heartbeat_that(|beat| beat.kept_from == [JobKind::Plan])
        .await?;
    desk.offer(&offer(plan_work("a dog"))).await?;
    desk.offer(&render).await?;
    assert_eq!(desk.report().await?.job, render.job, "other kinds go on");
    desk.report().await?;
    assert!(start.elapsed() >= TIME, "{:?}", start.elapsed());

    // Nobody else is left: it is let off before its time.
    advise(&desk, one, Duration::from_secs(3_000)).await?;
    desk.heartbeat_that(|beat| beat.kept_from == [JobKind::Plan])
        .await?;
    advise(&desk, one, Duration::ZERO).await?;
    desk.plan("a dog").await?;
    desk.empty().await
}

async fn advise(desk: &Desk, worker: WorkerId, time: Duration) -> Result<()> {
    let advice = Quarantine {
        kind: JobKind::Plan,
        for_ms: time.as_millis() as u64,
    };
    let subject = desk.names.quarantine(worker);
    let bytes = encode(&advice, None);
    desk.client.publish(subject, bytes.into()).await?;
    Ok(())
}
