//! What the coordinator says of itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use atelier_proto::http::{Health, PartState, Readiness};
use atelier_tests::{Api, Sandbox, Wire, in_time};
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

/// A wire to the server that a URL names, and the URL of the wire.
async fn wired(url: &str) -> Result<(Wire, String)> {
    let (before, after) = url.rsplit_once(':').context("a URL with a port")?;
    let (port, path) = match after.split_once('/') {
        Some((port, path)) => (port, format!("/{path}")),
        None => (after, String::new()),
    };
    let wire = Wire::to(port.parse()?).await?;
    let url = format!("{before}:{}{path}", wire.port());
    Ok((wire, url))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_makes_it_unready_until_it_is_back() -> Result<()> {
    let mut sandbox = Sandbox::start().await?;
    let (database, database_url) = wired(&sandbox.database_url).await?;
    let (nats, nats_url) = wired(&sandbox.nats_url).await?;
    let of_the_test = std::mem::replace(&mut sandbox.database_url, database_url);
    sandbox.nats_url = nats_url;
    let coordinator = sandbox.coordinator("one", &[])?;
    sandbox.database_url = of_the_test;
    let api = &coordinator.api;
    let all = [
        ("database", PartState::Ok),
        ("nats", PartState::Ok),
        ("stream", PartState::Ok),
        ("store", PartState::Ok),
    ];
    ready(api, StatusCode::OK, all).await?;
    // What was connected breaks, and nobody answers who comes again. Without NATS there is no stream, either.
    for (wire, away) in [(&database, &["database"][..]), (&nats, &["nats", "stream"])] {
        wire.hold();
        wire.cut();
        in_time("it is missed", Duration::from_secs(40), async || {
            let answer = api.get("/readyz").await?;
            let status = answer.status();
            let readiness: Readiness = answer.json().await?;
            let missed = readiness
                .parts
                .iter()
                .filter(|part| part.state != PartState::Ok);
            let missed: Vec<_> = missed.map(|part| part.name.as_str()).collect();
            ensure!(
                missed == away && !readiness.ready && status == StatusCode::SERVICE_UNAVAILABLE,
                "{status}: {readiness:?}"
            );
            Ok(true)
        })
        .await?;
        // A new start would not bring it back.
        assert_eq!(api.get("/healthz").await?.status(), StatusCode::OK);
        wire.release();
        ready(api, StatusCode::OK, all).await?;
    }
    Ok(())
}
