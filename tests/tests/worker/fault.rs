//! Engines that fail, panic, or must not be chosen.

use std::{process::Command, time::Duration};

use anyhow::Result;
use atelier_proto::report::Outcome;
use atelier_tests::Sandbox;

use crate::desk::{Desk, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_whether_another_attempt_may_do_better() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &[])?;
    for (prompt, wanted) in [
        ("a cat [fail:plan]", true),
        ("a cat [impossible:plan]", false),
    ] {
        desk.offer(&offer(plan_work(prompt))).await?;
        let outcome = desk.report().await?.outcome;
        assert!(matches!(outcome, Outcome::Failed { retry, .. } if retry == wanted));
    }
    desk.empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_reported_before_the_worker_ends_with_failure() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let mut worker = sandbox.worker("worker", &[])?;
    desk.offer(&offer(plan_work("a cat [panic:plan]"))).await?;
    let outcome = desk.report().await?.outcome;
    let wanted = Outcome::Failed {
        reason: "the engine panicked: told to panic".into(),
        retry: true,
    };
    assert_eq!(outcome, wanted);
    desk.empty().await?;
    while worker.program.is_running() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Nothing is left to it but the exit code.
    assert!(!worker.program.terminate(Duration::from_secs(1))?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_makes_no_step_fails_its_attempt_and_ends_the_worker() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    // Slow steps are none of its business as long as there are any.
    let arguments = ["--step-timeout-ms", "1500", "--drain-ms", "5000"];
    let mut worker = sandbox.worker("worker", &arguments)?;
    let slow = desk.render("a cat [slow:400]", 8).await?;
    desk.offer(&slow).await?;
    let outcome = desk.report().await?.outcome;
    assert!(matches!(outcome, Outcome::Rendered { .. }), "{outcome:?}");

    let hangs = desk.render("a cat [hang:render]", 8).await?;
    desk.offer(&hangs).await?;
    let report = desk.report().await?;
    assert_eq!(report.job, hangs.job);
    let wanted = Outcome::Failed {
        reason: "the device made no step for 1.5 s".into(),
        retry: true,
    };
    assert_eq!(report.outcome, wanted);
    desk.empty().await?;
    while worker.program.is_running() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = worker.program.terminate(Duration::from_secs(1))?;
    assert_eq!(status.code(), Some(3));
    assert!(worker.program.log().contains("THE DEVICE HANGS"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_double_needs_more_than_a_flag() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let ended = Command::new(sandbox.binary("atelier-worker")?)
        .args(["--engine", "double", "--nats-url", &sandbox.nats_url])
        .args([
            "--store-url",
            &sandbox.store_url,
            "--prefix",
            &sandbox.prefix,
        ])
        .env_remove("ATELIER_ALLOW_TEST_DOUBLE")
        .output()?;
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("ATELIER_ALLOW_TEST_DOUBLE=1"), "{said}");
    Ok(())
}
