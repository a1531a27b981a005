//! `POST /v1/images/edits`: pictures made from the caller's own, whole or in a part.

use atelier_proto::{
    MediaType,
    job::{NamedReference, Think},
    openai::{Fidelity, Quality},
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures::future::try_join_all;

use super::{
    Refusal,
    fields::{self, Ignored},
    form::{self, MAX_FORM_BYTES},
    generations::{Call, answer, here},
    retouch::retouch,
    wish::Wish,
};
use crate::{
    farm::Farm,
    http::{Api, caller::Caller, error::ApiError, requests::submit::hold_body},
};

/// Answers the pictures, or their events.
pub async fn handler(
    State(api): State<Api>,
    caller: Result<Caller, ApiError>,
    request: Request,
) -> Result<Response, Refusal> {
    let tenant = caller?.tenant;
    let head = request.headers().clone();
    // Held until the pictures are stored: bodies and what they decode to must not fill the memory.
    let held = hold_body(&api, &head, MAX_FORM_BYTES, 1).await;
    let (mut form, body_sha256) = form::read(request).await?;
    let fidelity = fidelity(&mut form.texts)?;
    let (asked, mut ignored) = fields::of_form(std::mem::take(&mut form.texts))?;
    note_what_changes_nothing(&asked, &mut ignored);
    let mut wish = Wish::of(asked, &api.farm.model)?;
    let (prompt, size) = (wish.prompt.clone(), wish.size);
    let work = move || retouch(&prompt, &form.images, form.mask.as_ref(), size, fidelity);
    let (made, held) = api
        .farm
        .decoding
        .run(held, work)
        .await
        .map_err(|error| Refusal::failed(&error.to_string()))?;
    let made = made?;
    let pictures = store(&api.farm, made.pictures).await?;
    drop(held);
    // An edit says itself what is done: there is nothing to think about, and nothing known to check.
    wish.think = Think::Off;
    wish.think_tokens = None;
    wish.max_rounds = 1;
    wish.reply.quality = Quality::Low;
    wish.size = Some(made.size);
    let call = Call {
        wish,
        ignored,
        plan: Some(made.plan),
        inputs: made.sizes,
        pictures,
        body_sha256,
        here: here(&api, &head),
    };
    answer(api, tenant, &head, call).await
}

/// Takes the one field out that a generation does not have.
pub fn fidelity(texts: &mut Vec<(String, String)>) -> Result<Fidelity, Refusal> {
    let Some(at) = texts.iter().position(|(name, _)| name == "input_fidelity") else {
        return Ok(Fidelity::default());
    };
    let (name, text) = texts.remove(at);
    serde_json::from_value(text.into()).map_err(|error| Refusal::field(name, error.to_string()))
}

fn note_what_changes_nothing(asked: &atelier_proto::openai::ImageRequest, ignored: &mut Ignored) {
    for (name, given) in [
        ("quality", asked.quality.is_some()),
        ("complexity", asked.complexity.is_some()),
        ("think", asked.think.is_some()),
        ("think_tokens", asked.think_tokens.is_some()),
        ("max_rounds", asked.max_rounds.is_some()),
    ] {
        if given {
            ignored.add(name);
        }
    }
}

async fn store(
    farm: &Farm,
    pictures: Vec<(String, Bytes)>,
) -> Result<Vec<NamedReference>, Refusal> {
    let stored = pictures.into_iter().map(async |(name, png)| {
        let picture = farm.artifacts.put(png, MediaType::Png).await?;
        Ok::<_, Refusal>(NamedReference { name, picture })
    });
    try_join_all(stored).await
}
