//! `GET /v1/requests/{id}/events`: server-sent events, first the request as it stands, then its changes and progress, up to its end.

use std::{convert::Infallible, time::Duration};

use atelier_platform::artifacts::digest;
use atelier_proto::{
    decode,
    http::{Event, RequestView},
    signal::Progress,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, future::OptionFuture};
use prometheus::IntGauge;
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
};
use crate::operations::look::look;

/// Events that a slow reader may be behind; progress beyond that is left out.
const BEHIND: usize = 16;
/// Changes of a request that goes on are told this often.
const BETWEEN: Duration = Duration::from_millis(50);
/// The request is looked at this often although nobody said that it changed.
const SWEEP: Duration = Duration::from_secs(2);
/// A comment this often keeps proxies from closing a silent stream, and finds out that a reader is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A reader whose stream broke comes again after this.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// Hexadecimal digits that name a state.
const NAME_DIGITS: usize = 16;

/// A request as it stands, and what the event that tells it is called.
struct Standing {
    view: RequestView,
    /// Begins the digest of the view: a reader that comes again says by it what it knows.
    name: String,
}

/// Counts a reader for as long as it is there.
struct Reader(IntGauge);

/// Streams the events of one request. A reader that comes again is told the state anew, whatever it missed; one that has the last state
/// already gets 204, which ends its coming.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // Before the first look, so that no change falls between.
    let watch = api.farm.changes.watch(id);
    let view = look(&api.farm, caller.tenant, id).await?;
    let first = Standing::of(view.ok_or_else(|| ApiError::no_request(id))?);
    let seen = headers.get("last-event-id");
    if first.view.state.is_terminal() && seen.is_some_and(|seen| *seen == *first.name) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (sender, receiver) = mpsc::channel(BEHIND);
    tokio::spawn(follow(api, caller, first, watch, sender));
    let events = ReceiverStream::new(receiver).map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

/// Sends events until the request, the reader or the coordinator ends.
async fn follow(
    api: Api,
    caller: Caller,
    first: Standing,
    mut watch: crate::farm::Watch,
    sender: mpsc::Sender<sse::Event>,
) {
    let _reader = Reader::new(&api.farm.metrics.event_readers);
    let id = first.view.id;
    let subject = api.farm.bus.names().progress(id);
    // Without progress the changes still come.
    let mut progress = api.farm.bus.subscribe(subject, None).await.ok();
    let mut shown = first;
    if sender.send(shown.event().retry(COME_AGAIN)).await.is_err() {
        return;
    }
    let mut told = Instant::now();
    let mut due = told + SWEEP;
    while !shown.view.state.is_terminal() {
        let step = OptionFuture::from(progress.as_mut().map(StreamExt::next));
        tokio::select! {
            () = api.stop.cancelled() => return,
            () = sender.closed() => return,
            () = watch.changed() => {
                // Only its end is told at once.
                if api.farm.store.goes_on(id) {
                    due = due.min(told + BETWEEN);
                    if Instant::now() < due {
                        continue;
                    }
                }
            }
            () = tokio::time::sleep_until(due) => {}
            Some(Some(message)) = step => {
                // One that cannot be read is counted once, where leases are extended, and not by each of its readers.
                if let Ok(read) = decode::<Progress>(&message.payload) {
                    // A reader that is behind needs the latest state, not every step.
                    let _ = sender.try_send(to_sse(&to_event(read.body)));
                }
                continue;
            }
        }
        told = Instant::now();
        due = told + SWEEP;
        match look(&api.farm, caller.tenant, id).await {
            Ok(Some(view)) if view != shown.view => {
                shown = Standing::of(view);
                if sender.send(shown.event()).await.is_err() {
                    return;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => tracing::warn!(request = %id, %error, "a request was not looked at"),
        }
    }
}

impl Standing {
    fn of(view: RequestView) -> Self {
        let text = serde_json::to_vec(&view).expect("a view holds nothing that JSON cannot");
        let mut name = digest(&text).to_string();
        name.truncate(NAME_DIGITS);
        Self { view, name }
    }

    fn event(&self) -> sse::Event {
        let request = Box::new(self.view.clone());
        to_sse(&Event::Request { request }).id(&self.name)
    }
}

impl Reader {
    fn new(readers: &IntGauge) -> Self {
        readers.inc();
        Self(readers.clone())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn to_event(progress: Progress) -> Event {
    Event::Progress {
        kind: progress.kind,
        step: progress.step,
        total: progress.total,
        preview: progress.preview_png.map(|png| BASE64_STANDARD.encode(png)),
    }
}

fn to_sse(event: &Event) -> sse::Event {
    let name = match event {
        Event::Request { .. } => "request",
        Event::Progress { .. } => "progress",
    };
    let data = serde_json::to_string(event).expect("an event holds nothing that JSON cannot");
    sse::Event::default().event(name).data(data)
}
