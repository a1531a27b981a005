//! A unit of work on some requests: load them, apply events, save what changed in one statement.
//!
//! Either the requests are locked from the first look on ([`Store::begin`]), or they come from memory as far as they are there
//! ([`Store::resume`]) and the write is refused when somebody else was faster. Who resumes must be ready to begin again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use atelier_domain::{
    Delta, Effect, Event, Job, JobState, Millis, NotApplied, Policy, Request, State, invariants,
};
use atelier_proto::{JobId, RequestId, WorkerId, job::JobKind, plan::Plan, review::Review};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{
    Claimed, Detail, Place, Store, StoreError,
    clock::NOW,
    history::History,
    job_row::{self, JobRow, JobWrite, Rank},
    notices::Told,
    offer::offer,
    request_row::{self, RequestRow, RequestWrite, Spec},
    save::{Save, Saved},
};

/// What a report says about a job beside its outcome; for the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Who did it.
    pub worker: WorkerId,
    /// Time on the device, milliseconds.
    pub device_ms: u64,
    /// How it was done.
    pub detail: Option<Arc<Detail>>,
    /// What was written, which is stored as well.
    pub written: Option<Written>,
}

/// A document that a job made, as its report has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// By a planner.
    Plan(Arc<Plan>),
    /// By a critic.
    Review(Arc<Review>),
}

/// What a commit leaves to be done.
#[derive(Debug, Default)]
pub struct Committed {
    /// What the state machine asks for.
    pub effects: Vec<(RequestId, Effect)>,
    /// Kinds of the jobs that are ready and were not marked dispatched.
    pub ready: Vec<JobKind>,
    /// Where messages are of jobs that were dispatched when they were loaded, as far as that was written down.
    pub places: HashMap<JobId, Place>,
    /// Jobs that were marked dispatched and have to be published now: those that [`Checked::take_dispatched`] did not take.
    pub dispatched: Vec<Claimed>,
}

/// Requests being worked on. Dropped without [`Unit::commit`] it changes nothing.
pub struct Unit {
    store: Store,
    /// Holds the locks; none when the requests were resumed.
    transaction: Option<Transaction<'static, Postgres>>,
    held: BTreeMap<RequestId, Held>,
    findings: HashMap<JobId, Finding>,
    effects: Vec<(RequestId, Effect)>,
    now: Millis,
}

/// A unit whose changes keep the rules, before they are written. Dropped without [`Checked::commit`] it changes nothing.
pub struct Checked {
    unit: Unit,
    /// What changed, by request.
    changes: Vec<(RequestId, Delta)>,
    /// Jobs that are marked dispatched.
    dispatched: Vec<Claimed>,
}

/// A request as it was read.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub request: Request,
    /// Counts the writes; fences the next one.
    pub version: i64,
    pub rank: Rank,
    pub spec: Arc<Spec>,
    /// Whose it is.
    pub tenant: Uuid,
    /// When it was accepted, in milliseconds.
    pub created_ms: i64,
    /// When it ended, in milliseconds.
    pub finished_ms: Option<i64>,
    pub places: HashMap<JobId, Place>,
    /// What its trace will tell, as far as that is known without reading it.
    pub history: Option<History>,
}

struct Held {
    before: Arc<Loaded>,
    after: Request,
    /// Read for this unit, not taken from memory.
    fresh: bool,
}

impl Store {
    /// Begins a transaction on the requests called `ids`, which stay locked while it lives; those that do not exist are left out.
    pub async fn begin(&self, ids: &[RequestId]) -> Result<Unit, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let loaded = load(
            &mut transaction,
            ids,
            request_row::SELECT_LOCKED,
            job_row::SELECT_LOCKED,
        )
        .await?;
        // After the locks, so that it is later than whatever others wrote before they released them.
        let now: i64 = sqlx::query_scalar(NOW).fetch_one(&mut *transaction).await?;
        let now = now.unsigned_abs();
        self.clock.heard(now);
        Ok(Unit::new(
            self.clone(),
            Some(transaction),
            loaded,
            HashMap::new(),
            now,
        ))
    }

    /// Takes the requests called `ids` from memory, and from the database what is not there, without a lock; those that do not exist are left out.
    /// Committing fails as overtaken when one of them was changed by somebody else meanwhile.
    pub async fn resume(&self, ids: &[RequestId]) -> Result<Unit, StoreError> {
        let known: HashMap<RequestId, Arc<Loaded>> = ids
            .iter()
            .filter_map(|id| Some((*id, self.recent.get(*id)?)))
            .collect();
        let missing: Vec<RequestId> = ids
            .iter()
            .filter(|id| !known.contains_key(id))
            .copied()
            .collect();
        let (mut loaded, mut now) = (Vec::new(), self.clock.now());
        if !missing.is_empty() || now.is_none() {
            let mut connection = self.pool.acquire().await?;
            loaded = load(
                &mut connection,
                &missing,
                request_row::SELECT,
                job_row::SELECT,
            )
            .await?;
            if now.is_none() {
                let asked: i64 = sqlx::query_scalar(NOW).fetch_one(&mut *connection).await?;
                self.clock.heard(asked.unsigned_abs());
                now = Some(asked.unsigned_abs());
            }
        }
        Ok(Unit::new(
            self.clone(),
            None,
            loaded,
            known,
            now.unwrap_or_default(),
        ))
    }

    /// The same, of requests that are in memory, all of them; to look at.
    pub fn recall(&self, ids: &[RequestId]) -> Option<Unit> {
        let known = ids
            .iter()
            .map(|id| Some((*id, self.recent.get(*id)?)))
            .collect::<Option<_>>()?;
        let now = self.clock.now()?;
        Some(Unit::new(self.clone(), None, Vec::new(), known, now))
    }

    /// Remembers of requests in memory that these jobs were dispatched.
    pub(super) fn note_claimed(&self, claimed: &[Claimed]) {
        let now = self.clock.now().unwrap_or_default();
        let mut outdated = Vec::new();
        for Claimed { offer, .. } in claimed {
            self.recent.change(offer.request, |loaded| {
                let jobs = &mut loaded.request.jobs;
                let ready = |job: &&mut Job| {
                    job.id == offer.job && matches!(job.state, JobState::Ready { .. })
                };
                // Somebody else made it ready: then more has changed than this job.
                let Some(job) = jobs.iter_mut().find(ready) else {
                    outdated.push(offer.request);
                    return;
                };
                job.attempt = offer.attempt;
                job.state = JobState::Dispatched {
                    lease_until: now + offer.lease_ms,
                    worker: None,
                    begun: false,
                };
            });
        }
        self.recent.forget(outdated);
    }

    /// Saves without a transaction.
    async fn save(&self, save: Save<'_>) -> Result<Saved, StoreError> {
        let mut connection = self.saving.lend(&self.pool).await?;
        let saved = save.write(&mut *connection).await?;
        connection.keep();
        Ok(saved)
    }

    /// What others changed must be read again.
    pub fn forget(&self, ids: impl IntoIterator<Item = RequestId>) {
        self.recent.forget(ids);
    }
}

/// Reads requests, then their jobs: whoever changes a job in between also changes the version, so that nothing is saved over it.
async fn load(
    connection: &mut sqlx::PgConnection,
    ids: &[RequestId],
    requests: &'static str,
    jobs: &'static str,
) -> Result<Vec<Loaded>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(RequestId::as_uuid).collect();
    let requests: Vec<RequestRow> = sqlx::query_as(requests)
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
    let jobs: Vec<JobRow> = sqlx::query_as(jobs)
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
    assemble(requests, jobs)
}

/// Puts rows together, in the order of those of requests.
pub(super) fn assemble(
    requests: Vec<RequestRow>,
    jobs: Vec<JobRow>,
) -> Result<Vec<Loaded>, StoreError> {
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
        .map(|mut row| {
            let (jobs, places) = of_request.remove(&row.id).unwrap_or_default();
            let (version, rank) = (row.version, row.rank()?);
            let (tenant, created_ms) = (row.tenant_id, row.created_ms);
            let spec = Arc::new(row.take_spec(rank.priority));
            let mut request = Request::try_from(row)?;
            request.jobs = jobs;
            Ok(Loaded {
                request,
                version,
                rank,
                spec,
                tenant,
                created_ms,
                finished_ms: None,
                places,
                history: None,
            })
        })
        .collect()
}

const fn is_due(job: &Job, now: Millis) -> bool {
    matches!(job.state, JobState::Ready { not_before } if not_before <= now)
}

impl Unit {
    fn new(
        store: Store,
        transaction: Option<Transaction<'static, Postgres>>,
        loaded: Vec<Loaded>,
        known: HashMap<RequestId, Arc<Loaded>>,
        now: Millis,
    ) -> Self {
        let fresh = loaded.into_iter().map(|loaded| (Arc::new(loaded), true));
        let known = known.into_values().map(|loaded| (loaded, false));
        let held = fresh.chain(known).map(|(before, fresh)| {
            let after = before.request.clone();
            (
                after.id,
                Held {
                    before,
                    after,
                    fresh,
                },
            )
        });
        Self {
            store,
            transaction,
            held: held.collect(),
            findings: HashMap::new(),
            effects: Vec::new(),
            now,
        }
    }

    /// A request of this unit as it is by now; none when it does not exist.
    pub fn request(&self, id: RequestId) -> Option<&Request> {
        self.held.get(&id).map(|held| &held.after)
    }

    /// The requests of this unit.
    pub fn ids(&self) -> Vec<RequestId> {
        self.held.keys().copied().collect()
    }

    /// Whether the request was read for this unit (or is known not to exist), and not taken from memory.
    pub fn is_fresh(&self, id: RequestId) -> bool {
        self.held.get(&id).is_none_or(|held| held.fresh)
    }

    /// Prompts of the requests that now carry out their direct plan and did not before.
    pub fn newly_direct(&self) -> impl Iterator<Item = &str> {
        self.held.values().filter_map(|held| {
            let direct = |request: &Request| {
                request
                    .plan
                    .is_some_and(|plan| plan.artifact == request.direct_plan)
            };
            let begins = direct(&held.after) && !direct(&held.before.request);
            begins.then_some(&*held.before.spec.prompt)
        })
    }

    /// Whether anything has to be done after the commit.
    pub fn leads_on(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Applies an event to a request; what has to be done after the commit is remembered.
    pub fn apply(
        &mut self,
        id: RequestId,
        event: Event,
        policy: &Policy,
    ) -> Result<(), NotApplied> {
        let held = self.held.get_mut(&id).ok_or(NotApplied::UnknownJob)?;
        let effects = held.after.apply(event, self.now, policy)?;
        self.effects
            .extend(effects.into_iter().map(|effect| (id, effect)));
        Ok(())
    }

    /// Marks jobs that became ready as dispatched at once, those that `may` be; they are published after the commit.
    pub fn dispatch_ready(&mut self, policy: &Policy, mut may: impl FnMut(&Job) -> bool) {
        let mut left = Vec::with_capacity(self.effects.len());
        for (id, effect) in std::mem::take(&mut self.effects) {
            if let Effect::JobReady(job) = effect
                && let Some(held) = self.held.get_mut(&id)
                && held
                    .after
                    .job(job)
                    .is_some_and(|job| is_due(job, self.now) && may(job))
                && held
                    .after
                    .apply(Event::Dispatched { job }, self.now, policy)
                    .is_ok()
            {
                continue;
            }
            left.push((id, effect));
        }
        self.effects = left;
    }

    /// Remembers what the trace will tell about a job.
    pub fn note(&mut self, job: JobId, finding: Finding) {
        self.findings.insert(job, finding);
    }

    /// Writes what changed and commits; returns what has to be done now.
    pub async fn commit(self) -> Result<Committed, StoreError> {
        self.check()?.commit().await
    }

    /// Finds out what changed, and holds it to the rules.
    pub fn check(self) -> Result<Checked, StoreError> {
        let mut changes = Vec::new();
        let mut dispatched = Vec::new();
        for (id, held) in &self.held {
            let (before, after) = (&held.before, &held.after);
            let delta = Delta::between(&before.request, after);
            if delta.is_empty() {
                continue;
            }
            invariants::check(after)
                .and_then(|()| invariants::check_step(&before.request, after))
                .map_err(|violation| StoreError::Violation {
                    request: *id,
                    violation,
                })?;
            // Begun by this unit; another one's lease may only have been extended.
            let begun = delta
                .changed
                .iter()
                .filter(|changed| changed.job.attempt > changed.from_attempt)
                .map(|changed| &changed.job);
            for job in begun.chain(&delta.made) {
                let JobState::Dispatched { lease_until, .. } = job.state else {
                    continue;
                };
                dispatched.push(offer(after, job, &before.spec, lease_until - self.now)?);
            }
            changes.push((*id, delta));
        }
        Ok(Checked {
            unit: self,
            changes,
            dispatched,
        })
    }
}

impl Checked {
    /// Takes the jobs that are marked dispatched, to publish them although the commit may not come.
    pub fn take_dispatched(&mut self) -> Vec<Claimed> {
        std::mem::take(&mut self.dispatched)
    }

    /// Kinds of the jobs that are marked dispatched, and were not taken.
    pub fn kinds_dispatched(&self) -> Vec<JobKind> {
        let kinds = self.dispatched.iter();
        kinds.map(|claimed| claimed.offer.work.kind()).collect()
    }

    /// Writes what changed and commits; returns what has to be done now.
    pub async fn commit(self) -> Result<Committed, StoreError> {
        let Self {
            unit: mut this,
            changes,
            dispatched,
        } = self;
        let mut save = Save {
            now: this.now,
            ..Save::default()
        };
        let mut touched = Vec::with_capacity(changes.len());
        for (id, delta) in &changes {
            let Some(Held { before, after, .. }) = this.held.get(id) else {
                continue;
            };
            touched.push(*id);
            let rank = before.rank;
            save.made
                .extend(delta.made.iter().map(|job| JobWrite::new(after, job, rank)));
            save.changed.extend(delta.changed.iter().map(|job| {
                let finding = this.findings.get(&job.job.id);
                JobWrite::changed(after, job, rank, finding)
            }));
            save.requests.push(RequestWrite::new(after, before.version));
        }
        let mut ready = Vec::new();
        let mut moments = None;
        for (id, effect) in &this.effects {
            let Effect::JobReady(job) = effect else {
                continue;
            };
            let job = this.held.get(id).and_then(|held| held.after.job(*job));
            ready.extend(job.map(|job| job.kind).filter(|kind| !ready.contains(kind)));
        }
        if !touched.is_empty() {
            save.told = if this.store.others() {
                Told::new(&touched, !ready.is_empty())
            } else {
                Told::default()
            };
            let written = match &mut this.transaction {
                Some(transaction) => save.write(&mut **transaction).await,
                None => this.store.save(save).await,
            };
            match written {
                Ok(saved) => {
                    this.store.clock.heard(saved.now.unsigned_abs());
                    moments = Some(saved);
                }
                Err(error) => {
                    this.store.forget(touched);
                    return Err(error);
                }
            }
        }
        if let Some(transaction) = this.transaction {
            transaction.commit().await?;
        }
        let changed: HashMap<RequestId, Delta> = changes.into_iter().collect();
        let mut places = HashMap::new();
        for (id, held) in this.held {
            places.extend(held.before.places.iter().map(|(job, place)| (*job, *place)));
            let has_ended = held.after.state != State::Active;
            let Some(delta) = changed.get(&id) else {
                if has_ended {
                    this.store.recent.end(id, None);
                }
                continue;
            };
            let history = held.before.history.as_ref().zip(moments);
            let history = history.and_then(|(known, saved)| {
                known.after(&held.after, delta, &this.findings, saved.decided_us)
            });
            let saved = Arc::new(Loaded {
                request: held.after,
                version: held.before.version + 1,
                rank: held.before.rank,
                spec: held.before.spec.clone(),
                tenant: held.before.tenant,
                created_ms: held.before.created_ms,
                finished_ms: moments.filter(|_| has_ended).map(|saved| saved.finished),
                places: HashMap::new(),
                history,
            });
            if has_ended {
                this.store.recent.end(id, Some(saved));
            } else {
                this.store.recent.put(saved);
            }
        }
        Ok(Committed {
            effects: this.effects,
            ready,
            places,
            dispatched,
        })
    }
}
