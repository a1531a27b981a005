//! From the queue to the receiver: what came while one batch was under way makes the next.

use std::time::{Duration, Instant};

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Counted, Program, SpansError};

/// Most spans in one message.
const BATCH: usize = 512;
/// How long a message waits for more spans.
const LINGER: Duration = Duration::from_secs(1);
/// How long one message may take with all its tries. The exporter has a timeout of its own, 10 seconds unless the environment names another one,
/// after which it begins no further try.
const LONGEST: Duration = Duration::from_secs(60);
/// Shortest time between two log lines about a receiver that does not take spans.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// Speaks to the receiver at `endpoint`.
pub fn exporter(endpoint: &str, program: Program) -> Result<SpanExporter, SpansError> {
    let bare = endpoint.trim_end_matches('/');
    let host = bare
        .strip_prefix("http://")
        .or_else(|| bare.strip_prefix("https://"));
    if host.is_none_or(str::is_empty) {
        return Err(SpansError::Endpoint(endpoint.to_owned()));
    }
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{bare}/v1/traces"))
        .build()?;
    exporter.set_resource(&resource(program));
    Ok(exporter)
}

/// What is said of this process. Names of the environment come before ours.
fn resource(program: Program) -> Resource {
    let told = Resource::builder().build();
    let name = told.get(&Key::from_static_str("service.name"));
    let named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let own = [
        (!named).then(|| KeyValue::new("service.name", program.name)),
        Some(KeyValue::new("service.version", program.version)),
        program
            .instance
            .map(|instance| KeyValue::new("service.instance.id", instance)),
    ];
    Resource::builder()
        .with_attributes(own.into_iter().flatten())
        .build()
}

/// Exports until `closing`, then what still waits.
pub async fn run(
    exporter: SpanExporter,
    mut queue: mpsc::Receiver<SpanData>,
    counted: Counted,
    closing: CancellationToken,
) {
    let mut complaint = Complaint::default();
    while let Some(batch) = gather(&mut queue, &closing).await {
        let spans = batch.len();
        let sent = tokio::time::timeout(LONGEST, exporter.export(batch)).await;
        match sent {
            Ok(Ok(())) => counted.add("exported", spans),
            Ok(Err(error)) => complaint.lost(&counted, spans, &error),
            Err(late) => complaint.lost(&counted, spans, &late),
        }
    }
}

/// The next batch; none after the last one.
async fn gather(
    queue: &mut mpsc::Receiver<SpanData>,
    closing: &CancellationToken,
) -> Option<Vec<SpanData>> {
    let mut batch = Vec::new();
    let fill = async {
        if queue.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        let more = async {
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                if queue.recv_many(&mut batch, room).await == 0 {
                    return;
                }
            }
        };
        // What came until then is in the batch either way.
        let _ = tokio::time::timeout(LINGER, more).await;
    };
    tokio::select! {
        () = fill => {}
        () = closing.cancelled() => queue.close(),
    }
    while batch.len() < BATCH
        && let Ok(span) = queue.try_recv()
    {
        batch.push(span);
    }
    (!batch.is_empty()).then_some(batch)
}

/// Says that spans get lost, without filling the log.
#[derive(Debug, Default)]
struct Complaint {
    said: Option<Instant>,
    unsaid: usize,
}

impl Complaint {
    fn lost(&mut self, counted: &Counted, spans: usize, why: &dyn std::error::Error) {
        counted.add("failed", spans);
        self.unsaid += spans;
        if self.said.is_none_or(|said| said.elapsed() >= BETWEEN_LINES) {
            self.said = Some(Instant::now());
            let lost = std::mem::take(&mut self.unsaid);
            tracing::warn!(error = %why, spans = lost, "the OTLP receiver did not take spans: they are lost");
        }
    }
}
