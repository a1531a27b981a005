//! Server-sent events of one picture: how it looks so far, then the picture.

use std::{convert::Infallible, time::Duration};

use atelier_pictures::Format;
use atelier_proto::{
    TenantId, decode,
    job::JobKind,
    openai::{Background, Completed, ImageEvent, Partial},
    signal::Progress,
};
use axum::{
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, future::OptionFuture};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Refusal,
    answer::{converted, show, size_text, usage},
    generations::Call,
    waiting::{self, Drawn, Held},
};
use crate::{http::Api, operations::submit::Submitted};

/// Events that a slow reader may be behind.
const BEHIND: usize = 4;
/// A comment this often keeps proxies from closing a silent stream, and finds out that a reader is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Answers the events of one request.
pub fn answer(
    api: Api,
    tenant: TenantId,
    one: Submitted,
    held: Held,
    call: Call,
    headers: HeaderMap,
) -> Response {
    let (sender, receiver) = mpsc::channel(BEHIND);
    tokio::spawn(tell(api, tenant, one, held, call, sender));
    let events = ReceiverStream::new(receiver).map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    (headers, Sse::new(events).keep_alive(keep_alive)).into_response()
}

async fn tell(
    api: Api,
    tenant: TenantId,
    one: Submitted,
    held: Held,
    call: Call,
    sender: mpsc::Sender<sse::Event>,
) {
    let drawing = waiting::bounded(&api, &held, follow(&api, tenant, &one, &call, &sender));
    let last = tokio::select! {
        // The reader is gone: so is what it waited for.
        () = sender.closed() => return,
        drawn = drawing => match drawn {
            Ok(event) => event,
            Err(refusal) => ImageEvent::Error { error: refusal.detail() },
        },
    };
    match last {
        // It ended without a picture, or was given up.
        ImageEvent::Error { .. } => drop(held),
        _ => held.release(),
    }
    let _ = sender.send(to_sse(&last)).await;
}

async fn follow(
    api: &Api,
    tenant: TenantId,
    one: &Submitted,
    call: &Call,
    sender: &mpsc::Sender<sse::Event>,
) -> Result<ImageEvent, Refusal> {
    let farm = &api.farm;
    let id = one.view.id;
    let mut watch = farm.changes.watch(id);
    let mut partials = Partials::new(call.wish.reply.stream.unwrap_or(0));
    let subject = farm.bus.names().progress(id);
    // Without progress the picture still comes.
    let mut progress = match partials.wanted {
        0 => None,
        _ => farm.bus.subscribe(subject, None).await.ok(),
    };
    loop {
        if let Some(drawn) = waiting::ended(farm, tenant, id).await? {
            return completed(api, tenant, &drawn, call).await;
        }
        let changed = async {
            waiting::next(&mut watch).await;
        };
        tokio::pin!(changed);
        loop {
            let step = OptionFuture::from(progress.as_mut().map(StreamExt::next));
            tokio::select! {
                () = &mut changed => break,
                Some(Some(message)) = step => {
                    // One that cannot be read is counted once, where leases are extended, and not by each of its readers.
                    let Ok(read) = decode::<Progress>(&message.payload) else { continue };
                    if let Some(png) = partials.due(read.body) {
                        let event = match partial(api, call, partials.told, png).await {
                            Ok(event) => event,
                            Err(error) => {
                                tracing::debug!(request = %id, ?error, "an unreadable preview");
                                continue;
                            }
                        };
                        partials.told += 1;
                        if sender.send(to_sse(&event)).await.is_err() {
                            break;
                        }
                    }
                }
            }
        }
    }
}

/// Which previews are told: as many as are wanted, spread over the steps of the first drawing.
#[derive(Clone, Copy, Debug)]
struct Partials {
    wanted: u32,
    told: u32,
}

impl Partials {
    const fn new(wanted: u32) -> Self {
        Self { wanted, told: 0 }
    }

    /// The preview of a progress, if it is one to tell.
    fn due(&self, progress: Progress) -> Option<Vec<u8>> {
        if self.told == self.wanted || progress.kind != JobKind::Render {
            return None;
        }
        let png = progress.preview_png?;
        let due = u64::from(progress.step) * u64::from(self.wanted + 1)
            >= u64::from(progress.total) * u64::from(self.told + 1);
        due.then_some(png)
    }
}

async fn partial(api: &Api, call: &Call, index: u32, png: Vec<u8>) -> Result<ImageEvent, Refusal> {
    let reply = &call.wish.reply;
    let file = match reply.format {
        Format::Png => png.into(),
        format => converted(api, png.into(), format).await?,
    };
    let partial = Partial {
        b64_json: BASE64_STANDARD.encode(file),
        partial_image_index: index,
        created_at: api.farm.ids.now_s(),
        size: reply.asked_size.clone(),
        quality: reply.quality,
        background: Background::Opaque,
        output_format: reply.output_format,
    };
    Ok(match call.plan.is_some() {
        true => ImageEvent::Editing(partial),
        false => ImageEvent::Drawing(partial),
    })
}

async fn completed(
    api: &Api,
    tenant: TenantId,
    drawn: &Drawn,
    call: &Call,
) -> Result<ImageEvent, Refusal> {
    let reply = &call.wish.reply;
    let shown = show(api, tenant, drawn, reply, &call.here).await?;
    let completed = Box::new(Completed {
        b64_json: shown.picture.b64_json.unwrap_or_default(),
        url: shown.picture.url,
        created_at: api.farm.ids.now_s(),
        size: size_text(shown.size),
        quality: reply.quality,
        background: Background::Opaque,
        output_format: reply.output_format,
        usage: usage(&call.wish.prompt, &call.inputs, &[shown.size]),
        safety_identifier: reply.safety_identifier.clone(),
        revised_prompt: shown.picture.revised_prompt,
        seed: shown.picture.seed,
        request: drawn.request,
    });
    Ok(match call.plan.is_some() {
        true => ImageEvent::Edited(completed),
        false => ImageEvent::Drawn(completed),
    })
}

fn to_sse(event: &ImageEvent) -> sse::Event {
    let data = serde_json::to_string(event).expect("an event holds nothing that JSON cannot");
    sse::Event::default().event(event.name()).data(data)
}

#[cfg(test)]
mod tests {
    use atelier_proto::{JobId, RequestId, WorkerId};

    use super::*;

    fn step(kind: JobKind, step: u32, total: u32, preview: bool) -> Progress {
        Progress {
            job: JobId::at(1, [1; 10]),
            attempt: 1,
            request: RequestId::at(1, [1; 10]),
            worker: WorkerId::at(1, [1; 10]),
            kind,
            step,
            total,
            preview_png: preview.then(Vec::new),
            computed: Vec::new(),
        }
    }

    #[test]
    fn partial_pictures_are_spread_over_the_steps_and_never_more_than_wanted() {
        for wanted in 0..=3 {
            let mut partials = Partials::new(wanted);
            let told: Vec<_> = (0..=8)
                .filter_map(|n| {
                    partials.due(step(JobKind::Render, n, 8, true))?;
                    partials.told += 1;
                    Some((n, partials.told - 1))
                })
                .collect();
            let expected: &[(u32, u32)] = match wanted {
                0 => &[],
                1 => &[(4, 0)],
                2 => &[(3, 0), (6, 1)],
                _ => &[(2, 0), (4, 1), (6, 2)],
            };
            assert_eq!(told, expected);
        }
        let partials = Partials::new(1);
        assert_eq!(partials.due(step(JobKind::Plan, 8, 8, true)), None);
        assert_eq!(partials.due(step(JobKind::Render, 8, 8, false)), None);
        assert!(partials.due(step(JobKind::Render, 1, 0, true)).is_some());
    }
}
