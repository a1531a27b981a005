//! The workers that were heard in the last seconds, and how far ahead of them jobs are published.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use atelier_proto::{JobId, WorkerId, http::WorkerView, job::JobKind, signal::Heartbeat};

use crate::store::Room;

/// Jobs of a kind that are published although no worker is known: a scaler sees that work waits, and one that just starts finds some.
const WITHOUT_WORKERS: u32 = 4;
/// Jobs that are published ahead for each worker before it is known how long they take.
const UNKNOWN_AHEAD: f64 = 4.0;
/// Most jobs that are published ahead for each worker.
const MOST_AHEAD: f64 = 256.0;
/// Work that is published ahead for each worker, in milliseconds of its device: what becomes free until a claim is seen to be taken.
const AHEAD_MS: f64 = 2_000.0;
/// Weight of the newest job in the running mean of device time.
const NEWEST: f64 = 0.1;

/// The workers. Clones share them.
#[derive(Clone, Debug)]
pub struct Workers {
    inner: Arc<Mutex<Inner>>,
    /// What jobs are published for: who has loaded another model takes none of them.
    model: Arc<str>,
    /// A worker that was not heard for this long is gone.
    silence: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    heard: HashMap<WorkerId, (Heartbeat, Instant)>,
    /// Running mean of device time by kind, in milliseconds.
    device_ms: HashMap<JobKind, f64>,
}

impl Workers {
    /// Nobody heard yet; a worker of `model` counts for `silence` after each heartbeat.
    pub fn new(model: Arc<str>, silence: Duration) -> Self {
        Self {
            inner: Arc::default(),
            model,
            silence,
        }
    }

    /// A worker was heard; says whether it is new or takes other work than before.
    pub fn heard(&self, heartbeat: Heartbeat) -> bool {
        let mut inner = self.lock();
        let known = inner.heard.get(&heartbeat.worker);
        let stranger = known.is_none();
        let new = known.is_none_or(|(old, _)| {
            old.roles != heartbeat.roles
                || old.draining != heartbeat.draining
                || old.kept_from != heartbeat.kept_from
        });
        if stranger {
            // Ids are new at every start, so that those of the dead would pile up.
            inner.heard.retain(|_, (_, at)| at.elapsed() < self.silence);
        }
        inner
            .heard
            .insert(heartbeat.worker, (heartbeat, Instant::now()));
        new
    }

    /// A job of `kind` took this long on its device.
    pub fn took(&self, kind: JobKind, device_ms: u64) {
        let mut inner = self.lock();
        let mean = inner.device_ms.entry(kind).or_insert(device_ms as f64);
        *mean += NEWEST * (device_ms as f64 - *mean);
    }

    /// Everybody who was heard lately, by name.
    pub fn list(&self) -> Vec<WorkerView> {
        let mut inner = self.lock();
        inner.heard.retain(|_, (_, at)| at.elapsed() < self.silence);
        let mut workers: Vec<_> = inner
            .heard
            .values()
            .map(|(heartbeat, at)| WorkerView {
                name: heartbeat.name.clone(),
                roles: heartbeat.roles.clone(),
                model: heartbeat.model.clone(),
                device: heartbeat.device.clone(),
                kept_from: heartbeat.kept_from.clone(),
                busy: heartbeat.holding.len() as u32,
                seen_ms_ago: u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .collect();
        workers.sort_by(|a, b| a.name.cmp(&b.name));
        workers
    }

    /// Jobs in the hands of those who were heard lately and are not about to end, by name. Who share one name count together.
    pub fn holding(&self, wanted: impl Fn(&str) -> bool) -> HashMap<String, u32> {
        let inner = self.lock();
        let mut holding = HashMap::new();
        for (heartbeat, at) in inner.heard.values() {
            if at.elapsed() < self.silence && !heartbeat.draining && wanted(&heartbeat.name) {
                let jobs = u32::try_from(heartbeat.holding.len()).unwrap_or(u32::MAX);
                let sum: &mut u32 = holding.entry(heartbeat.name.clone()).or_default();
                *sum = sum.saturating_add(jobs);
            }
        }
        holding
    }

    /// Name for people of a worker that was heard.
    pub fn name(&self, worker: WorkerId) -> Option<String> {
        let inner = self.lock();
        let (heartbeat, _) = inner.heard.get(&worker)?;
        Some(heartbeat.name.clone())
    }

    /// Who said within the last `time` to have this attempt of a job in hands.
    pub fn holder(&self, job: JobId, attempt: u32, time: Duration) -> Option<WorkerId> {
        let inner = self.lock();
        let holds = |heartbeat: &Heartbeat| heartbeat.holding.contains(&(job, attempt));
        let mut lately = inner.heard.values().filter(|(_, at)| at.elapsed() < time);
        lately
            .find(|(heartbeat, _)| holds(heartbeat))
            .map(|(heartbeat, _)| heartbeat.worker)
    }

    /// How many take jobs of `kind`.
    pub fn taking(&self, kind: JobKind) -> u32 {
        self.count(kind, |_| true)
    }

    /// Whether anybody takes jobs of `kind` besides these workers.
    pub fn others(&self, kind: JobKind, besides: &[WorkerId]) -> bool {
        self.count(kind, |heartbeat| !besides.contains(&heartbeat.worker)) > 0
    }

    /// How many jobs of each kind may queue in the stream: one for each idle worker, and a little ahead of the others. The rest stays ready in
    /// PostgreSQL, where an urgent one can still pass; in the stream nothing can.
    pub fn room(&self) -> Room {
        Room {
            plan: self.room_of(JobKind::Plan),
            render: self.room_of(JobKind::Render),
            critique: self.room_of(JobKind::Critique),
        }
    }

    fn room_of(&self, kind: JobKind) -> u32 {
        let mean = self.lock().device_ms.get(&kind).copied();
        let taking = self.taking(kind);
        if taking == 0 {
            return WITHOUT_WORKERS;
        }
        let idle = self.count(kind, |heartbeat| heartbeat.holding.is_empty());
        idle + (ahead(mean) * f64::from(taking)).ceil() as u32
    }

    /// How many are heard that take jobs of `kind` and are as wanted.
    fn count(&self, kind: JobKind, wanted: impl Fn(&Heartbeat) -> bool) -> u32 {
        let inner = self.lock();
        let counted = inner.heard.values().filter(|(heartbeat, at)| {
            at.elapsed() < self.silence
                && !heartbeat.draining
                && *heartbeat.model == *self.model
                && heartbeat.roles.contains(&kind)
                && !heartbeat.kept_from.contains(&kind)
                && wanted(heartbeat)
        });
        counted.count() as u32
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock can panic halfway through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs ahead of one worker when a job takes `mean_ms` on its device; less than one when it takes long.
fn ahead(mean_ms: Option<f64>) -> f64 {
    mean_ms.map_or(UNKNOWN_AHEAD, |mean| {
        (AHEAD_MS / mean.max(1.0)).min(MOST_AHEAD)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(silence: Duration) -> Workers {
        Workers::new("m".into(), silence)
    }

    fn heartbeat(n: u8, roles: &[JobKind]) -> Heartbeat {
        Heartbeat {
            worker: WorkerId::at(0, [n; 10]),
            name: format!("w{n}"),
            roles: roles.to_vec(),
            model: "m".into(),
            device: "cpu".into(),
            holding: Vec::new(),
            draining: false,
            on_device: Vec::new(),
            computed: Vec::new(),
            kept_from: Vec::new(),
        }
    }

    #[test]
    fn slow_jobs_queue_in_the_database_and_fast_ones_in_the_stream() {
        assert_eq!(ahead(None), 4.0);
        assert_eq!(ahead(Some(5_000.0)), 0.4);
        assert_eq!(ahead(Some(20.0)), 100.0);
        assert_eq!(ahead(Some(0.0)), 256.0);
    }

    #[test]
    fn room_is_for_the_idle_and_a_little_more() {
        let workers = nobody(Duration::from_secs(60));
        let room = |plan, render, critique| Room {
            plan,
            render,
            critique,
        };
        assert_eq!(workers.room(), room(4, 4, 4), "for whoever starts");
        assert!(workers.heard(heartbeat(1, &[JobKind::Render])));
        assert!(workers.heard(heartbeat(2, &[JobKind::Render, JobKind::Plan])));
        assert!(!workers.heard(heartbeat(2, &[JobKind::Render, JobKind::Plan])));
        assert_eq!(workers.room(), room(4 + 1, 8 + 2, 4));
        workers.took(JobKind::Render, 60_000);
        assert_eq!(
            workers.room().render,
            1 + 2,
            "slow jobs stay where they can be passed"
        );
        let mut busy = heartbeat(1, &[JobKind::Render]);
        busy.holding = vec![(JobId::at(0, [0; 10]), 1)];
        workers.heard(busy);
        assert_eq!(workers.room().render, 1 + 1);
        assert_eq!(workers.list().len(), 2);
    }

    #[test]
    fn what_is_held_is_told_by_name() {
        let workers = nobody(Duration::from_secs(60));
        let said = |n: u8, name: &str, jobs: u8| Heartbeat {
            name: name.into(),
            holding: (0..jobs).map(|j| (JobId::at(0, [j; 10]), 1)).collect(),
            ..heartbeat(n, &[JobKind::Render])
        };
        workers.heard(said(1, "pod-a", 2));
        // A worker that was started again in the same pod.
        workers.heard(said(2, "pod-a", 1));
        workers.heard(said(3, "pod-b", 0));
        workers.heard(said(4, "elsewhere", 5));
        let leaving = Heartbeat {
            draining: true,
            ..said(5, "pod-c", 1)
        };
        workers.heard(leaving);
        let mut holding: Vec<_> = workers
            .holding(|name| name.starts_with("pod-"))
            .into_iter()
            .collect();
        holding.sort();
        assert_eq!(holding, [("pod-a".into(), 3), ("pod-b".into(), 0)]);
        let silent = nobody(Duration::ZERO);
        silent.heard(said(1, "pod-a", 2));
        assert!(silent.holding(|_| true).is_empty());
    }

    #[test]
    fn whoever_said_so_lately_holds_a_job() {
        let workers = nobody(Duration::from_secs(60));
        let job = JobId::at(0, [7; 10]);
        let mut holding = heartbeat(1, &[JobKind::Render]);
        holding.holding.push((job, 2));
        let worker = holding.worker;
        workers.heard(holding);
        let lately = Duration::from_secs(60);
        assert_eq!(workers.holder(job, 2, lately), Some(worker));
        assert_eq!(workers.holder(job, 1, lately), None);
        assert_eq!(workers.holder(job, 2, Duration::ZERO), None);
    }

    #[test]
    fn a_worker_that_is_kept_from_a_kind_does_not_count_for_it() {
        let workers = nobody(Duration::from_secs(60));
        let kinds = [JobKind::Plan, JobKind::Render];
        workers.heard(heartbeat(1, &kinds));
        let failing = Heartbeat {
            kept_from: vec![JobKind::Render],
            ..heartbeat(2, &kinds)
        };
        assert!(workers.heard(failing.clone()));
        assert_eq!(kinds.map(|kind| workers.taking(kind)), [2, 1]);
        assert!(workers.heard(heartbeat(2, &kinds)), "it is back");
        assert_eq!(kinds.map(|kind| workers.taking(kind)), [2, 2]);
        assert!(workers.others(JobKind::Plan, &[failing.worker]));
        let both = [failing.worker, heartbeat(1, &kinds).worker];
        assert!(!workers.others(JobKind::Plan, &both));
    }

    #[test]
    fn a_worker_of_another_model_is_listed_and_counts_for_nothing() {
        let workers = nobody(Duration::from_secs(60));
        let other = Heartbeat {
            model: "another".into(),
            ..heartbeat(1, &JobKind::ALL)
        };
        assert!(workers.heard(other));
        assert_eq!(JobKind::ALL.map(|kind| workers.taking(kind)), [0; 3]);
        assert!(!workers.others(JobKind::Plan, &[]));
        assert_eq!(workers.room().plan, WITHOUT_WORKERS);
        assert_eq!(workers.list().len(), 1);
    }

    #[test]
    fn a_silent_worker_is_gone() {
        let workers = nobody(Duration::ZERO);
        workers.heard(heartbeat(1, &[JobKind::Plan]));
        assert_eq!(workers.taking(JobKind::Plan), 0);
        assert!(workers.list().is_empty());
    }
}
