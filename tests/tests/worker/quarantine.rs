//! Kinds of jobs that a worker is kept from.

use std::time::{Duration, Instant};

use anyhow::Result;
use atelier_proto::{encode, job::JobKind, signal::Quarantine};
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
    let advice = Quarantine {
        kind: JobKind::Plan,
        for_ms: TIME.as_millis() as u64,
    };
    let subject = desk.names.quarantine(one);
    desk.client
        .publish(subject, encode(&advice, None).into())
        .await?;
    let start = Instant::now();
    // It says so at once.
    while desk.heartbeat().await?.kept_from != [JobKind::Plan] {}
    desk.offer(&offer(plan_work("a dog"))).await?;
    desk.offer(&render).await?;
    assert_eq!(desk.report().await?.job, render.job, "other kinds go on");
    desk.report().await?;
    assert!(start.elapsed() >= TIME, "{:?}", start.elapsed());
    desk.empty().await
}
