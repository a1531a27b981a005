//! Admission: whose turn a new request has among those of all tenants, and whether its tenant's queue has room for it.

use std::collections::BTreeMap;

use atelier_domain::{
    Millis,
    fair::{Shares, Tag, Weight},
};
use atelier_proto::{TenantId, job::Priority};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{super::job_row::Rank, QueueSeen, StoreError, Submission};

/// What a request costs its tenant: all the same, since how much work it is shows only on the way.
const COST: u32 = 1;
/// Reads what the next requests of the tenants in `$1` depend on. What ended in this very moment may still be counted as active.
macro_rules! queues {
    ($lock:literal) => {
        concat!(
            "
    SELECT q.tenant_id, q.accepted, q.interactive_tag, q.normal_tag, q.batch_tag, t.weight, t.queue_limit,
           coalesce((SELECT sum(e.ended) FROM tenant_endings e WHERE e.tenant_id = q.tenant_id), 0)::bigint AS ended,
           (extract(epoch FROM now()) * 1000)::bigint AS now,
           clock.tag AS clock
    FROM tenant_queues q
    JOIN tenants t ON t.id = q.tenant_id
    CROSS JOIN (
        -- The clock as the next claim will move it.
        SELECT greatest(
            (SELECT min(first.fair_tag)
             FROM (VALUES ('plan'), ('render'), ('critique')) AS k(kind)
             CROSS JOIN LATERAL (
                SELECT fair_tag FROM jobs WHERE state = 'ready' AND kind = k.kind ORDER BY fair_tag LIMIT 1
             ) AS first),
            (SELECT tag FROM fair_clock)) AS tag
    ) AS clock
    WHERE q.tenant_id = ANY($1)
    ORDER BY q.tenant_id",
            $lock
        )
    };
}

const LOOK: &str = queues!("");

/// Keeps others from moving the queues, locked in one order.
const LOCK: &str = queues!(
    "
    FOR NO KEY UPDATE OF q"
);

#[derive(FromRow)]
struct QueueRow {
    tenant_id: Uuid,
    accepted: i64,
    interactive_tag: i64,
    normal_tag: i64,
    batch_tag: i64,
    weight: i32,
    queue_limit: Option<i64>,
    ended: i64,
    now: i64,
    clock: i64,
}

/// How queues are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As they are now. What is written then fails when somebody else moves one.
    Free,
    /// Nobody else moves them until the end of the transaction.
    Locked,
}

/// A tenant's queue as it was looked at.
struct Queue {
    /// Requests that it ever took, which is what changes whenever it moves.
    accepted: i64,
    weight: Weight,
    active: u64,
    limit: u64,
}

/// Queues as they were looked at, and the clock.
pub(super) struct Admission {
    pub now: Millis,
    queues: BTreeMap<TenantId, Queue>,
    shares: Shares<TenantId>,
    pub seen: Vec<QueueSeen>,
}

impl Admission {
    /// Looks at the queues of whoever submits.
    pub(super) async fn begin(
        connection: &mut PgConnection,
        look: Look,
        submissions: &[Submission],
        default_limit: u64,
    ) -> Result<Self, StoreError> {
        let mut tenants: Vec<Uuid> = submissions.iter().map(|one| one.tenant.as_uuid()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        let statement = match look {
            Look::Free => LOOK,
            Look::Locked => LOCK,
        };
        let rows: Vec<QueueRow> = sqlx::query_as(statement)
            .bind(&tenants)
            .fetch_all(connection)
            .await?;
        let mut admission = Self {
            now: 0,
            queues: BTreeMap::new(),
            shares: Shares::default(),
            seen: Vec::new(),
        };
        for row in rows {
            admission.add(&row, default_limit);
        }
        Ok(admission)
    }

    fn add(&mut self, row: &QueueRow, default_limit: u64) {
        let tenant = TenantId::from_uuid(row.tenant_id);
        self.now = row.now.unsigned_abs();
        self.shares.see(row.clock.unsigned_abs());
        for (priority, finish) in [
            (Priority::Interactive, row.interactive_tag),
            (Priority::Normal, row.normal_tag),
            (Priority::Batch, row.batch_tag),
        ] {
            self.shares.resume(tenant, priority, finish.unsigned_abs());
        }
        let queue = Queue {
            accepted: row.accepted,
            weight: Weight::new(row.weight.unsigned_abs()).unwrap_or(Weight::ONE),
            active: (row.accepted - row.ended).max(0).unsigned_abs(),
            limit: row.queue_limit.map_or(default_limit, i64::unsigned_abs),
        };
        self.queues.insert(tenant, queue);
        self.seen.push(QueueSeen {
            tenant,
            ended: row.ended.unsigned_abs(),
            at: self.now,
        });
    }

    /// Whose turn a request has that is accepted now, and where the tenant's next one starts; none when the queue is full.
    pub(super) fn admit(&mut self, submission: &Submission) -> Option<(Rank, Tag)> {
        let (tenant, priority) = (submission.tenant, submission.priority);
        let queue = self.queues.get_mut(&tenant)?;
        if queue.active >= queue.limit {
            return None;
        }
        queue.active += 1;
        let fair_tag = self.shares.admit(tenant, priority, COST, queue.weight);
        let rank = Rank { priority, fair_tag };
        Some((rank, self.shares.finish(tenant, priority)))
    }

    /// How many requests each queue had taken when it was looked at.
    pub(super) fn fences(&self) -> (Vec<Uuid>, Vec<i64>) {
        let queues = self.queues.iter();
        queues
            .map(|(tenant, queue)| (tenant.as_uuid(), queue.accepted))
            .unzip()
    }

    pub(super) fn limit(&self, tenant: TenantId) -> u64 {
        self.queues.get(&tenant).map_or(0, |queue| queue.limit)
    }
}
