use std::time::Duration;

use anyhow::Result;
use atelier_domain::fair::{Lane, Turn};
use atelier_proto::{
    JobId, RequestId,
    http::SubmitRequest,
    job::{JobKind, Priority, Think},
};
use atelier_tests::{Api, Sandbox, in_time, prompt};
use futures::future::try_join_all;
use sqlx::PgConnection;
use uuid::Uuid;

use atelier_tests::hand::Hand;

/// Jobs that are in the stream before any worker is heard: they were dispatched before others came.
const AHEAD: usize = 4;

fn direct(priority: Priority) -> SubmitRequest {
    SubmitRequest {
        think: Think::Off,
        priority,
        ..prompt("a cat")
    }
}

async fn submit(api: &Api, requests: usize) -> Result<Vec<RequestId>> {
    let wanted = direct(Priority::Normal);
    let mut ids = Vec::new();
    while ids.len() < requests {
        let some = (ids.len()..requests).take(50).map(|_| api.submit(&wanted));
        ids.extend(try_join_all(some).await?.into_iter().map(|view| view.id));
    }
    Ok(ids)
}

/// Takes and finishes the next jobs; which requests and jobs they were.
async fn draw(hand: &Hand, jobs: usize) -> Result<Vec<(RequestId, JobId)>> {
    let mut drawn = Vec::new();
    for _ in 0..jobs {
        let job = hand.next(JobKind::Render).await?;
        drawn.push((job.offer.request, job.offer.job));
        hand.finish(job, hand.rendered(1).await?).await?;
    }
    Ok(drawn)
}

fn count(drawn: &[(RequestId, JobId)], of: &[RequestId]) -> usize {
    drawn.iter().filter(|(id, _)| of.contains(id)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_requests_do_not_wait_for_three_hundred_of_another_tenant() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let small = coordinator.api.with_key(Some(&sandbox.key_of("small")?))?;
    submit(&coordinator.api, 300).await?;
    let few = submit(&small, 5).await?;
    let hand = Hand::new(&sandbox).await?;
    // Turn by turn: two of the five may come after one of the many each.
    let drawn = draw(&hand, AHEAD + 10).await?;
    assert_eq!(count(&drawn, &few), 5, "{drawn:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_weight_three_gets_three_times_as_much() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let large = coordinator.api.with_key(Some(&sandbox.key_of("large")?))?;
    sandbox.administer(&["tenant", "set", "large", "--weight", "3"])?;
    let one = submit(&coordinator.api, 30).await?;
    let three = submit(&large, 30).await?;
    let hand = Hand::new(&sandbox).await?;
    draw(&hand, AHEAD).await?;
    let drawn = draw(&hand, 24).await?;
    let (one, three) = (count(&drawn, &one), count(&drawn, &three));
    assert!(
        (5..=7).contains(&one) && one + three == 24,
        "{one} and {three}"
    );
    Ok(())
}

/// The ready jobs as the database has them, in the order in which they must be taken.
async fn expected(database: &mut PgConnection) -> Result<Vec<JobId>> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT id, fair_tag FROM jobs WHERE state = 'ready'")
            .fetch_all(database)
            .await?;
    let mut lane = Lane::default();
    for (id, tag) in rows {
        lane.push(Turn {
            tag: tag.unsigned_abs(),
            id: JobId::from_uuid(id),
        });
    }
    Ok(std::iter::from_fn(|| lane.pop().map(|turn| turn.id)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_taken_in_the_order_that_the_domain_defines() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let other = coordinator.api.with_key(Some(&sandbox.key_of("other")?))?;
    sandbox.administer(&["tenant", "set", "other", "--weight", "2"])?;
    for index in 0..48 {
        let api = if index % 5 < 2 {
            &other
        } else {
            &coordinator.api
        };
        let priority = Priority::ALL[index % 3];
        api.submit(&direct(priority)).await?;
    }
    let hand = Hand::new(&sandbox).await?;
    let mut database = sandbox.database().await?;
    let expected = expected(&mut database).await?;
    assert_eq!(expected.len(), 48 - AHEAD);
    draw(&hand, AHEAD).await?;
    let drawn = draw(&hand, expected.len()).await?;
    let drawn: Vec<JobId> = drawn.into_iter().map(|(_, job)| job).collect();
    assert_eq!(drawn, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_job_is_passed_by_sixteen_interactive_ones_and_no_more() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    submit(&coordinator.api, AHEAD).await?;
    let mut database = sandbox.database().await?;
    let ready = "SELECT count(*) FROM jobs WHERE state = 'ready'";
    in_time("all are published", Duration::from_secs(20), async || {
        let left: i64 = sqlx::query_scalar(ready).fetch_one(&mut database).await?;
        Ok(left == 0)
    })
    .await?;
    // The first of each are equals; what comes after is the second batch job.
    let mut batch = Vec::new();
    for _ in 0..2 {
        batch.push(coordinator.api.submit(&direct(Priority::Batch)).await?.id);
    }
    for _ in 0..24 {
        coordinator
            .api
            .submit(&direct(Priority::Interactive))
            .await?;
    }
    let hand = Hand::new(&sandbox).await?;
    draw(&hand, AHEAD).await?;
    let drawn = draw(&hand, 26).await?;
    let turns: Vec<_> = batch
        .iter()
        .map(|id| drawn.iter().position(|(drawn, _)| drawn == id))
        .collect();
    assert_eq!(turns, [Some(1), Some(18)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_go_on_over_a_restart_and_with_another_coordinator() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut one = sandbox.coordinator("one", &[])?;
    let small = sandbox.key_of("small")?;
    submit(&one.api, 40).await?;
    let hand = Hand::new(&sandbox).await?;
    draw(&hand, 10).await?;
    one.program.kill()?;
    one.restart()?;
    let two = sandbox.coordinator("two", &[])?;
    // A tenant that was idle starts where the others are, neither before nor behind all of them.
    let few = submit(&two.api.with_key(Some(&small))?, 5).await?;
    // Of 35 jobs that are left; both coordinators may have published some of the many before they heard of the few.
    let drawn = draw(&hand, 2 * AHEAD + 10).await?;
    assert_eq!(count(&drawn, &few), 5, "{drawn:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_that_write_at_once_count_alike() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinators = [
        sandbox.coordinator("one", &[])?,
        sandbox.coordinator("two", &[])?,
    ];
    let keys = [
        sandbox.key_of("a")?,
        sandbox.key_of("b")?,
        sandbox.key_of("c")?,
    ];
    let mut callers = Vec::new();
    for coordinator in &coordinators {
        for key in &keys {
            callers.push(coordinator.api.with_key(Some(key))?);
        }
    }
    // Every tenant at both coordinators, submits and ends at the same time.
    let work = callers.iter().map(|api| async move {
        for _ in 0..4 {
            let ids = submit(api, 10).await?;
            try_join_all(ids.iter().step_by(2).map(|id| api.cancel(*id))).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(work).await?;
    let listed = sandbox.administer(&["tenant", "list"])?;
    for tenant in ["a", "b", "c"] {
        let line = format!("{tenant}  weight 1  active 40  limit default");
        assert!(listed.lines().any(|listed| listed == line), "{listed}");
    }
    let mut database = sandbox.database().await?;
    // Everything that was accepted got a tag of its own.
    let twins: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM requests GROUP BY tenant_id, priority, fair_tag HAVING count(*) > 1) AS twins",
    )
    .fetch_one(&mut database)
    .await?;
    assert_eq!(twins, 0);
    Ok(())
}
