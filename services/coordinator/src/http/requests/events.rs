//! `GET /v1/requests/{id}/events`: server-sent events, first the request as it stands, then its changes and progress, up to its end.

use std::{convert::Infallible, time::Duration};

use atelier_proto::{
    decode,
    http::{Event, RequestView},
    signal::Progress,
};
use axum::{
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{Stream, StreamExt, future::OptionFuture};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
};
use crate::operations::look::look;

/// Events that a slow reader may be behind; progress beyond that is left out.
const BEHIND: usize = 16;
/// The request is looked at this often although nobody said that it changed.
const SWEEP: Duration = Duration::from_secs(2);
/// A comment this often keeps proxies from closing a silent stream.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Streams the events of one request.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    // Before the first look, so that no change falls between.
    let watch = api.farm.changes.watch(id);
    let view = look(&api.farm, caller.tenant, id).await?;
    let view = view.ok_or_else(|| ApiError::no_request(id))?;
    let (sender, receiver) = mpsc::channel(BEHIND);
    tokio::spawn(follow(api, caller, view, watch, sender));
    let events = ReceiverStream::new(receiver).map(|event| Ok(to_sse(&event)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Sends events until the request, the reader or the coordinator ends.
async fn follow(
    api: Api,
    caller: Caller,
    first: RequestView,
    mut watch: crate::farm::Watch,
    sender: mpsc::Sender<Event>,
) {
    let id = first.id;
    let subject = api.farm.bus.names().progress(id);
    // Without progress the changes still come.
    let mut progress = api.farm.bus.subscribe(subject, None).await.ok();
    let mut shown = first;
    if send(&sender, &shown).await.is_err() {
        return;
    }
    while !shown.state.is_terminal() {
        let step = OptionFuture::from(progress.as_mut().map(StreamExt::next));
        tokio::select! {
            () = api.stop.cancelled() => return,
            () = sender.closed() => return,
            () = watch.changed() => {}
            () = tokio::time::sleep(SWEEP) => {}
            Some(Some(message)) = step => {
                if let Ok(read) = decode::<Progress>(&message.payload) {
                    // A reader that is behind needs the latest state, not every step.
                    let _ = sender.try_send(to_event(read.body));
                }
                continue;
            }
        }
        match look(&api.farm, caller.tenant, id).await {
            Ok(Some(view)) if view != shown => {
                shown = view;
                if send(&sender, &shown).await.is_err() {
                    return;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => tracing::warn!(request = %id, %error, "a request was not looked at"),
        }
    }
}

async fn send(
    sender: &mpsc::Sender<Event>,
    view: &RequestView,
) -> Result<(), mpsc::error::SendError<Event>> {
    let request = Box::new(view.clone());
    sender.send(Event::Request { request }).await
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
