//! Claims where plans are paced by the renders that queue: how many of them may queue, and which go all the same.

use anyhow::{Result, bail};
use atelier_coordinator::{Room, Store, StoreOptions};
use atelier_proto::job::Work;
use atelier_tests::Sandbox;
use sqlx::Executor;

/// Five requests whose plans are ready, with tags 10 to 50, and a render with tag 35 that queues. Seeds number the requests.
const FARM: &str = "
    INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'paced');
    INSERT INTO requests (id, tenant_id, body_sha256, model, prompt, seed, think, priority, max_rounds, direct_plan_sha256, direct_plan_bytes)
    SELECT gen_random_uuid(), id, sha256('body'), 'double', 'a cat', n, 'fast', 'normal', 1, sha256('plan'), 1
    FROM tenants, generate_series(1, 5) AS n WHERE name = 'paced';
    INSERT INTO jobs (id, request_id, position, kind, round, seed, priority, state, not_before, ready_at, fair_tag)
    SELECT gen_random_uuid(), id, 0, 'plan', 1, seed, 'normal', 'ready', now(), now(), 10 * seed FROM requests;
    INSERT INTO jobs (id, request_id, position, kind, round, stage, op, seed, priority, state, attempt, lease_until, ready_at, fair_tag)
    SELECT gen_random_uuid(), id, 1, 'render', 1, 'out', 'generate', 0, 'normal', 'dispatched', 1, now() + interval '1 hour', now(), 35
    FROM requests WHERE seed = 5;";

const ROOM: Room = Room {
    plan: 10,
    render: 10,
    critique: 10,
};

/// Claims, and says whose plans were claimed, in their order.
async fn claim(store: &Store, room: Room, paced: Option<u32>) -> Result<Vec<u64>> {
    let claim = store.claim(room, paced, 60_000).await?;
    let seed = |work| match work {
        Work::Plan(plan) => Ok(plan.seed),
        other => bail!("{other:?} is no plan"),
    };
    let claimed = claim.claimed.into_iter();
    claimed.map(|claimed| seed(claimed.offer.work)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn paced_plans_go_before_renders_that_queue_when_it_is_their_turn() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let store = Store::open(&StoreOptions {
        url: sandbox.database_url.clone(),
        connections: 4,
    })?;
    store.migrate().await?;
    sandbox.database().await?.execute(FARM).await?;
    let narrow = Room { plan: 2, ..ROOM };
    assert_eq!(
        claim(&store, narrow, Some(0)).await?,
        [1, 2],
        "no more than there is room for"
    );
    assert_eq!(
        claim(&store, ROOM, Some(0)).await?,
        [3],
        "those whose tags are below 35"
    );
    assert_eq!(
        claim(&store, ROOM, Some(3)).await?,
        [0; 0],
        "3 queue already"
    );
    assert_eq!(claim(&store, ROOM, Some(4)).await?, [4]);
    assert_eq!(claim(&store, ROOM, None).await?, [5], "nothing paces them");
    Ok(())
}
