//! Making requests durable, many in one commit, each with its turn among those of all tenants.

mod admission;
mod insert;

use std::{cell::LazyCell, collections::HashMap, sync::Arc};

use admission::{Admission, Look};
use atelier_domain::{Event, Job, JobState, Millis, NewRequest, Policy, Request};
use atelier_proto::{
    RequestId, Sha256, TenantId, TraceContext,
    job::{JobKind, NamedReference, Priority, Size},
};
use insert::{Admitted, Made, insert};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{
    Claimed, Store, StoreError, WebhookOrder,
    clock::rounded_ms,
    history::History,
    notices::notify,
    offer::offer,
    request_row::{Spec, sha256},
    unit::Loaded,
    webhooks,
};

/// A request that passed every check, its pictures and direct plan stored.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose it is.
    pub tenant: TenantId,
    /// What the state machine starts from.
    pub start: NewRequest,
    /// The caller's own name for this submit.
    pub idempotency_key: Option<String>,
    /// Digest of the submitted body.
    pub body_sha256: Sha256,
    /// The submitter's trace, if it brought one.
    pub brought: Option<TraceContext>,
    /// Model that will work on it.
    pub model: String,
    /// What to draw.
    pub prompt: String,
    /// How urgent.
    pub priority: Priority,
    /// Denoise steps.
    pub steps: Option<u32>,
    /// Size in pixels.
    pub size: Option<Size>,
    /// Most tokens of a free thought.
    pub think_tokens: Option<u32>,
    /// Whether what was made before may be used.
    pub use_cache: bool,
    /// The user's own pictures.
    pub pictures: Vec<NamedReference>,
    /// Who is told of its end.
    pub webhook: Option<WebhookOrder>,
}

impl Submission {
    fn spec(&self) -> Spec {
        Spec {
            prompt: self.prompt.clone(),
            think: self.start.think,
            think_tokens: self.think_tokens,
            priority: self.priority,
            steps: self.steps,
            size: self.size,
            keep_for: self.use_cache.then_some(self.tenant),
            pictures: self.pictures.clone(),
            brought: self.brought,
        }
    }
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable under this id.
    New(RequestId),
    /// It was submitted before, under this id.
    Known(RequestId),
    /// Its idempotency key stands for another body.
    KeyTaken,
    /// Its tenant has as many active requests as it may have. Nothing was written.
    QueueFull {
        /// How many.
        limit: u64,
    },
}

/// What became of some submissions.
#[derive(Clone, Debug, PartialEq)]
pub struct Intake {
    /// Of each, in their order.
    pub accepted: Vec<Accepted>,
    /// When the new ones were created, which is later than their queues were looked at, in milliseconds since 1970; 0 with none.
    pub created_ms: i64,
    /// The queues of their tenants.
    pub queues: Vec<QueueSeen>,
    /// First jobs that were marked dispatched and have to be published now.
    pub dispatched: Vec<Claimed>,
    /// Kinds of the other first jobs, which are ready.
    pub ready: Vec<JobKind>,
}

/// What was seen of a tenant's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSeen {
    /// Whose.
    pub tenant: TenantId,
    /// Requests of it that ever ended.
    pub ended: u64,
    /// When.
    pub at: Millis,
}

#[derive(FromRow)]
struct Earlier {
    id: Uuid,
    tenant_id: Uuid,
    idempotency_key: String,
    body_sha256: Vec<u8>,
}

/// What a commit of submissions wrote.
struct Written<'a> {
    admission: Admission,
    /// Those that their tenants' queues had room for.
    admitted: Vec<Admitted<'a>>,
    made: Made,
}

impl<'a> Written<'a> {
    /// Those that were not there before.
    fn new_ones(&self) -> Vec<&Admitted<'a>> {
        let is_new = |one: &&Admitted| self.made.ids.contains(&one.request.id.as_uuid());
        self.admitted.iter().filter(is_new).collect()
    }
}

/// Begins the requests that there is room for, in their order, and writes them.
async fn write<'a>(
    connection: &mut PgConnection,
    mut admission: Admission,
    submissions: &'a [Submission],
    policy: &Policy,
    may: &mut impl FnMut(&Job) -> bool,
) -> Result<Written<'a>, StoreError> {
    let now = admission.now;
    let begin = |submission: &'a Submission| {
        let (rank, finish) = admission.admit(submission)?;
        let mut request = Request::start(submission.start.clone(), now);
        dispatch(&mut request, now, policy, may);
        Some(Admitted {
            submission,
            request,
            rank,
            finish,
        })
    };
    let admitted: Vec<_> = submissions.iter().filter_map(begin).collect();
    let made = insert(connection, &admission, &admitted).await?;
    Ok(Written {
        admission,
        admitted,
        made,
    })
}

/// Marks the first jobs that `may` be as dispatched.
fn dispatch(
    request: &mut Request,
    now: Millis,
    policy: &Policy,
    may: &mut impl FnMut(&Job) -> bool,
) {
    let chosen: Vec<_> = request
        .jobs
        .iter()
        .filter(|job| is_ready(job) && may(job))
        .map(|job| job.id)
        .collect();
    for job in chosen {
        let applied = request.apply(Event::Dispatched { job }, now, policy);
        debug_assert!(
            applied.is_ok_and(|effects| effects.is_empty()),
            "it was ready"
        );
    }
}

fn is_ready(job: &Job) -> bool {
    matches!(job.state, JobState::Ready { .. })
}

/// Kinds of the ready jobs of some requests, each once.
fn ready_kinds<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Vec<JobKind> {
    let mut kinds = Vec::new();
    let jobs = requests.into_iter().flat_map(|request| &request.jobs);
    for job in jobs.filter(|job| is_ready(job)) {
        if !kinds.contains(&job.kind) {
            kinds.push(job.kind);
        }
    }
    kinds
}

impl Store {
    /// Writes `submissions` with their first jobs in one commit; says in the same order what became of each. A tenant without a limit of its
    /// own may have `default_limit` active requests. First jobs that `may` be are marked dispatched at once.
    pub async fn accept(
        &self,
        submissions: &[Submission],
        default_limit: u64,
        policy: &Policy,
        mut may: impl FnMut(&Job) -> bool,
    ) -> Result<Intake, StoreError> {
        let written = match self
            .accept_alone(submissions, default_limit, policy, &mut may)
            .await
        {
            Ok(None) | Err(StoreError::Overtaken) => {
                self.accept_among_others(submissions, default_limit, policy, &mut may)
                    .await?
            }
            Ok(Some(written)) => written,
            Err(error) => return Err(error),
        };
        let new = written.new_ones();
        let ready = ready_kinds(new.iter().map(|one| &one.request));
        let Written {
            admission,
            admitted,
            made,
        } = &written;
        let created_ms = rounded_ms(made.created_us);
        let mut dispatched = Vec::new();
        for one in new {
            let spec = LazyCell::new(|| Arc::new(one.submission.spec()));
            for job in &one.request.jobs {
                if let JobState::Dispatched { lease_until, .. } = job.state {
                    let lease_ms = lease_until - admission.now;
                    dispatched.push(offer(&one.request, job, &spec, lease_ms)?);
                }
            }
            self.recent.offer(|| Loaded {
                request: one.request.clone(),
                version: 0,
                rank: one.rank,
                spec: (*spec).clone(),
                tenant: one.submission.tenant.as_uuid(),
                created_ms,
                finished_ms: None,
                places: HashMap::new(),
                history: Some(History::begin(
                    &one.submission.model,
                    made.created_us,
                    &one.request.jobs,
                )),
            });
        }
        let old: Vec<&Submission> = submissions
            .iter()
            .filter(|one| !made.ids.contains(&one.start.id.as_uuid()))
            .collect();
        let earlier = self.earlier(&old).await?;
        let is_admitted = |id: RequestId| admitted.iter().any(|one| one.request.id == id);
        let accepted = submissions
            .iter()
            .map(|submission| {
                let id = submission.start.id;
                if made.ids.contains(&id.as_uuid()) {
                    return Ok(Accepted::New(id));
                }
                match earlier.iter().find(|row| row.is_of(submission)) {
                    Some(row) => row.compare(submission.body_sha256),
                    // Deleted in between, which nothing does to young requests.
                    None if is_admitted(id) => Ok(Accepted::KeyTaken),
                    None => Ok(Accepted::QueueFull {
                        limit: admission.limit(submission.tenant),
                    }),
                }
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Intake {
            accepted,
            created_ms,
            queues: written.admission.seen,
            dispatched,
            ready,
        })
    }

    /// Writes them in one statement, which fails as overtaken when somebody else moved a queue meanwhile. None where there is more to write, or others to
    /// tell of it.
    async fn accept_alone<'a>(
        &self,
        submissions: &'a [Submission],
        default_limit: u64,
        policy: &Policy,
        may: &mut impl FnMut(&Job) -> bool,
    ) -> Result<Option<Written<'a>>, StoreError> {
        if self.others() || submissions.iter().any(|one| one.webhook.is_some()) {
            return Ok(None);
        }
        let mut connection = self.accepting.lend(&self.pool).await?;
        let admission =
            Admission::begin(&mut connection, Look::Free, submissions, default_limit).await?;
        let written = write(&mut connection, admission, submissions, policy, may).await?;
        connection.keep();
        Ok(Some(written))
    }

    /// Writes them while their queues are locked, with their webhooks, and tells other coordinators.
    async fn accept_among_others<'a>(
        &self,
        submissions: &'a [Submission],
        default_limit: u64,
        policy: &Policy,
        may: &mut impl FnMut(&Job) -> bool,
    ) -> Result<Written<'a>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let admission =
            Admission::begin(&mut transaction, Look::Locked, submissions, default_limit).await?;
        let written = write(&mut transaction, admission, submissions, policy, may).await?;
        let new = written.new_ones();
        if new.iter().any(|one| one.submission.webhook.is_some()) {
            let ordered: Vec<_> = new.iter().map(|one| one.submission).collect();
            webhooks::insert(&mut transaction, &ordered).await?;
        }
        if self.others() {
            let ready = ready_kinds(new.iter().map(|one| &one.request));
            notify(&mut transaction, &[], !ready.is_empty()).await?;
        }
        transaction.commit().await?;
        Ok(written)
    }

    /// Requests that have the idempotency keys of `submissions` already.
    async fn earlier(&self, submissions: &[&Submission]) -> Result<Vec<Earlier>, StoreError> {
        let (tenants, keys): (Vec<Uuid>, Vec<&str>) = submissions
            .iter()
            .filter_map(|one| Some((one.tenant.as_uuid(), one.idempotency_key.as_deref()?)))
            .unzip();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        Ok(sqlx::query_as(
            "SELECT r.id, r.tenant_id, r.idempotency_key, r.body_sha256
             FROM unnest($1::uuid[], $2::text[]) AS n(tenant_id, key)
             JOIN requests r ON r.tenant_id = n.tenant_id AND r.idempotency_key = n.key",
        )
        .bind(&tenants)
        .bind(&keys)
        .fetch_all(&self.pool)
        .await?)
    }
}

impl Earlier {
    fn is_of(&self, submission: &Submission) -> bool {
        self.tenant_id == submission.tenant.as_uuid()
            && Some(self.idempotency_key.as_str()) == submission.idempotency_key.as_deref()
    }

    fn compare(&self, body_sha256: Sha256) -> Result<Accepted, StoreError> {
        let digest = sha256(&self.body_sha256, "requests", "body_sha256", self.id)?;
        Ok(if digest == body_sha256 {
            Accepted::Known(RequestId::from_uuid(self.id))
        } else {
            Accepted::KeyTaken
        })
    }
}
