//! A farm that does everything at least some times: submits one by one and at once, views, lists, files, cancels, retries, failures, waiting.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use atelier_proto::{
    http::{RequestState, SubmitRequest},
    job::Think,
    webhook::Webhook,
};
use atelier_tests::{Api, Coordinator, Sandbox, Worker, in_time, prompt};
use futures::future::try_join_all;
use reqwest::StatusCode;
use sqlx::PgConnection;

const LONG: Duration = Duration::from_secs(60);
/// Longer than the time between two looks of reconcile at traces and counts.
const SEVERAL_LOOKS: Duration = Duration::from_secs(6);

pub struct Farm {
    coordinators: [Coordinator; 2],
    worker: Worker,
}

impl Farm {
    pub fn start(sandbox: &Sandbox) -> Result<Self> {
        // Deletion goes over everything, on purpose, and is not what is looked at here.
        let options = ["--sweep-every-s", "86400", "--lease-ms", "2000"];
        let coordinators = [
            sandbox.coordinator("one", &options)?,
            sandbox.coordinator("two", &options)?,
        ];
        let worker = sandbox.worker("worker", &[])?;
        let mut farm = Self {
            coordinators,
            worker,
        };
        farm.stop()?;
        Ok(farm)
    }

    /// The coordinators; the worker comes later.
    pub fn restart(&mut self) -> Result<()> {
        self.coordinators
            .iter_mut()
            .try_for_each(Coordinator::restart)
    }

    pub fn stop(&mut self) -> Result<()> {
        self.worker.program.terminate(LONG)?;
        for coordinator in &mut self.coordinators {
            coordinator.program.terminate(LONG)?;
        }
        Ok(())
    }

    /// Does everything at least some times; `database` is a connection whose statements are not logged.
    pub async fn work(&mut self, database: &mut PgConnection) -> Result<()> {
        let started = Instant::now();
        let [one, two] = self.coordinators.each_ref().map(|one| one.api.clone());
        // Some wait in the stream, and some, for longer than a lease, in the database.
        let mut waiting = Vec::new();
        for number in 0..12 {
            waiting.push(one.submit(&wanted(number)).await?.id);
        }
        leases_ran_out(database).await?;
        for id in &waiting[8..] {
            two.cancel(*id).await?;
        }
        self.worker.restart()?;
        for id in &waiting[..8] {
            two.succeeded(*id, LONG).await?;
        }
        let mut round = 0;
        while round < 3 || started.elapsed() < SEVERAL_LOOKS {
            alone(&one, &two, round).await?;
            at_once(&one, &two, round).await?;
            round += 1;
        }
        Ok(())
    }
}

/// Waits until the leases of all that is in the stream would have run out, had nobody extended them.
async fn leases_ran_out(database: &mut PgConnection) -> Result<()> {
    let dispatched = "SELECT extract(epoch FROM min(lease_until))::float8, extract(epoch FROM max(lease_until))::float8, extract(epoch FROM now())::float8
         FROM jobs WHERE state = 'dispatched'";
    let mut first = None;
    in_time("leases are extended", LONG, async || {
        let (soonest, latest, now): (Option<f64>, Option<f64>, f64) =
            sqlx::query_as(dispatched).fetch_one(&mut *database).await?;
        let ends = first.or(latest).context("nothing is dispatched")?;
        first = Some(ends);
        Ok(now > ends && soonest.is_some_and(|soonest| soonest > ends))
    })
    .await
}

fn wanted(number: u64) -> SubmitRequest {
    let mut wanted = prompt("a cat and a red balloon");
    wanted.seed = Some(number);
    wanted
}

/// One user, who does one thing after the other.
async fn alone(one: &Api, two: &Api, round: u64) -> Result<()> {
    let body = wanted(round);
    let key = format!("round {round} of {}", uuid::Uuid::now_v7());
    let mut ids = Vec::new();
    for api in [one, two] {
        let answer = api.post("/v1/requests", &body, Some(&key)).await?;
        let view: atelier_proto::http::RequestView = answer.json().await?;
        ids.push(view.id);
    }
    assert_eq!(ids[0], ids[1], "one key, one request");
    let id = ids[0];
    two.succeeded(id, LONG).await?;
    for api in [one, two] {
        api.view(id).await?;
        api.picture(id).await?;
        api.trace(id).await?;
        for path in [
            "/v1/requests?limit=20",
            "/v1/requests?state=succeeded&limit=20",
            "/v1/requests?state=failed",
        ] {
            assert_eq!(api.get(path).await?.status(), StatusCode::OK);
        }
        let next = format!("/v1/requests?limit=20&before={id}");
        assert_eq!(api.get(&next).await?.status(), StatusCode::OK);
        assert_eq!(api.events(id).await?.status(), StatusCode::OK);
    }
    let mut impossible = prompt("a cat [impossible:render]");
    impossible.think = Think::Off;
    // Tried, and refused by its address; of the one that is asked for again, too.
    impossible.webhook = Some(Webhook {
        url: "https://localhost:9/".into(),
        secret: None,
    });
    let failed = one.submit(&impossible).await?.id;
    let failed = two.ended(failed, LONG).await?;
    assert_eq!(failed.state, RequestState::Failed);
    let path = format!("/v1/requests/{}/retry", failed.id);
    let again = one.post(&path, &serde_json::json!({}), None).await?;
    assert!(again.status().is_success(), "{}", again.status());

    let mut slow = wanted(round);
    slow.prompt = "a cat [slow:100]".into();
    let slow = one.submit(&slow).await?.id;
    in_time("it is drawn", LONG, async || {
        let view = two.view(slow).await?;
        Ok(view.jobs.iter().any(|job| job.state == "dispatched"))
    })
    .await?;
    two.cancel(slow).await.context("cancel")?;
    Ok(())
}

/// Many users, so that several submits and reports share a statement.
async fn at_once(one: &Api, two: &Api, round: u64) -> Result<()> {
    let submits = (0..12).map(|number| async move {
        let api = if number % 2 == 0 { one } else { two };
        let id = api.submit(&wanted(1_000 * round + number)).await?.id;
        api.succeeded(id, LONG).await
    });
    try_join_all(submits).await?;
    Ok(())
}
