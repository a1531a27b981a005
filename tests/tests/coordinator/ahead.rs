//! Jobs that leave ahead of the commit that makes them ready, as they do while a coordinator is alone, and what becomes of them when it does not come.

use std::{pin::pin, time::Duration};

use anyhow::{Result, bail, ensure};
use atelier_proto::{
    RequestId, decode,
    job::{JobKind, JobOffer, Work},
    report::{Outcome, ReportAnswer},
    signal::Cancel,
};
use atelier_tests::{
    Coordinator, Sandbox,
    hand::{Hand, Taken, day_and_night, stage_of},
    in_time, prompt,
};
use futures::StreamExt;
use sqlx::{Executor, PgConnection};

const SOON: Duration = Duration::from_secs(10);

/// How long a job may take to come that is not held up.
const NOW: Duration = Duration::from_secs(1);

/// How often it is tried whether the coordinator knows by now that it is alone; it looks every 5 s.
const TRIES: usize = 20;

/// Whatever the coordinator is about to write into the rows that the test has locked.
const BREAK: &str = "
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'atelier-coordinator%' AND wait_event_type = 'Lock'";

struct Farm {
    coordinator: Coordinator,
    hand: Hand,
    database: PgConnection,
}

impl Farm {
    async fn start(sandbox: &Sandbox) -> Result<Self> {
        Ok(Self {
            coordinator: sandbox.coordinator("one", &[])?,
            hand: Hand::new(sandbox).await?,
            database: sandbox.database().await?,
        })
    }

    async fn lock(&mut self, request: RequestId) -> Result<()> {
        self.database.execute("BEGIN").await?;
        sqlx::query("SELECT FROM requests WHERE id = $1 FOR UPDATE")
            .bind(request.as_uuid())
            .execute(&mut self.database)
            .await?;
        Ok(())
    }

    /// Lets what waits for the lock happen.
    async fn unlock(&mut self) -> Result<()> {
        self.database.execute("ROLLBACK").await?;
        Ok(())
    }

    /// Breaks the connection that waits for the lock.
    async fn fail(&mut self) -> Result<()> {
        let other = &mut self.database;
        in_time("the commit is tried", SOON, async || {
            let broken: i64 = sqlx::query_scalar(BREAK).fetch_one(&mut *other).await?;
            Ok(broken > 0)
        })
        .await?;
        self.unlock().await
    }

    /// Reports while the request cannot be saved; the drawing that is published all the same, if one is.
    async fn ahead(&self, offer: &JobOffer, outcome: Outcome) -> Result<Option<Taken>> {
        let report = pin!(self.hand.report(offer, outcome));
        tokio::select! {
            answer = report => bail!("answered {:?} before the commit", answer?),
            next = self.hand.take(JobKind::Render, NOW) => Ok(next.ok()),
        }
    }

    async fn taken_back(&self, jobs: u64) -> Result<()> {
        let line = format!("atelier_jobs_taken_back_total {jobs}");
        in_time("they are taken back", SOON, async || {
            let metrics = self.coordinator.api.get("/metrics").await?.text().await?;
            Ok(metrics.lines().any(|found| found == line))
        })
        .await
    }
}

/// A request whose plan is reported and not saved, with the drawing that came ahead.
async fn begun(farm: &mut Farm) -> Result<(RequestId, Taken, Taken)> {
    for _ in 0..TRIES {
        let request = farm.coordinator.api.submit(&prompt("a city")).await?.id;
        let plan = farm.hand.next(JobKind::Plan).await?;
        let planned = farm.hand.planned(day_and_night(0)).await?;
        farm.lock(request).await?;
        if let Some(day) = farm.ahead(&plan.offer, planned.clone()).await? {
            return Ok((request, plan, day));
        }
        farm.unlock().await?;
        // Saved by now, or by this one.
        farm.hand.report(&plan.offer, planned).await?;
        plan.delivery.done().await;
        farm.coordinator.api.cancel(request).await?;
    }
    bail!("no job came ahead of its commit")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_ahead_of_a_commit_that_fails_is_taken_back_and_never_mistaken() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut farm = Farm::start(&sandbox).await?;
    let (request, plan, lost) = begun(&mut farm).await?;
    farm.fail().await?;
    farm.taken_back(1).await?;
    let view = farm.coordinator.api.view(request).await?;
    ensure!(view.jobs.len() == 1 && view.jobs[0].state == "dispatched");
    // Whoever began with it has worked in vain: there is no such job.
    let drawn = farm.hand.rendered(1).await?;
    let answer = farm.hand.report(&lost.offer, drawn).await?;
    assert_eq!(answer, ReportAnswer::Refused);
    lost.delivery.done().await;

    let planned = farm.hand.planned(day_and_night(0)).await?;
    farm.hand.finish(plan, planned).await?;
    let day = farm.hand.next(JobKind::Render).await?;
    assert_ne!(day.offer.job, lost.offer.job);

    // The night was made with the plan and waits for the day, so that its first attempt has the same number whenever it is published.
    farm.lock(request).await?;
    let drawn = farm.hand.rendered(10).await?;
    let Some(early) = farm.ahead(&day.offer, drawn).await? else {
        bail!("the night did not come ahead")
    };
    assert_eq!(stage_of(&early.offer)?.0, "night");
    farm.fail().await?;
    farm.taken_back(2).await?;
    let outcome = farm.hand.rendered(11).await?;
    let report = farm.hand.report(&early.offer, outcome.clone());
    let answer = tokio::time::timeout(NOW, report).await;
    assert!(answer.is_err(), "its commit may come yet: {answer:?}");
    // Meanwhile the day comes, but as another picture.
    farm.hand.finish(day, farm.hand.rendered(12).await?).await?;
    let night = farm.hand.next(JobKind::Render).await?;
    let number = |offer: &JobOffer| (offer.job, offer.attempt);
    assert_eq!(number(&night.offer), number(&early.offer));
    assert_ne!(inputs(&night.offer), inputs(&early.offer));
    let answer = farm.hand.report(&early.offer, outcome).await?;
    assert_eq!(answer, ReportAnswer::Superseded, "made from another day");
    early.delivery.done().await;
    farm.hand
        .finish(night, farm.hand.rendered(13).await?)
        .await?;
    let view = farm.coordinator.api.succeeded(request, SOON).await?;
    let Outcome::Rendered { image, .. } = farm.hand.rendered(13).await? else {
        unreachable!()
    };
    assert_eq!(view.image, Some(image));
    assert!(view.jobs.iter().all(|job| job.attempt == 1));
    farm.hand.nothing(JobKind::Render, NOW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_there_before_the_commit_counts_after_it() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut farm = Farm::start(&sandbox).await?;
    let (request, plan, lost) = begun(&mut farm).await?;
    farm.fail().await?;
    lost.delivery.done().await;
    let planned = farm.hand.planned(day_and_night(0)).await?;
    farm.hand.finish(plan, planned).await?;
    let day = farm.hand.next(JobKind::Render).await?;
    farm.lock(request).await?;
    let drawn = farm.hand.rendered(10).await?;
    let Some(night) = farm.ahead(&day.offer, drawn.clone()).await? else {
        bail!("the night did not come ahead")
    };
    farm.fail().await?;
    // Drawn before it was known; then the day is reported once more, as it was.
    let outcome = farm.hand.rendered(11).await?;
    let early = farm.hand.report(&night.offer, outcome);
    let again = async {
        tokio::time::sleep(NOW).await;
        farm.hand.finish(day, drawn).await
    };
    let (answer, again) = tokio::join!(early, again);
    again?;
    assert_eq!(answer?, ReportAnswer::Committed);
    night.delivery.done().await;
    farm.coordinator.api.succeeded(request, SOON).await?;
    Ok(())
}

/// A worker may begin with what came ahead before its request is canceled, which is then what keeps it from being saved.
#[tokio::test(flavor = "multi_thread")]
async fn who_draws_what_was_never_saved_of_a_canceled_request_is_told_so_again() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut farm = Farm::start(&sandbox).await?;
    let (request, _plan, lost) = begun(&mut farm).await?;
    farm.fail().await?;
    farm.taken_back(1).await?;
    farm.coordinator.api.cancel(request).await?;
    // This one did not hear it.
    let subject = farm.hand.bus.names().cancel();
    let mut cancels = farm.hand.bus.subscribe(subject, None).await?;
    in_time("it is told again", SOON, async || {
        farm.hand.progress(&lost.offer, 1, 200).await?;
        let Ok(Some(message)) = tokio::time::timeout(NOW, cancels.next()).await else {
            return Ok(false);
        };
        let canceled: Cancel = decode(&message.payload)?.body;
        Ok(canceled.request == request)
    })
    .await
}

fn inputs(offer: &JobOffer) -> Vec<atelier_proto::Sha256> {
    match &offer.work {
        Work::Render(work) => work.inputs.iter().map(|input| input.sha256).collect(),
        _ => Vec::new(),
    }
}
