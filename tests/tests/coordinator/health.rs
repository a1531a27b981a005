//! What the coordinator says of itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use atelier_proto::http::{Health, PartState, Readiness};
use atelier_tests::{Api, Sandbox};
use reqwest::StatusCode;

const LOOPS: [&str; 12] = [
    "cancels",
    "collect",
    "dispatch",
    "intake",
    "liveness",
    "notices",
    "queue",
    "reconcile",
    "registry",
    "retire",
    "traces",
    "webhooks",
];

/// Asks until the parts are as wanted.
async fn ready(api: &Api, status: StatusCode, wanted: [(&str, PartState); 4]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = api.get("/readyz").await?;
        let found = answer.status();
        let readiness: Readiness = answer.json().await?;
        let parts = readiness
            .parts
            .iter()
            .map(|part| (part.name.as_str(), part.state));
        if found == status && parts.eq(wanted) {
            assert_eq!(readiness.ready, status == StatusCode::OK);
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{found}: {readiness:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_loop_turns_also_when_there_is_nothing_to_do() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let started = Instant::now();
    // For longer than a loop that waits is silent.
    while started.elapsed() < Duration::from_secs(3) {
        let answer = coordinator.api.get("/healthz").await?;
        assert_eq!(answer.status(), StatusCode::OK);
        let health: Health = answer.json().await?;
        let mut names: Vec<_> = health.loops.iter().map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        assert!(health.ok);
        if started.elapsed() > Duration::from_secs(1) {
            assert_eq!(names, LOOPS);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let health: Health = coordinator.api.get("/healthz").await?.json().await?;
    // Without being woken while they wait, all of them would be about as old as the process.
    let turned = health.loops.iter().filter(|one| one.age_s < 2.0).count();
    assert!(turned >= LOOPS.len() - 1, "{health:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_the_part_that_fails() -> Result<()> {
    use PartState::{Failed, Ok as Good};
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let all = |store| {
        [
            ("database", Good),
            ("nats", Good),
            ("stream", Good),
            ("store", store),
        ]
    };
    ready(api, StatusCode::OK, all(Good)).await?;
    let (objects, away) = (
        sandbox.folder().join("objects"),
        sandbox.folder().join("away"),
    );
    std::fs::rename(&objects, &away)?;
    std::fs::write(&objects, "no folder")?;
    ready(api, StatusCode::SERVICE_UNAVAILABLE, all(Failed)).await?;
    // That is nothing which a new start would mend.
    assert_eq!(api.get("/healthz").await?.status(), StatusCode::OK);
    std::fs::remove_file(&objects)?;
    std::fs::rename(&away, &objects)?;
    ready(api, StatusCode::OK, all(Good)).await?;

    // Without its stream NATS is of no use.
    let client = async_nats::connect(&sandbox.nats_url).await?;
    let names = atelier_proto::subject::Names::new(&sandbox.prefix)?;
    let jetstream = async_nats::jetstream::new(client);
    let gone = async {
        loop {
            // The coordinator makes it again, within a second.
            jetstream.delete_stream(names.jobs_stream()).await.ok();
            let readiness: Readiness = api.get("/readyz").await?.json().await?;
            if !readiness.ready {
                return anyhow::Ok(readiness);
            }
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(20), gone).await??;
    assert_eq!(gone.parts[2].state, Failed, "{gone:?}");
    ready(api, StatusCode::OK, all(Good)).await
}
