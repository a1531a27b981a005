//! What callers and workers write, read as the API and the reports read it, with nothing done about it. It is here for the fuzz targets, which
//! are another crate.

use atelier_proto::{
    Sha256,
    http::SubmitRequest,
    openai::{ImageRequest, OpenAiErrorDetail},
    report::Report,
};
use axum::{
    body::Body,
    extract::{Form as Fields, FromRequest, Multipart, Query, Request},
    http::{HeaderMap, HeaderValue, Method, Uri, header},
};

use crate::{
    http::{
        file,
        openai::{Refusal, edits, fields, form, retouch},
        page, requests, session, signed,
    },
    operations::findings,
    store::Filter,
};
pub use crate::{
    http::{
        file::Wanted,
        openai::{
            form::{File, Form},
            retouch::Retouch,
            wish::{Reply, Wish},
        },
        session::Session,
        signed::{Bad, Claim},
    },
    store::Detail,
};

/// A call for pictures.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its fields.
    pub request: ImageRequest,
    /// Names of fields that change nothing, as the answer's header has them.
    pub ignored: Option<String>,
    /// What it wants of the farm.
    pub wish: Wish,
}

/// A form for edited pictures.
#[derive(Debug)]
pub struct Edit {
    /// What came, its texts among it.
    pub form: Form,
    /// Digest of all of it.
    pub sha256: Sha256,
    /// What the texts ask for.
    pub asked: Asked,
    /// What is done with the pictures.
    pub retouch: Retouch,
}

/// Reads the body of `POST /v1/images/generations` on a farm of `model`.
pub fn generation(body: &[u8], model: &str) -> Result<Asked, OpenAiErrorDetail> {
    let read = fields::of_json(body);
    read.and_then(|(request, ignored)| asked(request, &ignored, model))
        .map_err(Refusal::detail)
}

/// Reads the form of `POST /v1/images/edits` on a farm of `model`, and decodes its pictures.
pub async fn edit(
    content_type: &[u8],
    body: &[u8],
    model: &str,
) -> Result<Edit, OpenAiErrorDetail> {
    let read = async {
        let (form, sha256) = form::read(call(content_type, body)).await?;
        let mut texts = form.texts.clone();
        let fidelity = edits::fidelity(&mut texts)?;
        let (request, ignored) = fields::of_form(texts)?;
        let asked = asked(request, &ignored, model)?;
        let retouch = retouch::retouch(
            &asked.wish.prompt,
            &form.images,
            form.mask.as_ref(),
            asked.wish.size,
            fidelity,
        )?;
        Ok::<_, Refusal>(Edit {
            form,
            sha256,
            asked,
            retouch,
        })
    };
    read.await.map_err(Refusal::detail)
}

fn asked(request: ImageRequest, ignored: &fields::Ignored, model: &str) -> Result<Asked, Refusal> {
    Ok(Asked {
        wish: Wish::of(request.clone(), model)?,
        ignored: ignored.listed(),
        request,
    })
}

/// Reads the form of the farm's page for new pictures; the number is how many are wanted. None where it is refused.
pub async fn page_form(content_type: &[u8], body: &[u8]) -> Option<(SubmitRequest, u32)> {
    let form = Multipart::from_request(call(content_type, body), &()).await;
    page::submit::asked(form.ok()?).await.ok()
}

fn call(content_type: &[u8], body: &[u8]) -> Request {
    let mut call = Request::new(Body::from(body.to_vec()));
    // What is no header's value never gets this far.
    if let Ok(value) = HeaderValue::from_bytes(content_type) {
        call.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    call
}

/// The session in a `Cookie` header that was signed with `secret` and is not over at `now_s`.
pub fn session(secret: &[u8; 32], cookies: &[u8], now_s: u64) -> Option<Session> {
    let value = HeaderValue::from_bytes(cookies).ok()?;
    let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
    session::read(secret, session::token(&headers)?, now_s)
}

/// The `Cookie` header of a browser that has this session.
pub fn cookies(secret: &[u8; 32], session: Session) -> String {
    format!("{}={}", session::COOKIE, session::write(secret, session))
}

/// Reads the form of a login: the key, and where it leads to. None where it is refused.
pub async fn login(content_type: &[u8], body: &[u8]) -> Option<(String, String)> {
    let mut call = call(content_type, body);
    *call.method_mut() = Method::POST;
    let Fields(given) = Fields::<page::login::Given>::from_request(call, &())
        .await
        .ok()?;
    let place = given.place().to_owned();
    Some((given.key, place))
}

/// The part of a file of `length` bytes that a `Range` header wants.
pub fn range(header: &str, length: u64) -> Wanted {
    file::wanted(Some(header), length)
}

/// What the token of a link says that was signed with `secret`, at `now` in seconds since 1970.
pub fn link(token: &str, secret: &[u8], now: u64) -> Result<Claim, Bad> {
    signed::read(token, secret, now)
}

/// The token of a link that says `claim`.
pub fn link_to(claim: &Claim, secret: &[u8]) -> String {
    signed::token(claim, secret)
}

/// Which requests a list shows that is asked for with this query, and how many; none where it is refused.
pub fn list(query: &str) -> Option<(Filter, u32)> {
    let uri: Uri = format!("/v1/requests?{query}").parse().ok()?;
    requests::list::asked(Query::try_from_uri(&uri)).ok()
}

/// What is stored of how a job was done, as a report tells it; none where the report is refused or tells nothing. It is read as a [`Detail`].
pub fn detail(report: &Report) -> Option<String> {
    serde_json::to_string(&*findings::read(report).ok()?.1.detail?).ok()
}
