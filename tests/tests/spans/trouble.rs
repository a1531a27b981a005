//! Receivers that do not take spans, and addresses that are none.

use anyhow::{Result, ensure};
use atelier_tests::{Sandbox, in_time, prompt};

use crate::{
    BROUGHT, LONG, counted_spans, farm,
    receiver::{Mood, Receiver},
    submit,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_or_hangs_holds_nothing_up() -> Result<()> {
    let receiver = Receiver::start(Mood::Refuses).await?;
    let quickly = ("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
    let (_sandbox, mut coordinator, mut worker) = farm(&receiver, &[quickly]).await?;
    let api = coordinator.api.clone();
    let mut lost = 0;
    for mood in [Mood::Refuses, Mood::Hangs] {
        receiver.become_one_that(mood);
        let calls = receiver.calls();
        let id = submit(&api, &prompt("a cat and a radio"), None).await?;
        api.succeeded(id, LONG).await?;
        in_time("lost spans are counted", LONG, async || {
            Ok(receiver.calls() > calls && counted_spans(&api, "failed").await? > lost)
        })
        .await?;
        lost = counted_spans(&api, "failed").await?;
    }
    assert_eq!(counted_spans(&api, "exported").await?, 0);
    // It is said once, not every time.
    let said = coordinator.program.log();
    assert_eq!(said.matches("did not take spans").count(), 1, "{said}");
    // Once it takes spans again, those that come later arrive.
    receiver.become_one_that(Mood::Takes);
    let id = submit(&api, &prompt("a cat and a radio"), Some(BROUGHT)).await?;
    api.succeeded(id, LONG).await?;
    in_time("spans are exported", LONG, async || {
        Ok(counted_spans(&api, "exported").await? > 0)
    })
    .await?;
    receiver.become_one_that(Mood::Hangs);
    submit(&api, &prompt("a cat and a radio"), None).await?;
    // Nor do the ends of the processes wait for it.
    ensure!(worker.program.terminate(LONG)?.success());
    ensure!(coordinator.program.terminate(LONG)?.success());
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_none_ends_a_coordinator_at_once_and_is_named() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let started = sandbox.coordinator("coordinator", &["--otlp-endpoint", "collector:4318"]);
    let error = started.map(|_| ()).expect_err("it must not start");
    ensure!(error.to_string().contains("collector:4318"), "{error}");
    Ok(())
}
