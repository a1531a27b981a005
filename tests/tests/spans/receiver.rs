//! An OTLP receiver that keeps what it reads, refuses it, or never answers.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::span::SpanKind,
};
use prost::Message;
use tokio::net::TcpListener;

/// What it does with spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Takes,
    Refuses,
    Hangs,
}

/// A span as tests look at it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub service: String,
    pub name: String,
    pub kind: SpanKind,
    pub trace: String,
    pub id: String,
    /// Empty of a root.
    pub parent: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub failed: bool,
    attributes: Vec<KeyValue>,
}

impl Seen {
    /// An attribute as text.
    pub fn attribute(&self, name: &str) -> Option<String> {
        text(&self.attributes, name)
    }
}

/// The receiver.
pub struct Receiver {
    pub url: String,
    state: Arc<Mutex<Kept>>,
}

struct Kept {
    mood: Mood,
    calls: usize,
    headers: HeaderMap,
    bodies: Vec<Bytes>,
}

impl Receiver {
    pub async fn start(mood: Mood) -> Result<Self> {
        let state = Arc::new(Mutex::new(Kept {
            mood,
            calls: 0,
            headers: HeaderMap::new(),
            bodies: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, state })
    }

    pub fn become_one_that(&self, mood: Mood) {
        self.kept(|kept| kept.mood = mood);
    }

    /// Messages that came, taken or not.
    pub fn calls(&self) -> usize {
        self.kept(|kept| kept.calls)
    }

    /// A header of the last message.
    pub fn header(&self, name: &str) -> Option<String> {
        self.kept(|kept| Some(kept.headers.get(name)?.to_str().ok()?.to_owned()))
    }

    /// Whether `words` stand anywhere in what was taken.
    pub fn was_told(&self, words: &str) -> bool {
        let words = words.as_bytes();
        let tells = |body: &Bytes| body.windows(words.len()).any(|part| part == words);
        self.kept(|kept| kept.bodies.iter().any(tells))
    }

    /// Every span that was taken.
    pub fn spans(&self) -> Result<Vec<Seen>> {
        let bodies = self.kept(|kept| kept.bodies.clone());
        let mut all = Vec::new();
        for body in bodies {
            for of in ExportTraceServiceRequest::decode(body)?.resource_spans {
                let about = of.resource.unwrap_or_default().attributes;
                let service = text(&about, "service.name").unwrap_or_default();
                let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
                all.extend(spans.map(|span| Seen {
                    service: service.clone(),
                    kind: span.kind(),
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    start: span.start_time_unix_nano,
                    end: span.end_time_unix_nano,
                    failed: span.status.is_some_and(|status| status.code == 2),
                    name: span.name,
                    attributes: span.attributes,
                }));
            }
        }
        Ok(all)
    }

    fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.state.lock().expect("nobody panics while holding it"))
    }
}

async fn receive(
    State(state): State<Arc<Mutex<Kept>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mood = {
        let mut kept = state.lock().expect("nobody panics while holding it");
        kept.calls += 1;
        kept.headers = headers;
        if kept.mood == Mood::Takes {
            kept.bodies.push(body);
        }
        kept.mood
    };
    match mood {
        Mood::Takes => StatusCode::OK,
        Mood::Refuses => StatusCode::SERVICE_UNAVAILABLE,
        Mood::Hangs => std::future::pending().await,
    }
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == name)?;
    match found.value.as_ref()? {
        AnyValue {
            value: Some(Value::StringValue(text)),
        } => Some(text.clone()),
        AnyValue { value: Some(other) } => Some(format!("{other:?}")),
        AnyValue { value: None } => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
