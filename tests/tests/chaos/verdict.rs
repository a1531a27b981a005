//! Holds the farm to its promises, from outside: over HTTP, in the object store, in the database.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use atelier_proto::{
    MediaType, RequestId, Sha256, WorkerId,
    http::{RequestState, RequestView},
    object_key,
    trace::Trace,
};
use atelier_tests::{Api, sha256};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStore, ObjectStoreExt, path::Path as Key};
use reqwest::StatusCode;
use rustix::process::Signal;
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    farm::{Farm, worker_id},
    ledger::{Cancel, Entry, Ledger},
    options::Options,
    report,
    schedule::TENANTS,
    strike::Done,
    supervisor::Death,
    tap::Tap,
    wishes::{LONG_STEP, is_poison, number_of, tenant_of},
};

/// Workers that may die of one poisoned job: two that are known to have begun it, and one that a fault kept from saying so.
const WORKERS_A_POISON: usize = 3;
/// Questions asked at once.
const AT_ONCE: usize = 12;
/// A run that is asked for at least so many faults is not whole with fewer.
const FEWEST_FAULTS: u32 = 60;
/// How long after a cancel was answered, or what delayed it was over, a worker may still be heard: the signal's way and one step, on a machine that
/// is busy.
const STOPPED_WITHIN: Duration = Duration::from_millis(800 + LONG_STEP.as_millis() as u64);

/// What the promises are, numbered as the report prints them.
pub const PROMISES: [&str; 6] = [
    "what was acknowledged is there",
    "every request ends in exactly one state and is delivered once",
    "what was told as the end stays so, whatever comes late or twice",
    "every named artifact is in the store and matches its name",
    "a poisoned job is parked after two workers and takes no other along",
    "a canceled request stops within a step",
];

/// How it went.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Acknowledged requests.
    pub requests: usize,
    /// Acknowledged requests that are not there.
    pub lost: usize,
    /// Requests, ends or jobs that are there twice.
    pub duplicated: usize,
    /// Requests that do not end.
    pub stuck: usize,
    /// What breaks each promise.
    pub broken: [Vec<String>; 6],
    /// What broke something that is no promise, for example a submit that was never answered.
    pub complaints: Vec<String>,
    /// Requests by their state.
    pub states: BTreeMap<String, usize>,
    /// Requests that failed because the run itself struck two workers that held the same job of theirs.
    pub parked_by_the_run: usize,
    /// Workers that run to this moment, were never struck, and are held against a job all the same.
    pub blamed_while_alive: Vec<WorkerId>,
    /// Poisoned requests.
    pub poisoned: usize,
    /// Cancels that hit an active request, and how many of them no fault delayed.
    pub cancels: (usize, usize),
    /// Artifacts that were read and compared with their names.
    pub artifacts: usize,
    /// Attempts beyond the first of all jobs.
    pub repeated_attempts: i64,
    /// Seconds from a request's acceptance to its end: the median, that of 99 in a hundred, the longest.
    pub seconds: [f64; 3],
}

impl Verdict {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.lost + self.duplicated + self.stuck == 0
            && self.complaints.is_empty()
            && self.broken.iter().all(Vec::is_empty)
    }

    fn broken(&mut self, promise: usize, what: String) {
        self.broken[promise - 1].push(what);
    }
}

#[derive(FromRow)]
struct RequestRow {
    id: Uuid,
    prompt: String,
    state: String,
    reason: Option<String>,
}

#[derive(FromRow)]
struct FailedJob {
    request_id: Uuid,
    dead_workers: Vec<Uuid>,
}

#[derive(FromRow)]
struct Named {
    sha256: Vec<u8>,
    bytes: i64,
    png: bool,
}

/// Waits until nothing is active and every trace is written; says how many requests are still active after `patience`.
pub async fn settle(farm: &Farm, patience: Duration) -> Result<i64> {
    let until = Instant::now() + patience;
    loop {
        let left: Result<(i64, i64)> = async {
            let mut database = farm.database().await?;
            let counts = "SELECT count(*) FILTER (WHERE state = 'active'),
                                 count(*) FILTER (WHERE state <> 'active' AND trace_sha256 IS NULL)
                          FROM requests";
            Ok(sqlx::query_as(counts).fetch_one(&mut database).await?)
        }
        .await;
        match left {
            Ok((0, 0)) => return Ok(0),
            Ok((active, _)) if Instant::now() > until => return Ok(active),
            Err(error) if Instant::now() > until => return Err(error),
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Looks at everything.
pub async fn judge(
    options: &Options,
    farm: &Farm,
    ledger: &Ledger,
    tap: &Tap,
    faults: &[Done],
    deaths: &[Death],
) -> Result<Verdict> {
    let entries = ledger.entries();
    let mut verdict = Verdict {
        requests: ledger.acknowledged(),
        complaints: ledger.complaints(),
        ..Verdict::default()
    };
    for death in deaths {
        // A poisoned job aborts its worker; nothing else may end by itself.
        if death.status.signal() != Some(Signal::ABORT.as_raw()) {
            verdict.complaints.push(format!(
                "{} ended by itself: {}",
                death.program, death.status
            ));
        }
    }
    verdict.complaints.extend(never_struck(faults));
    let injected = report::injected(faults);
    if options.faults >= FEWEST_FAULTS && injected < FEWEST_FAULTS {
        verdict.complaints.push(format!(
            "only {injected} of {} faults happened, fewer than {FEWEST_FAULTS}",
            options.faults
        ));
    }
    let mut database = farm.database().await?;
    let rows: Vec<RequestRow> = sqlx::query_as("SELECT id, prompt, state, reason FROM requests")
        .fetch_all(&mut database)
        .await?;
    let failed: Vec<FailedJob> = sqlx::query_as(
        "SELECT request_id, dead_workers FROM jobs WHERE state = 'failed' AND kind = 'render'",
    )
    .fetch_all(&mut database)
    .await?;
    verdict.repeated_attempts =
        sqlx::query_scalar("SELECT coalesce(sum(greatest(attempt - 1, 0)), 0)::bigint FROM jobs")
            .fetch_one(&mut database)
            .await?;
    let (median, most, longest): (f64, f64, f64) = sqlx::query_as(
        "SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY took), 0),
                coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY took), 0), coalesce(max(took), 0)
         FROM (SELECT extract(epoch FROM finished_at - created_at)::float8 AS took FROM requests) AS requests",
    )
    .fetch_one(&mut database)
    .await?;
    verdict.seconds = [median, most, longest];
    let blamed: Vec<Uuid> = sqlx::query_scalar(
        // A critique that is told to fail names who reported it.
        "SELECT DISTINCT unnest(j.dead_workers) FROM jobs j JOIN requests r ON r.id = j.request_id
             WHERE r.prompt NOT LIKE '%[flaky:%'",
    )
    .fetch_all(&mut database)
    .await?;
    let (struck, died) = (farm.struck(), farm.died());
    let mut innocent = HashSet::new();
    for worker in &farm.workers {
        innocent.extend(worker_id(&*worker.lock().await).ok());
    }
    let innocent = |worker: &WorkerId| innocent.contains(worker) && !struck.contains(worker);
    let blamed = blamed.into_iter().map(WorkerId::from_uuid);
    verdict.blamed_while_alive = blamed.filter(innocent).collect();
    let twins: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM jobs GROUP BY request_id, kind, round, stage HAVING count(*) > 1) AS twins",
    )
    .fetch_one(&mut database)
    .await?;
    if twins > 0 {
        verdict.duplicated += twins as usize;
        verdict.broken(2, format!("{twins} jobs are there twice"));
    }
    rows_are_single_and_ended(&mut verdict, &rows);
    poison_is_parked(&mut verdict, &rows, &failed, &struck);
    let most = verdict.poisoned * WORKERS_A_POISON;
    if died.len() > most {
        let what = format!(
            "{} workers died of {} poisoned jobs",
            died.len(),
            verdict.poisoned
        );
        verdict.broken(5, what);
    }
    let views = ask(farm, &mut verdict, &entries).await;
    promises_hold(&mut verdict, &entries, &views);
    cancels_stopped(&mut verdict, &entries, tap, faults);
    if options.is_whole() && verdict.cancels.1 == 0 {
        let what = "no cancel hit a running request in a calm moment: promise 6 was hardly tried";
        verdict.complaints.push(what.to_owned());
    }
    artifacts_are_there(farm, &mut verdict).await?;
    Ok(verdict)
}

/// Kinds of faults that were drawn and none of which happened: a run that is spared proves nothing.
fn never_struck(faults: &[Done]) -> Vec<String> {
    let mut missed = BTreeMap::new();
    for done in faults {
        let why = done.missed.as_deref();
        missed
            .entry(done.fault.kind)
            .and_modify(|all: &mut Option<&str>| *all = all.and(why))
            .or_insert(why);
    }
    let never = missed.into_iter().filter_map(|(kind, why)| {
        let why = why?;
        Some(format!("no {} happened: {why}", kind.as_str()))
    });
    never.collect()
}

/// One row a number, and each at its end.
fn rows_are_single_and_ended(verdict: &mut Verdict, rows: &[RequestRow]) {
    let mut numbers = HashSet::new();
    for row in rows {
        *verdict.states.entry(row.state.clone()).or_default() += 1;
        if !number_of(&row.prompt).is_some_and(|number| numbers.insert(number)) {
            verdict.duplicated += 1;
            verdict.broken(
                2,
                format!("{:?} is there twice, as {} too", row.prompt, row.id),
            );
        }
        if row.state == "active" {
            verdict.stuck += 1;
            verdict.broken(2, format!("{} does not end: {:?}", row.id, row.prompt));
        }
    }
}

fn poison_is_parked(
    verdict: &mut Verdict,
    rows: &[RequestRow],
    failed: &[FailedJob],
    struck: &HashSet<WorkerId>,
) {
    for row in rows {
        let dead: HashSet<Uuid> = failed
            .iter()
            .filter(|job| job.request_id == row.id)
            .flat_map(|job| job.dead_workers.iter().copied())
            .collect();
        let poison = number_of(&row.prompt).is_some_and(is_poison);
        let reason = row.reason.as_deref().unwrap_or_default();
        if poison {
            verdict.poisoned += 1;
            let parked = row.state == "failed" && reason.contains("different workers");
            if row.state != "active" && !(parked && dead.len() >= 2) {
                let what = format!(
                    "poisoned {} is {} after {} workers: {reason:?}",
                    row.id,
                    row.state,
                    dead.len()
                );
                verdict.broken(5, what);
            }
        } else if row.state == "failed" {
            let by_the_run = dead.len() >= 2
                && dead
                    .iter()
                    .all(|worker| struck.contains(&WorkerId::from_uuid(*worker)));
            if by_the_run {
                verdict.parked_by_the_run += 1;
            } else {
                verdict.broken(
                    5,
                    format!("{} failed: {reason:?} ({:?})", row.id, row.prompt),
                );
            }
        }
    }
}

/// What both coordinators say of everything that was acknowledged, after comparing pictures and traces.
async fn ask(
    farm: &Farm,
    verdict: &mut Verdict,
    entries: &BTreeMap<u32, Entry>,
) -> HashMap<RequestId, RequestView> {
    let ids = entries
        .iter()
        .flat_map(|(number, entry)| entry.ids.iter().map(|id| (*number, *id)));
    let answers: Vec<_> = stream::iter(ids)
        .map(async |(number, id)| (id, ask_one(&farm.apis, number, id).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut views = HashMap::new();
    for (id, answer) in answers {
        match answer {
            Ok((view, wrong)) => {
                if let Some((promise, what)) = wrong {
                    verdict.broken(promise, format!("{id}: {what}"));
                }
                views.insert(id, view);
            }
            Err(error) => {
                verdict.lost += 1;
                verdict.broken(
                    1,
                    format!("{id} was acknowledged and is not there: {error:#}"),
                );
            }
        }
    }
    views
}

/// One request, and what is wrong with it: which promise, and how.
async fn ask_one(
    apis: &[Vec<Api>],
    number: u32,
    id: RequestId,
) -> Result<(RequestView, Option<(usize, String)>)> {
    let tenant = tenant_of(number);
    let stranger = &apis[(tenant + 1) % TENANTS][0];
    let apis = &apis[tenant];
    let view = apis[0].view(id).await?;
    if number_of(&view.prompt) != Some(number) {
        let what = format!(
            "it was acknowledged for number {number} and is {:?}",
            view.prompt
        );
        return Ok((view, Some((1, what))));
    }
    let seen = stranger.get(&format!("/v1/requests/{id}")).await?.status();
    if seen != StatusCode::NOT_FOUND {
        return Ok((view, Some((2, format!("another tenant sees it: {seen}")))));
    }
    let other = apis[1].view(id).await?;
    if view != other {
        let what = format!("the coordinators differ: {view:?} and {other:?}");
        return Ok((view, Some((3, what))));
    }
    if !view.state.is_terminal() {
        return Ok((view, None));
    }
    if view.state == RequestState::Succeeded {
        let wrong = match (apis[0].picture(id).await, &view.image) {
            (Ok(bytes), Some(image)) if sha256(&bytes) == image.sha256 => None,
            (Ok(bytes), image) => Some(format!("{} bytes are not {image:?}", bytes.len())),
            (Err(error), _) => Some(format!("no picture: {error:#}")),
        };
        if let Some(what) = wrong {
            return Ok((view, Some((4, what))));
        }
    }
    let wrong = match apis[1].trace(id).await {
        Ok(trace) if agrees(&trace, &view) => None,
        Ok(_) => Some((4, "the trace tells of another end".to_owned())),
        Err(error) => Some((4, format!("no trace: {error:#}"))),
    };
    Ok((view, wrong))
}

fn agrees(trace: &Trace, view: &RequestView) -> bool {
    trace.request == view.id && trace.state == view.state && trace.image == view.image
}

/// What users were told is still so.
fn promises_hold(
    verdict: &mut Verdict,
    entries: &BTreeMap<u32, Entry>,
    views: &HashMap<RequestId, RequestView>,
) {
    for (number, entry) in entries {
        if entry.ids.len() > 1 {
            verdict.duplicated += entry.ids.len() - 1;
            verdict.broken(
                2,
                format!("number {number} was accepted as {:?}", entry.ids),
            );
        }
        if entry.told_twice {
            verdict.duplicated += 1;
            verdict.broken(2, format!("the end of number {number} was told twice"));
        }
        let told = entry.ends.iter().chain(
            entry
                .cancel
                .as_ref()
                .map(|cancel| &cancel.view)
                .filter(|view| view.state.is_terminal()),
        );
        for told in told {
            if views.get(&told.id).is_some_and(|view| view != told) {
                let what = format!("{} changed after its end: {told:?}", told.id);
                verdict.broken(3, what);
            }
        }
        if let Some(Cancel { view, .. }) = &entry.cancel
            && !view.state.is_terminal()
        {
            verdict.broken(6, format!("{} was canceled and goes on", view.id));
        }
    }
}

/// Nothing is drawn any more soon after a cancel was answered, or soon after the last of the faults that kept its signal from the worker.
fn cancels_stopped(
    verdict: &mut Verdict,
    entries: &BTreeMap<u32, Entry>,
    tap: &Tap,
    faults: &[Done],
) {
    let cancels = entries.values().filter_map(|entry| entry.cancel.as_ref());
    for cancel in cancels.filter(|cancel| cancel.view.state == RequestState::Canceled) {
        verdict.cancels.0 += 1;
        let delayed_until = delayed_until(cancel, faults);
        verdict.cancels.1 += usize::from(delayed_until.is_none());
        let from = delayed_until
            .unwrap_or(cancel.acknowledged)
            .max(cancel.acknowledged);
        let id = cancel.view.id;
        let latest = from + STOPPED_WITHIN;
        if let Some(drawn) = tap.last_drawn(id).filter(|drawn| *drawn > latest) {
            let since = |from| drawn.duration_since(from).as_secs_f64();
            let (late, over) = (since(cancel.acknowledged), since(from));
            let what = match delayed_until {
                None => format!("{id} was drawn {late:.2} s after its cancel"),
                Some(_) => format!(
                    "{id} was drawn {late:.2} s after its cancel, {over:.2} s after the last fault that delayed it"
                ),
            };
            verdict.broken(6, what);
        }
    }
}

/// Until when faults may keep a cancel from its worker; none when it came in a calm moment. A fault that begins before the farm had its time to stop
/// after the one before delays it further.
fn delayed_until(cancel: &Cancel, faults: &[Done]) -> Option<Instant> {
    let mut until = None;
    loop {
        let latest = until
            .unwrap_or(cancel.acknowledged)
            .max(cancel.acknowledged)
            + STOPPED_WITHIN;
        let delays = faults.iter().filter_map(|done| {
            let (began, ended) = done.during;
            let over = ended + done.fault.kind.delays_cancels()?;
            (began <= latest && over >= cancel.sent).then_some(over)
        });
        let longer = delays.max();
        if longer == until {
            return until;
        }
        until = longer;
    }
}

/// Reads every artifact that the database names, past the gate.
async fn artifacts_are_there(farm: &Farm, verdict: &mut Verdict) -> Result<()> {
    let mut database = farm.database().await?;
    let named: Vec<Named> = sqlx::query_as(
        "SELECT image_sha256 AS sha256, image_bytes AS bytes, true AS png FROM requests WHERE image_sha256 IS NOT NULL
         UNION SELECT plan_sha256, plan_bytes, false FROM requests WHERE plan_sha256 IS NOT NULL
         UNION SELECT trace_sha256, trace_bytes, false FROM requests WHERE trace_sha256 IS NOT NULL
         UNION SELECT artifact_sha256, artifact_bytes, kind = 'render' FROM jobs WHERE artifact_sha256 IS NOT NULL",
    )
    .fetch_all(&mut database)
    .await?;
    verdict.artifacts = named.len();
    let objects = farm.seaweed.lock().await.objects()?;
    let wrong: Vec<String> = stream::iter(named)
        .map(async |named| anyhow::Ok(read(&objects, &named).await.err()))
        .buffer_unordered(AT_ONCE)
        .try_filter_map(async |wrong| Ok(wrong.map(|error| format!("{error:#}"))))
        .try_collect()
        .await?;
    for what in wrong {
        verdict.broken(4, what);
    }
    Ok(())
}

async fn read(objects: &impl ObjectStore, named: &Named) -> Result<()> {
    let digest = Sha256(named.sha256.as_slice().try_into().context("a digest")?);
    let media_type = if named.png {
        MediaType::Png
    } else {
        MediaType::Json
    };
    let key = object_key::artifact(digest, media_type);
    let object = objects.get(&Key::from(key.as_str())).await;
    let bytes = object
        .with_context(|| format!("{key} is named and not there"))?
        .bytes()
        .await?;
    anyhow::ensure!(
        sha256(&bytes) == digest && bytes.len() as i64 == named.bytes,
        "{key} does not match its name"
    );
    Ok(())
}
