//! One transaction on some requests: load them locked, apply events, save what changed, commit.

use std::collections::{BTreeMap, HashMap};

use atelier_domain::{Delta, Effect, Event, Job, Millis, NotApplied, Policy, Request, invariants};
use atelier_proto::{JobId, RequestId, WorkerId};
use sqlx::{Postgres, Transaction, types::Json};
use uuid::Uuid;

use super::{
    Place, Store, StoreError, hit,
    job_row::{self, JobRow, JobWrite, Rank},
    notices::notify,
    request_row::{self, RequestRow, RequestWrite},
};

/// What a report says about a job beside its outcome; for the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Who did it.
    pub worker: WorkerId,
    /// Time on the device, milliseconds.
    pub device_ms: u64,
    /// How it was done.
    pub detail: Option<serde_json::Value>,
}

/// What a commit leaves to be done.
#[derive(Debug, Default)]
pub struct Committed {
    /// What the state machine asks for.
    pub effects: Vec<(RequestId, Effect)>,
    /// Where messages are of jobs that were dispatched when they were loaded, as far as that was written down.
    pub places: HashMap<JobId, Place>,
}

/// A transaction. Dropped without [`Unit::commit`] it changes nothing.
pub struct Unit {
    transaction: Transaction<'static, Postgres>,
    loaded: BTreeMap<RequestId, Loaded>,
    findings: HashMap<JobId, Finding>,
    effects: Vec<(RequestId, Effect)>,
    now: Millis,
}

struct Loaded {
    before: Request,
    after: Request,
    rank: Rank,
    places: HashMap<JobId, Place>,
}

impl Store {
    /// Begins a transaction on the requests called `ids`; those that do not exist are left out.
    pub async fn begin(&self, ids: &[RequestId]) -> Result<Unit, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(RequestId::as_uuid).collect();
        let mut transaction = self.pool.begin().await?;
        let requests: Vec<RequestRow> = sqlx::query_as(request_row::SELECT_LOCKED)
            .bind(&ids)
            .fetch_all(&mut *transaction)
            .await?;
        let jobs: Vec<JobRow> = sqlx::query_as(job_row::SELECT_LOCKED)
            .bind(&ids)
            .fetch_all(&mut *transaction)
            .await?;
        // After the locks, so that it is later than whatever others wrote before they released them.
        let now: i64 =
            sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
                .fetch_one(&mut *transaction)
                .await?;
        Ok(Unit {
            transaction,
            loaded: assemble(requests, jobs)?,
            findings: HashMap::new(),
            effects: Vec::new(),
            now: now.unsigned_abs(),
        })
    }
}

fn assemble(
    requests: Vec<RequestRow>,
    jobs: Vec<JobRow>,
) -> Result<BTreeMap<RequestId, Loaded>, StoreError> {
    let mut of_request: HashMap<Uuid, (Vec<Job>, HashMap<JobId, Place>)> = HashMap::new();
    for row in jobs {
        let (jobs, places) = of_request.entry(row.request_id).or_default();
        let place = row.place();
        let job = Job::try_from(row)?;
        places.extend(place.map(|place| (job.id, place)));
        jobs.push(job);
    }
    requests
        .into_iter()
        .map(|row| {
            let (jobs, places) = of_request.remove(&row.id).unwrap_or_default();
            let rank = row.rank()?;
            let mut before = Request::try_from(row)?;
            before.jobs = jobs;
            let loaded = Loaded {
                after: before.clone(),
                before,
                rank,
                places,
            };
            Ok((loaded.before.id, loaded))
        })
        .collect()
}

impl Unit {
    /// A request of this unit as it is by now; none when it does not exist.
    pub fn request(&self, id: RequestId) -> Option<&Request> {
        self.loaded.get(&id).map(|loaded| &loaded.after)
    }

    /// The requests of this unit.
    pub fn ids(&self) -> Vec<RequestId> {
        self.loaded.keys().copied().collect()
    }

    /// Applies an event to a request; what has to be done after the commit is remembered.
    pub fn apply(
        &mut self,
        id: RequestId,
        event: Event,
        policy: &Policy,
    ) -> Result<(), NotApplied> {
        let loaded = self.loaded.get_mut(&id).ok_or(NotApplied::UnknownJob)?;
        let effects = loaded.after.apply(event, self.now, policy)?;
        self.effects
            .extend(effects.into_iter().map(|effect| (id, effect)));
        Ok(())
    }

    /// Remembers what the trace will tell about a job.
    pub fn note(&mut self, job: JobId, finding: Finding) {
        self.findings.insert(job, finding);
    }

    /// Writes what changed and commits; returns what has to be done now.
    pub async fn commit(mut self) -> Result<Committed, StoreError> {
        let (mut made, mut changed, mut heads) = (Vec::new(), Vec::new(), Vec::new());
        let mut touched = Vec::new();
        for (id, loaded) in &self.loaded {
            let delta = Delta::between(&loaded.before, &loaded.after);
            if delta.is_empty() {
                continue;
            }
            invariants::check(&loaded.after)
                .and_then(|()| invariants::check_step(&loaded.before, &loaded.after))
                .map_err(|violation| StoreError::Violation {
                    request: *id,
                    violation,
                })?;
            touched.push(*id);
            let (request, rank) = (&loaded.after, loaded.rank);
            made.extend(
                delta
                    .made
                    .iter()
                    .map(|job| JobWrite::new(request, job, rank)),
            );
            changed.extend(
                delta.changed.iter().map(|job| {
                    JobWrite::changed(request, job, rank, self.findings.get(&job.job.id))
                }),
            );
            if delta.request_changed {
                heads.push(RequestWrite::from(request));
            }
        }
        let transaction = &mut self.transaction;
        if !changed.is_empty() {
            let done = sqlx::query(job_row::UPDATE)
                .bind(Json(&changed))
                .execute(&mut **transaction)
                .await?;
            hit("saving jobs", done.rows_affected(), changed.len())?;
        }
        if !made.is_empty() {
            let done = sqlx::query(job_row::INSERT)
                .bind(Json(&made))
                .execute(&mut **transaction)
                .await?;
            hit("making jobs", done.rows_affected(), made.len())?;
        }
        if !heads.is_empty() {
            let done = sqlx::query(request_row::UPDATE)
                .bind(Json(&heads))
                .execute(&mut **transaction)
                .await?;
            hit("saving requests", done.rows_affected(), heads.len())?;
        }
        let ready = self
            .effects
            .iter()
            .any(|(_, effect)| matches!(effect, Effect::JobReady(_)));
        notify(transaction, &touched, ready).await?;
        self.transaction.commit().await?;
        Ok(Committed {
            effects: self.effects,
            places: self
                .loaded
                .into_values()
                .flat_map(|loaded| loaded.places)
                .collect(),
        })
    }
}
