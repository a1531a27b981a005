//! Jobs in the worker's hands, from delivery until their report is answered.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use atelier_platform::bus::{Delivery, Urgency};
use atelier_proto::{
    JobId, RequestId, TraceContext,
    job::{JobKind, JobOffer},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Decision, Ledger};

/// Most jobs in hands, reports waiting for an answer included.
const MOST_HELD: usize = 256;

/// Work that is fetched ahead where the device is so quick that fetching would be what takes the time.
const AHEAD: Duration = Duration::from_millis(16);

/// Most jobs that are fetched ahead.
const MOST_AHEAD: usize = 32;

/// Jobs after which the pace of the device is taken for known.
const KNOWN: u32 = 32;

/// Weight of the newest job in the running mean of device time.
const NEWEST: f64 = 0.2;

/// Why work on a job stops early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stop {
    /// Its request was canceled.
    Canceled = 1,
    /// A newer attempt of it is in hands.
    Superseded = 2,
    /// The worker drains.
    Draining = 3,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Phase {
    Waiting,
    Computing,
    Computed,
}

/// One job in hands.
#[derive(Debug)]
pub struct Job {
    /// What the coordinator wants.
    pub offer: JobOffer,
    /// The attempt's own span in the trace of its request; the report carries it on.
    pub trace: TraceContext,
    /// Every delivery of it, so that all are acknowledged.
    deliveries: Mutex<Vec<Arc<Delivery>>>,
    stop: AtomicU8,
    stopping: CancellationToken,
    phase: AtomicU8,
    step: AtomicU32,
    total: AtomicU32,
    started: Mutex<Option<Instant>>,
    hung: CancellationToken,
}

impl Job {
    /// Whether and why to stop.
    pub fn stopped(&self) -> Option<Stop> {
        match self.stop.load(Ordering::SeqCst) {
            1 => Some(Stop::Canceled),
            2 => Some(Stop::Superseded),
            3 => Some(Stop::Draining),
            _ => None,
        }
    }

    /// Stops the work within a step. The first reason stays.
    pub fn stop(&self, why: Stop) {
        let _ = self
            .stop
            .compare_exchange(0, why as u8, Ordering::SeqCst, Ordering::SeqCst);
        self.stopping.cancel();
    }

    /// Ends when the work is to stop.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Ends when nobody wants what is made of it any more. A worker that drains still wants it.
    pub async fn unwanted(&self) {
        self.stopping.cancelled().await;
        if self.stopped() == Some(Stop::Draining) {
            std::future::pending::<()>().await;
        }
    }

    /// The device will never be done with it.
    pub fn hang(&self) {
        self.hung.cancel();
    }

    /// Ends when the device will never be done with it.
    pub async fn hung(&self) {
        self.hung.cancelled().await;
    }

    /// Its deliveries so far.
    pub fn deliveries(&self) -> Vec<Arc<Delivery>> {
        lock(&self.deliveries).clone()
    }

    /// Time that is left by the pace so far; none when it has not begun or its pace is unknown.
    pub fn remaining(&self) -> Option<Duration> {
        let started = (*lock(&self.started))?;
        let (step, total) = (
            self.step.load(Ordering::SeqCst),
            self.total.load(Ordering::SeqCst),
        );
        (step > 0 && total >= step).then(|| started.elapsed() * (total - step) / step)
    }

    /// Whether it is or was on the device.
    pub fn has_begun(&self) -> bool {
        self.phase.load(Ordering::SeqCst) != Phase::Waiting as u8
    }

    /// Whether it has been on the device.
    pub fn is_computed(&self) -> bool {
        self.phase.load(Ordering::SeqCst) == Phase::Computed as u8
    }

    /// Whether it is on the device now.
    pub fn is_computing(&self) -> bool {
        self.phase.load(Ordering::SeqCst) == Phase::Computing as u8
    }

    /// Past the middle, or of unknown length: time to fetch the next one's inputs.
    fn nearly_done(&self) -> bool {
        let total = self.total.load(Ordering::SeqCst);
        self.is_computing() && self.step.load(Ordering::SeqCst).saturating_mul(2) >= total
    }
}

/// All jobs in hands.
#[derive(Debug)]
pub struct Hands {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    /// Jobs that came so far.
    came: watch::Sender<u64>,
    /// Most jobs other than plans that may wait for the device beside those on it.
    ahead: usize,
    /// Most plans that may.
    plans_ahead: usize,
    /// When the device was last seen to do anything.
    moved: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct Inner {
    ledger: Ledger,
    jobs: Vec<Arc<Job>>,
    pace: Pace,
}

/// What signs of life say of the jobs in hands: ids and attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// All of them.
    pub holding: Vec<(JobId, u32)>,
    /// Those on the device.
    pub on_device: Vec<(JobId, u32)>,
    /// Those that have left the device.
    pub computed: Vec<(JobId, u32)>,
}

/// What became of a delivery.
#[derive(Debug)]
pub enum Taken {
    /// Work on it.
    New(Arc<Job>),
    /// It is in hands already, or was: nothing to do but what [`Hands::take`] did.
    Known {
        /// To be acknowledged now.
        settled: Option<Arc<Delivery>>,
    },
}

impl Hands {
    /// Empty hands; `ahead` jobs and `plans_ahead` plans may wait for the device, as many as it takes at once.
    pub fn new(ahead: usize, plans_ahead: usize) -> Self {
        Self {
            inner: Mutex::default(),
            changed: watch::channel(0).0,
            came: watch::channel(0).0,
            ahead: ahead.max(1),
            plans_ahead: plans_ahead.max(1),
            moved: Mutex::new(Instant::now()),
        }
    }

    /// Takes a delivery into hands, or finds that it is known.
    pub fn take(&self, offer: JobOffer, trace: TraceContext, delivery: Delivery) -> Taken {
        let delivery = Arc::new(delivery);
        let mut inner = lock(&self.inner);
        let decision = inner.ledger.decide(offer.job, offer.attempt, offer.request);
        let held = |inner: &Inner, attempt| {
            let same = |job: &&Arc<Job>| job.offer.job == offer.job && job.offer.attempt == attempt;
            inner.jobs.iter().find(same).cloned()
        };
        match decision {
            Decision::Past => {
                return Taken::Known {
                    settled: Some(delivery),
                };
            }
            Decision::Again => {
                if let Some(job) = held(&inner, offer.attempt) {
                    lock(&job.deliveries).push(delivery);
                }
                return Taken::Known { settled: None };
            }
            Decision::Take {
                stop: Some(older), ..
            } => {
                if let Some(job) = held(&inner, older) {
                    job.stop(Stop::Superseded);
                }
            }
            Decision::Take { stop: None } | Decision::Canceled => {}
        }
        let job = Arc::new(Job {
            offer,
            trace,
            deliveries: Mutex::new(vec![delivery]),
            stop: AtomicU8::new(0),
            stopping: CancellationToken::new(),
            phase: AtomicU8::new(Phase::Waiting as u8),
            step: AtomicU32::new(0),
            total: AtomicU32::new(0),
            started: Mutex::default(),
            hung: CancellationToken::new(),
        });
        if decision == Decision::Canceled {
            job.stop(Stop::Canceled);
        }
        inner.jobs.push(job.clone());
        drop(inner);
        self.came.send_modify(|count| *count += 1);
        Taken::New(job)
    }

    /// Lets go of a job. `settled`: a coordinator has answered its report.
    pub fn release(&self, job: &Job, settled: bool) {
        let mut inner = lock(&self.inner);
        inner
            .ledger
            .release(job.offer.job, job.offer.attempt, settled);
        let this = |held: &Arc<Job>| std::ptr::eq(Arc::as_ptr(held), job);
        let was_full = inner.jobs.len() >= MOST_HELD;
        inner.jobs.retain(|held| !this(held));
        let is_empty = inner.jobs.is_empty();
        drop(inner);
        // It made room on the device when it was computed.
        if was_full || is_empty {
            self.poke();
        }
    }

    /// Stops all work on a request, now and when it comes later; returns how many jobs that were.
    pub fn cancel(&self, request: RequestId) -> usize {
        let mut inner = lock(&self.inner);
        inner.ledger.cancel(request);
        let of_it = |job: &&Arc<Job>| job.offer.request == request;
        let stopped: Vec<_> = inner.jobs.iter().filter(of_it).collect();
        stopped.iter().for_each(|job| job.stop(Stop::Canceled));
        stopped.len()
    }

    /// Jobs in hands.
    pub fn jobs(&self) -> Vec<Arc<Job>> {
        lock(&self.inner).jobs.clone()
    }

    /// How many jobs are in hands.
    pub fn held(&self) -> usize {
        lock(&self.inner).jobs.len()
    }

    /// The shortest lease of a job in hands.
    pub fn shortest_lease(&self) -> Option<Duration> {
        let inner = lock(&self.inner);
        let shortest = inner.jobs.iter().map(|job| job.offer.lease_ms).min();
        shortest.map(Duration::from_millis)
    }

    /// Jobs and attempts in hands, and how far they are, for signs of life.
    pub fn signs(&self) -> Signs {
        let inner = lock(&self.inner);
        let mut signs = Signs::default();
        for job in &inner.jobs {
            let pair = (job.offer.job, job.offer.attempt);
            signs.holding.push(pair);
            if job.is_computing() {
                signs.on_device.push(pair);
            } else if job.is_computed() {
                signs.computed.push(pair);
            }
        }
        signs
    }

    /// The device begins with a job.
    pub fn begin(&self, job: &Job) {
        *lock(&job.started) = Some(Instant::now());
        self.moved();
        job.phase.store(Phase::Computing as u8, Ordering::SeqCst);
        // Of a quick device it only counts how many there are before their end.
        if !self.is_quick() {
            self.poke();
        }
    }

    /// The device has done a step.
    pub fn step(&self, job: &Job, step: u32, total: u32) {
        self.moved();
        let before = job.nearly_done();
        job.total.store(total, Ordering::SeqCst);
        job.step.store(step, Ordering::SeqCst);
        if before != job.nearly_done() {
            self.poke();
        }
    }

    /// The device is done with a job, or will never begin.
    pub fn computed(&self, job: &Job) {
        if job.is_computing()
            && let Some(started) = *lock(&job.started)
        {
            lock(&self.inner).pace.took(started.elapsed());
        }
        let before = job.phase.swap(Phase::Computed as u8, Ordering::SeqCst);
        if before != Phase::Computed as u8 {
            self.poke();
        }
    }

    /// Whether the device is known to be so quick that what is around a job takes longer than the job.
    pub fn is_quick(&self) -> bool {
        lock(&self.inner).pace.most_ahead() > 1
    }

    /// Changes whenever a job comes.
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.came.subscribe()
    }

    /// Changes whenever there may be more room for jobs than before, and when the last one goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until more jobs of a kind are wanted, and says how many: urgently when the device is idle, less so when the one it has is past its
    /// middle. Of plans as many may wait as are made at once: a worker that draws gathers them meanwhile.
    pub async fn room(&self, kind: JobKind) -> (Urgency, usize) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if let Some(wanted) = self.room_now(kind) {
                return wanted;
            }
            // The sender lives in self, so that this cannot fail.
            let _ = changes.changed().await;
        }
    }

    fn room_now(&self, kind: JobKind) -> Option<(Urgency, usize)> {
        let inner = lock(&self.inner);
        if inner.jobs.len() >= MOST_HELD {
            return None;
        }
        let most = inner.pace.most_ahead();
        let before_end = inner.jobs.iter().filter(|job| !job.is_computed());
        let (on_device, waiting): (Vec<_>, Vec<_>) = before_end.partition(|job| job.is_computing());
        let held = on_device.len() + waiting.len();
        if held == 0 {
            return Some((Urgency::Idle, most));
        }
        if held < most {
            return Some((Urgency::Ahead, most - held));
        }
        let ends_soon = on_device.iter().all(|job| job.nearly_done());
        let is_plan = |kind| kind == JobKind::Plan;
        let alike = |job: &&&Arc<Job>| is_plan(job.offer.work.kind()) == is_plan(kind);
        let waiting = waiting.iter().filter(alike).count();
        if is_plan(kind) {
            let wanted = self.plans_ahead.saturating_sub(waiting);
            return (ends_soon && wanted > 0).then_some((Urgency::Ahead, wanted));
        }
        (ends_soon && waiting < self.ahead).then_some((Urgency::Ahead, 1))
    }

    /// The jobs on the device, when it has done nothing with them for `limit`.
    pub fn stuck(&self, limit: Duration) -> Vec<Arc<Job>> {
        if lock(&self.moved).elapsed() < limit {
            return Vec::new();
        }
        let inner = lock(&self.inner);
        let on_device = inner.jobs.iter().filter(|job| job.is_computing());
        on_device.cloned().collect()
    }

    fn moved(&self) {
        *lock(&self.moved) = Instant::now();
    }

    fn poke(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// How long jobs have the device.
#[derive(Debug, Default)]
struct Pace {
    jobs: u32,
    /// Running mean, in seconds.
    mean: f64,
}

impl Pace {
    fn took(&mut self, time: Duration) {
        let took = time.as_secs_f64();
        self.mean += if self.jobs == 0 { 1.0 } else { NEWEST } * (took - self.mean);
        self.jobs = self.jobs.saturating_add(1);
    }

    /// Jobs that may be before their end at once: 1 unless the device is known to be very quick.
    fn most_ahead(&self) -> usize {
        if self.jobs < KNOWN {
            return 1;
        }
        let jobs = AHEAD.as_secs_f64() / self.mean.max(1e-6);
        (jobs as usize).clamp(1, MOST_AHEAD)
    }
}

/// Our critical sections cannot leave things half done, so that a panic elsewhere does no harm to them.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_device_that_is_known_to_be_quick_gets_several_jobs_ahead() {
        let after = |jobs: u32, time: Duration| {
            let mut pace = Pace::default();
            (0..jobs).for_each(|_| pace.took(time));
            pace.most_ahead()
        };
        assert_eq!(after(KNOWN - 1, Duration::from_micros(100)), 1);
        assert_eq!(after(KNOWN, Duration::from_micros(100)), MOST_AHEAD);
        assert_eq!(after(KNOWN, Duration::from_millis(4)), 4);
        assert_eq!(after(KNOWN, Duration::from_secs(2)), 1);
    }
}
