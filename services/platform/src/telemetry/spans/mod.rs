//! Traces over OTLP: spans of what was done, told to a receiver such as an OpenTelemetry collector.
//!
//! Ids come from [`TraceContext`], so that every process knows those of the others. Nobody waits for the receiver: spans go into a queue of
//! bounded length, and what finds it full is dropped and counted.

mod export;

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use atelier_proto::TraceContext;
use opentelemetry::{
    InstrumentationScope, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, Status, TraceState},
};
pub use opentelemetry::{KeyValue, trace::SpanKind};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use prometheus::IntCounterVec;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use crate::{Clock, SystemClock};

/// Spans that may wait for the receiver, about half a kilobyte each; more are dropped.
const MOST_WAITING: usize = 4_096;

/// Longest description of a failure, in characters.
const MOST_WORDS: usize = 300;

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum SpansError {
    /// The receiver's address is none.
    #[error(
        "{0:?} is no address of an OTLP receiver, which looks like http://collector.example:4318"
    )]
    Endpoint(String),
    /// The exporter cannot be made.
    #[error("OTLP over HTTP: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Who exports.
#[derive(Clone, Debug)]
pub struct Program {
    /// Name of the service, unless the environment (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`) gives it one.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Which of several of one name it is, where it has a name of its own.
    pub instance: Option<String>,
}

/// Where spans go. Clones share the queue; without a receiver all of it does nothing.
#[derive(Clone, Debug, Default)]
pub struct Spans(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<SpanData>,
    counted: Counted,
    closing: CancellationToken,
    exporting: Mutex<Option<JoinHandle<()>>>,
    scope: InstrumentationScope,
}

/// What became of spans.
#[derive(Clone, Debug)]
struct Counted(IntCounterVec);

impl Counted {
    fn new(registry: &Metrics) -> Self {
        let counted = Self(registry.counters(
            "spans_total",
            "Spans of traces by what became of them: exported, dropped because too many waited, failed because the receiver did not take them.",
            &["outcome"],
        ));
        for outcome in ["exported", "dropped", "failed"] {
            counted.add(outcome, 0);
        }
        counted
    }

    fn add(&self, outcome: &str, spans: usize) {
        self.0
            .with_label_values(&[outcome])
            .inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
    }
}

impl Spans {
    /// Exports to the receiver at `endpoint`, which is as `OTEL_EXPORTER_OTLP_ENDPOINT` has it; with none nothing is exported. Headers, timeout
    /// and attributes of the process come from OpenTelemetry's own variables of the environment. Must be called on a runtime.
    pub fn open(
        endpoint: Option<&str>,
        program: Program,
        registry: &Metrics,
    ) -> Result<Self, SpansError> {
        let counted = Counted::new(registry);
        let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) else {
            return Ok(Self(None));
        };
        let scope = InstrumentationScope::builder("atelier")
            .with_version(program.version)
            .build();
        let exporter = export::exporter(endpoint, program)?;
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let closing = CancellationToken::new();
        let task = export::run(exporter, waiting, counted.clone(), closing.clone());
        tracing::info!(endpoint, "spans are exported");
        Ok(Self(Some(Arc::new(Inner {
            queue,
            counted,
            closing,
            exporting: Mutex::new(Some(tokio::spawn(task))),
            scope,
        }))))
    }

    /// Whether anybody wants spans of this trace. A submitter that says that its trace is not kept gets none; a trace of ours is always kept,
    /// for what of it is worth keeping can be told at its end only, by the receiver.
    pub fn want(&self, trace: TraceContext) -> bool {
        self.0.is_some() && trace.is_sampled()
    }

    /// Takes a span that is over. Never waits.
    pub fn record(&self, span: Span) {
        let Some(inner) = self.0.as_ref().filter(|_| span.at.is_sampled()) else {
            return;
        };
        let taken = !inner.closing.is_cancelled()
            && inner.queue.try_send(span.finish(&inner.scope)).is_ok();
        if !taken {
            inner.counted.add("dropped", 1);
        }
    }

    /// Exports what still waits, for at most `patience`. What comes later is dropped.
    pub async fn close(&self, patience: Duration) {
        let Some(inner) = &self.0 else { return };
        inner.closing.cancel();
        let exporting = inner
            .exporting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut exporting) = exporting
            && tokio::time::timeout(patience, &mut exporting)
                .await
                .is_err()
        {
            exporting.abort();
            tracing::warn!("the last spans were not exported in time");
        }
    }
}

/// Tells the time of day of moments that were taken with the steady clock: by one look at both, so that what lies within another stays within.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    now: SystemTime,
    at: Instant,
}

impl Moments {
    /// By how the clocks stand now.
    pub fn now() -> Self {
        Self {
            now: SystemClock.now(),
            at: Instant::now(),
        }
    }

    /// The time of day of a moment that is past, or of now.
    pub fn time(&self, moment: Instant) -> SystemTime {
        let ago = self.at.saturating_duration_since(moment);
        self.now.checked_sub(ago).unwrap_or(self.now)
    }
}

/// Something that was done, from when until when.
#[derive(Clone, Debug)]
pub struct Span {
    at: TraceContext,
    name: Cow<'static, str>,
    kind: SpanKind,
    times: (SystemTime, SystemTime),
    parent: Option<TraceContext>,
    /// Whether another process did what the parent tells of.
    far: bool,
    attributes: Vec<KeyValue>,
    failure: Option<String>,
}

impl Span {
    /// A span without a parent.
    pub fn new(
        at: TraceContext,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        times: (SystemTime, SystemTime),
    ) -> Self {
        Self {
            at,
            name: name.into(),
            kind,
            times,
            parent: None,
            far: false,
            attributes: Vec::new(),
            failure: None,
        }
    }

    /// A part of what this process did.
    #[must_use]
    pub fn within(self, parent: TraceContext) -> Self {
        Self {
            parent: Some(parent),
            ..self
        }
    }

    /// A consequence of what another process did.
    #[must_use]
    pub fn after(self, parent: TraceContext) -> Self {
        Self {
            far: true,
            ..self.within(parent)
        }
    }

    /// With an attribute; of OpenTelemetry's semantic conventions where they name one.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<opentelemetry::Value>) -> Self {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// The same when there is a value.
    #[must_use]
    pub fn with_some(
        self,
        name: &'static str,
        value: Option<impl Into<opentelemetry::Value>>,
    ) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With what OpenTelemetry's conventions for messaging ask of a message on NATS: `operation` as it is called, `kind` as they call it (`send`,
    /// `process`).
    #[must_use]
    pub fn on_nats(self, operation: &'static str, kind: &'static str, subject: String) -> Self {
        self.with("messaging.system", "nats")
            .with("messaging.operation.name", operation)
            .with("messaging.operation.type", kind)
            .with("messaging.destination.name", subject)
    }

    /// It failed when there is a reason.
    #[must_use]
    pub fn failed(self, why: Option<&str>) -> Self {
        let failure = why.map(|why| why.chars().take(MOST_WORDS).collect());
        Self { failure, ..self }
    }

    fn finish(self, scope: &InstrumentationScope) -> SpanData {
        let (start_time, end_time) = self.times;
        SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(self.at.trace_bytes()),
                SpanId::from_bytes(self.at.span_bytes()),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: self.parent.map_or(SpanId::INVALID, |parent| {
                SpanId::from_bytes(parent.span_bytes())
            }),
            parent_span_is_remote: self.far,
            span_kind: self.kind,
            name: self.name,
            start_time,
            // Clocks may be set in between.
            end_time: end_time.max(start_time),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: self.failure.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
