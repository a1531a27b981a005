//! What a coordinator counts. The documentation of a field is the help text of its metric.
//!
//! Instance metrics are counted as things happen; the gauges of jobs are read from the database now and then, by every coordinator alike.

mod quality;

use atelier_platform::telemetry::Metrics as Registry;
use atelier_proto::{http::RequestState, job::JobKind};
use prometheus::{
    GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};

/// From a fast local answer to a job that took minutes, in seconds.
const WAITS: [f64; 14] = [
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0,
];

/// From a picture of a fast GPU to a request that waited for a day, in seconds.
const DURATIONS: [f64; 14] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 86_400.0,
];

/// A request has at most four rounds.
const ROUNDS: [f64; 4] = [1.0, 2.0, 3.0, 4.0];

/// Most plans cover everything, and prompts have some ten words of meaning.
const SHARES: [f64; 8] = [0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1.0];

/// Group commits hold 1 to 512 things.
const BATCHES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

macro_rules! metrics {
    ($( #[doc = $help:literal] $field:ident: $kind:ty = $make:ident($name:literal $(, $extra:expr)*), )*) => {
        /// The metrics of this process.
        #[derive(Clone, Debug)]
        pub struct Metrics {
            $( #[doc = $help] pub $field: $kind, )*
        }

        impl Metrics {
            /// Makes and registers all of them.
            pub fn new(registry: &Registry) -> Self {
                let made = Self { $( $field: registry.$make($name, $help.trim() $(, $extra)*), )* };
                made.show_zeros();
                made
            }
        }
    };
}

metrics! {
    #[doc = " Requests that were accepted and are durable."]
    requests_accepted: IntCounter = counter("requests_accepted_total"),
    #[doc = " Submits that were refused because their tenant's queue was full."]
    submits_refused: IntCounter = counter("submits_refused_total"),
    #[doc = " Requests that ended, by state, as far as this coordinator ended them."]
    requests_ended: IntCounterVec = counters("requests_ended_total", &["state"]),
    #[doc = " Jobs that were published, by kind."]
    jobs_published: IntCounterVec = counters("jobs_published_total", &["kind"]),
    #[doc = " Jobs that were marked dispatched together with what made them ready, and so needed no claim."]
    chained: IntCounter = counter("jobs_chained_total"),
    #[doc = " Jobs that could not be published and went back to ready."]
    publish_failures: IntCounter = counter("publish_failures_total"),
    #[doc = " Jobs that were published ahead of a commit which did not come, and taken back."]
    taken_back: IntCounter = counter("jobs_taken_back_total"),
    #[doc = " Reports of workers, by kind of job and answer: committed, superseded, refused or early (none: their commit has not come, and they come again)."]
    reports: IntCounterVec = counters("reports_total", &["kind", "answer"]),
    #[doc = " Messages on NATS that could not be read, by what they should have been."]
    malformed: IntCounterVec = counters("malformed_messages_total", &["message"]),
    #[doc = " Requests in which leases ran out."]
    leases_expired: IntCounter = counter("leases_expired_total"),
    #[doc = " Jobs whose messages were lost with a stream."]
    messages_lost: IntCounter = counter("messages_lost_total"),
    #[doc = " Traces that were stored."]
    traces_stored: IntCounter = counter("traces_stored_total"),
    #[doc = " Tries to tell the end of a request to whoever asked for it, by outcome: delivered, failed (comes again) or given_up."]
    webhooks: IntCounterVec = counters("webhook_deliveries_total", &["outcome"]),
    #[doc = " Tries to write into a worker's pod how many jobs it holds, by outcome: written, gone (there is no such pod), refused (no right to) or failed."]
    pod_costs: IntCounterVec = counters("pod_deletion_cost_writes_total", &["outcome"]),
    #[doc = " Objects that nothing pointed at and that were deleted."]
    objects_swept: IntCounter = counter("objects_swept_total"),
    #[doc = " Jobs that are not over, by kind, state, priority and the model that they want, of the whole farm."]
    jobs: IntGaugeVec = gauges("jobs", &["kind", "state", "priority", "model"]),
    #[doc = " Workers that gave a sign of life in the last seconds, by role."]
    workers: IntGaugeVec = gauges("workers", &["role"]),
    #[doc = " Readers of event streams at the moment."]
    event_readers: IntGauge = gauge("event_readers"),
    #[doc = " Seconds that commits took, by operation."]
    commit_seconds: HistogramVec = histograms("commit_seconds", &["operation"], &WAITS),
    #[doc = " Things that went into one commit, by operation."]
    commit_size: HistogramVec = histograms("commit_size", &["operation"], &BATCHES),
    #[doc = " Seconds of device time a job took, by kind."]
    device_seconds: HistogramVec = histograms("device_seconds", &["kind"], &WAITS),
    #[doc = " Seconds between a request's acceptance and its end, by how much was thought and how urgent it was; successes only."]
    request_duration_seconds: HistogramVec = histograms("request_duration_seconds", &["think", "priority"], &DURATIONS),
    #[doc = " Rounds of render and critique that successful requests took."]
    request_rounds: Histogram = histogram("request_rounds", &ROUNDS),
    #[doc = " Successful requests by what the critique made of them: first_try, mended, improved, unmended or unchecked."]
    request_quality: IntCounterVec = counters("request_quality_total", &["result"]),
    #[doc = " Pictures that were drawn again, by what came of it compared with the best before: better, same or worse."]
    redraws: IntCounterVec = counters("redraws_total", &["effect"]),
    #[doc = " Answers of critiques, by kind of check and answer: pass, fail or unknown."]
    checks: IntCounterVec = counters("checks_total", &["kind", "answer"]),
    #[doc = " Plans by how they ended: made, or fallback when the prompt was drawn as it is because planning failed."]
    plans: IntCounterVec = counters("plans_total", &["result"]),
    #[doc = " Share of a prompt's words with a meaning of their own that its plan is made of, of plans that were carried out, by how much was thought."]
    plan_coverage: HistogramVec = histograms("plan_coverage_ratio", &["think"], &SHARES),
    #[doc = " Such words by whether the plan is made of them: cited or uncited."]
    plan_words: IntCounterVec = counters("plan_words_total", &["word"]),
    #[doc = " Seconds between a job's being ready and its end, less its time on a device, by kind."]
    job_wait_seconds: HistogramVec = histograms("job_wait_seconds", &["kind"], &DURATIONS),
    #[doc = " Attempts beyond the first that jobs of ended requests took, by kind."]
    job_retries: IntCounterVec = counters("job_retries_total", &["kind"]),
    #[doc = " Drawings that were on a device at once."]
    render_batch: Histogram = histogram("render_batch_size", &BATCHES),
    #[doc = " Age in seconds of the oldest job that is ready and not dispatched, by kind, priority and the model that it wants; 0 with none."]
    oldest_ready: GaugeVec = float_gauges("oldest_ready_job_seconds", &["kind", "priority", "model"]),
    #[doc = " Seconds until the head of an answer, by method, path as documented, and outcome: ok, refused (4xx) or failed (5xx)."]
    http_seconds: HistogramVec = histograms("http_request_seconds", &["method", "path", "outcome"], &WAITS),
    #[doc = " Seconds between a submit's arrival and its durable answer."]
    submit_seconds: Histogram = histogram("submit_seconds", &WAITS),
}

impl Metrics {
    /// A series that is there from the start lets its first event be seen as a rise.
    fn show_zeros(&self) {
        for state in RequestState::ALL {
            if state.is_terminal() {
                self.requests_ended.with_label_values(&[state.as_str()]);
            }
        }
        for kind in JobKind::ALL {
            let kind = kind.as_str();
            self.jobs_published.with_label_values(&[kind]);
            self.job_retries.with_label_values(&[kind]);
            self.device_seconds.with_label_values(&[kind]);
            self.job_wait_seconds.with_label_values(&[kind]);
            self.workers.with_label_values(&[kind]);
            for answer in ["committed", "superseded", "refused"] {
                self.reports.with_label_values(&[kind, answer]);
            }
        }
        for outcome in ["delivered", "failed", "given_up"] {
            self.webhooks.with_label_values(&[outcome]);
        }
        for outcome in ["written", "gone", "refused", "failed"] {
            self.pod_costs.with_label_values(&[outcome]);
        }
        for message in ["cancel", "heartbeat", "progress", "report"] {
            self.malformed.with_label_values(&[message]);
        }
        self.show_quality_zeros();
    }

    /// Notes one commit.
    pub fn committed(&self, operation: &'static str, things: usize, started: std::time::Instant) {
        let labels = &[operation];
        self.commit_size
            .with_label_values(labels)
            .observe(things as f64);
        self.commit_seconds
            .with_label_values(labels)
            .observe(started.elapsed().as_secs_f64());
    }
}
