//! `POST /v1/images/generations`: pictures of a prompt.

use atelier_proto::{
    Sha256, TenantId,
    http::{SubmitRequest, UploadedReference},
    job::NamedReference,
    openai::{Background, ImagesResponse},
    plan::Plan,
};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures::future::try_join_all;

use super::{
    MAX_JSON_BYTES, Refusal,
    answer::{headers, show, size_text, usage},
    fields::{self, Ignored},
    stream,
    waiting::{self, Held},
    wish::Wish,
};
use crate::{
    http::{
        Api,
        caller::Caller,
        error::ApiError,
        requests::submit::{check_media_type, idempotency_key, unread},
        session, trace_context,
    },
    operations::{
        images::{Wanted, submit_all, to_the_end},
        submit::{self, Submitted},
    },
};

/// A call that was understood.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is wanted.
    pub wish: Wish,
    /// What of it was ignored.
    pub ignored: Ignored,
    /// What is done with pictures that came; none draws the prompt.
    pub plan: Option<Plan>,
    /// Sizes of the pictures that came.
    pub inputs: Vec<(u32, u32)>,
    /// The same, stored.
    pub pictures: Vec<NamedReference>,
    /// Digest of what was asked for.
    pub body_sha256: Sha256,
    /// How the caller reaches this API.
    pub here: String,
}

/// Answers the pictures, or their events.
pub async fn handler(
    State(api): State<Api>,
    caller: Result<Caller, ApiError>,
    request: Request,
) -> Result<Response, Refusal> {
    let tenant = caller?.tenant;
    let head = request.headers().clone();
    check_media_type(&head)?;
    let body = Bytes::from_request(request, &())
        .await
        .map_err(|rejection| unread(&rejection, MAX_JSON_BYTES))?;
    let (asked, ignored) = fields::of_json(&body)?;
    let call = Call {
        wish: Wish::of(asked, &api.farm.model)?,
        ignored,
        plan: None,
        inputs: Vec::new(),
        pictures: Vec::new(),
        body_sha256: submit::body_sha256(&body),
        here: here(&api, &head),
    };
    drop(body);
    answer(api, tenant, &head, call).await
}

/// Submits what is wanted, waits and answers.
pub async fn answer(
    api: Api,
    tenant: TenantId,
    head: &HeaderMap,
    call: Call,
) -> Result<Response, Refusal> {
    let key = idempotency_key(head)?;
    let wanted = Wanted {
        request: call.request(),
        n: call.wish.n,
        pictures: call.pictures.clone(),
        body_sha256: call.body_sha256,
        idempotency_key: key,
        brought: trace_context(head),
    };
    let (mut submitted, held) = submit_held(&api, tenant, wanted).await?;
    let headers = headers(&submitted, &call.ignored);
    if call.wish.reply.stream.is_some()
        && let Some(one) = submitted.pop()
    {
        return Ok(stream::answer(api, tenant, one, held, call, headers));
    }
    let reply = &call.wish.reply;
    let drawn = waiting::all(&api, tenant, &submitted, &held).await?;
    held.release();
    let shows = drawn
        .iter()
        .map(|drawn| show(&api, tenant, drawn, reply, &call.here));
    let shown = try_join_all(shows).await?;
    let sizes: Vec<_> = shown.iter().map(|one| one.size).collect();
    let body = ImagesResponse {
        created: api.farm.ids.now_s(),
        size: sizes.first().copied().map(size_text).unwrap_or_default(),
        data: shown.into_iter().map(|one| one.picture).collect(),
        background: Background::Opaque,
        output_format: reply.output_format,
        quality: reply.quality,
        safety_identifier: reply.safety_identifier.clone(),
        usage: usage(&call.wish.prompt, &call.inputs, &sizes),
    };
    Ok((headers, Json(body)).into_response())
}

/// Submits to the end: a call that goes away in the middle of the commit goes away after it, too, and what it wanted is canceled.
async fn submit_held(
    api: &Api,
    tenant: TenantId,
    wanted: Wanted,
) -> Result<(Vec<Submitted>, Held), Refusal> {
    let farm = api.farm.clone();
    let submit = async move {
        let has_key = wanted.idempotency_key.is_some();
        let submitted = submit_all(&farm, tenant, wanted).await?;
        let held = Held::new(&farm, tenant, &submitted, has_key);
        Ok((submitted, held))
    };
    to_the_end(&api.farm, submit).await?
}

impl Call {
    /// The request of the first picture; of the pictures that came their names only.
    fn request(&self) -> SubmitRequest {
        let named = |picture: &NamedReference| UploadedReference {
            name: picture.name.clone(),
            data: String::new(),
        };
        SubmitRequest {
            prompt: self.wish.prompt.clone(),
            seed: self.wish.seed,
            think: self.wish.think,
            think_tokens: self.wish.think_tokens,
            priority: self.wish.priority,
            steps: self.wish.steps,
            size: self.wish.size,
            max_rounds: Some(self.wish.max_rounds),
            references: self.pictures.iter().map(named).collect(),
            plan: self.plan.clone().map(Box::new),
            ..SubmitRequest::default()
        }
    }
}

/// How the caller reaches this API: as the farm is told, or by the name that the caller used.
pub fn here(api: &Api, head: &HeaderMap) -> String {
    if let Some(url) = &api.farm.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    called(head)
}

/// By what a caller reached this API.
fn called(head: &HeaderMap) -> String {
    let scheme = match session::is_secure(head) {
        true => "https",
        false => "http",
    };
    let host = head.get(header::HOST).and_then(|host| host.to_str().ok());
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_the_scheme_that_the_caller_came_by() {
        let mut head = HeaderMap::new();
        assert_eq!(called(&head), "http://localhost");
        head.insert(header::HOST, "farm.example".parse().unwrap());
        for (proxies, scheme) in [
            ("https", "https"),
            ("HTTPS, http", "https"),
            ("http", "http"),
        ] {
            head.insert("x-forwarded-proto", proxies.parse().unwrap());
            assert_eq!(
                called(&head),
                format!("{scheme}://farm.example"),
                "{proxies}"
            );
        }
    }
}
