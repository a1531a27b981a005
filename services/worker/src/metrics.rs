//! What the worker counts.

use std::time::Duration;

use atelier_engine::Looked;
use atelier_platform::telemetry::Metrics;
use atelier_proto::{
    job::JobKind,
    report::{Outcome, ReportAnswer},
};
use prometheus::{Gauge, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// Upper bounds in seconds, from a fast GPU's step to a slow CPU's picture.
const SECONDS: [f64; 12] = [
    0.01, 0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// The worker's metrics.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    /// Ended attempts by kind and outcome.
    attempts: IntCounterVec,
    /// Answers to reports.
    answers: IntCounterVec,
    /// What was looked for before it was made.
    cache: IntCounterVec,
    /// Time on the device.
    device_seconds: HistogramVec,
    /// Jobs in hands.
    pub holding: IntGauge,
    /// Kinds that are not taken at the moment.
    kept_from: IntGaugeVec,
    /// Seconds that loading took.
    pub load_seconds: Gauge,
    /// 1 while nothing new is taken.
    pub draining: IntGauge,
    /// Reports that had to be sent again.
    pub report_retries: IntCounter,
    /// Messages that nobody can read.
    pub malformed: IntCounter,
    /// Deliveries of jobs that were in hands or done already.
    pub duplicates: IntCounter,
}

impl WorkerMetrics {
    /// Makes the metrics; once a process.
    pub fn new(metrics: &Metrics) -> Self {
        let made = Self {
            attempts: metrics.counters(
                "worker_attempts_total",
                "Attempts that ended, by kind and outcome.",
                &["kind", "outcome"],
            ),
            answers: metrics.counters(
                "worker_answers_total",
                "Answers of coordinators to reports.",
                &["answer"],
            ),
            cache: metrics.counters(
                "worker_cache_total",
                "What was looked for before it was made, by what it is and whether it was there.",
                &["cache", "outcome"],
            ),
            device_seconds: metrics.histograms(
                "worker_device_seconds",
                "Time that an attempt took on the device, in seconds; of a batch its share.",
                &["kind"],
                &SECONDS,
            ),
            holding: metrics.gauge("worker_holding", "Jobs in this worker's hands."),
            kept_from: metrics.gauges(
                "worker_kept_from",
                "1 while this worker takes no jobs of the kind because it kept failing at them.",
                &["kind"],
            ),
            load_seconds: metrics.float_gauge(
                "worker_load_seconds",
                "Seconds that loading the model took.",
            ),
            draining: metrics.gauge(
                "worker_draining",
                "1 while this worker finishes what is in hand and takes nothing new.",
            ),
            report_retries: metrics.counter(
                "worker_report_retries_total",
                "Reports that had to be sent again because nobody answered.",
            ),
            malformed: metrics.counter(
                "worker_malformed_total",
                "Messages that could not be read and were discarded.",
            ),
            duplicates: metrics.counter(
                "worker_duplicates_total",
                "Deliveries of jobs that were in hands or done already.",
            ),
        };
        made.show_zeros();
        made
    }

    /// A series that is there from the start lets its first event be seen as a rise.
    fn show_zeros(&self) {
        for kind in JobKind::ALL {
            self.device_seconds.with_label_values(&[kind.as_str()]);
            self.kept_from.with_label_values(&[kind.as_str()]);
            for outcome in ["done", "failed", "returned"] {
                self.attempts.with_label_values(&[kind.as_str(), outcome]);
            }
        }
        for cache in ["results", "drafts", "texts"] {
            for outcome in ["hit", "miss"] {
                self.cache.with_label_values(&[cache, outcome]);
            }
        }
        for answer in ["committed", "superseded", "refused"] {
            self.answers.with_label_values(&[answer]);
        }
    }

    /// An attempt ended.
    pub fn attempt(&self, kind: JobKind, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Planned { .. } | Outcome::Rendered { .. } | Outcome::Reviewed { .. } => "done",
            Outcome::Failed { .. } => "failed",
            Outcome::Returned => "returned",
        };
        self.attempts
            .with_label_values(&[kind.as_str(), outcome])
            .inc();
    }

    /// These kinds are not taken at the moment, the others are.
    pub fn kept_from(&self, kinds: &[JobKind]) {
        for kind in JobKind::ALL {
            let kept = i64::from(kinds.contains(&kind));
            self.kept_from.with_label_values(&[kind.as_str()]).set(kept);
        }
    }

    /// A coordinator answered.
    pub fn answer(&self, answer: ReportAnswer) {
        let answer = match answer {
            ReportAnswer::Committed => "committed",
            ReportAnswer::Superseded => "superseded",
            ReportAnswer::Refused => "refused",
        };
        self.answers.with_label_values(&[answer]).inc();
    }

    /// Something was looked for before it was made.
    pub fn cache(&self, cache: &str, hit: bool) {
        let mut looked = Looked::default();
        looked.count(hit);
        self.looked(cache, looked);
    }

    /// Several things were looked for before they were made.
    pub fn looked(&self, cache: &str, looked: Looked) {
        for (outcome, count) in [("hit", looked.hits), ("miss", looked.misses)] {
            let counter = self.cache.with_label_values(&[cache, outcome]);
            counter.inc_by(count.into());
        }
    }

    /// The device worked.
    pub fn device(&self, kind: JobKind, time: Duration) {
        self.device_seconds
            .with_label_values(&[kind.as_str()])
            .observe(time.as_secs_f64());
    }
}
