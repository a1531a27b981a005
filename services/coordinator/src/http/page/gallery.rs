//! `GET /`: the form for a new picture, and what the tenant has, newest first. `GET /gallery` is the second part alone, for the script.

use atelier_proto::{
    RequestId, TenantId,
    http::{RequestList, RequestState, RequestSummary, WorkerView},
    job::JobKind,
};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{frame, submit, visitor::Visitor, words};
use crate::{
    http::Api,
    store::{Filter, StoreError},
};

/// Pictures on a page.
const ON_A_PAGE: u32 = 24;

/// Which part of the gallery.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Wanted {
    state: Option<RequestState>,
    before: Option<RequestId>,
}

/// The whole page.
pub async fn page(
    State(api): State<Api>,
    visitor: Visitor,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let (is_first, wanted) = unpack(wanted);
    let content = match gallery(&api, visitor.tenant, wanted).await {
        Ok(gallery) => html! {
            @if is_first { (submit::form(&api.farm.ids.secret())) }
            (gallery)
        },
        Err(error) => return visitor.wrong(error),
    };
    frame::page(StatusCode::OK, "Gallery", Some(&visitor.name), &content)
}

/// What may have changed.
pub async fn part(
    State(api): State<Api>,
    visitor: Visitor,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let (_, wanted) = unpack(wanted);
    match gallery(&api, visitor.tenant, wanted).await {
        Ok(gallery) => frame::sent(StatusCode::OK, &gallery),
        Err(error) => visitor.wrong(error),
    }
}

/// Whether it is the gallery's first page, and what is wanted of it. What cannot be read is left out.
fn unpack(wanted: Result<Query<Wanted>, QueryRejection>) -> (bool, Wanted) {
    let all = Wanted {
        state: None,
        before: None,
    };
    let wanted = wanted.map_or(all, |Query(wanted)| wanted);
    (wanted.before.is_none(), wanted)
}

async fn gallery(api: &Api, tenant: TenantId, wanted: Wanted) -> Result<Markup, StoreError> {
    let filter = Filter {
        state: wanted.state,
        before: wanted.before,
    };
    let list = api.farm.store.list(tenant, filter, ON_A_PAGE).await?;
    let workers = api.farm.workers.list();
    Ok(html! {
        section #gallery aria-labelledby="gallery-title" data-live=(address("/gallery", wanted)) {
            div.line {
                h2 #gallery-title { "Gallery" }
                (filters(wanted.state))
                (crew(&workers))
            }
            (cards(&list, wanted))
        }
    })
}

fn filters(chosen: Option<RequestState>) -> Markup {
    let choices = [
        (None, "All"),
        (Some(RequestState::Active), "In the works"),
        (Some(RequestState::Succeeded), "Done"),
        (Some(RequestState::Failed), "Failed"),
        (Some(RequestState::Canceled), "Stopped"),
    ];
    html! {
        nav.filters aria-label="Which pictures" {
            @for (state, word) in choices {
                a href=(address("/", Wanted { state, before: None }))
                    aria-current=[(state == chosen).then_some("page")] { (word) }
            }
        }
    }
}

/// Who works here; a role that nobody has is worth a word, since requests wait for it.
fn crew(workers: &[WorkerView]) -> Markup {
    let can = |kind: &JobKind| {
        let mut all = workers.iter();
        all.any(|worker| worker.roles.contains(kind) && !worker.kept_from.contains(kind))
    };
    let missing: Vec<&str> = JobKind::ALL
        .into_iter()
        .filter(|kind| !can(kind))
        .map(words::role)
        .collect();
    let number = match workers.len() {
        0 => "No worker is here".to_owned(),
        1 => "1 worker".to_owned(),
        several => format!("{several} workers"),
    };
    html! {
        p.crew {
            span class=(if missing.is_empty() { "dot good" } else { "dot bad" }) aria-hidden="true" {}
            (number)
            @if !missing.is_empty() && !workers.is_empty() { ", nobody can " (missing.join(" or ")) }
        }
    }
}

fn cards(list: &RequestList, wanted: Wanted) -> Markup {
    html! {
        @if list.requests.is_empty() {
            p.empty {
                @if wanted.state.is_none() && wanted.before.is_none() {
                    "Nothing has been drawn yet. Say above what the first picture shall show."
                } @else { "There is nothing here." }
            }
        }
        ul.cards {
            @for request in &list.requests { (card(request)) }
        }
        nav.pages aria-label="Pages" {
            @if wanted.before.is_some() {
                a.button href=(address("/", Wanted { before: None, ..wanted })) { "Newest" }
            }
            @if let Some(next) = list.next {
                a.button href=(address("/", Wanted { before: Some(next), ..wanted })) { "Older" }
            }
        }
    }
}

fn card(request: &RequestSummary) -> Markup {
    let id = request.id;
    let is_active = request.state == RequestState::Active;
    let keep = request.image.map(|image| format!("{id}-{}", image.sha256));
    html! {
        li #(format!("card-{id}")) {
            a.card href=(format!("/requests/{id}")) data-follow=[is_active.then_some(id)] {
                span.canvas data-keep=[keep] {
                    @if request.image.is_some() {
                        img.picture src=(format!("/v1/requests/{id}/image")) alt="" loading="lazy" decoding="async";
                    } @else {
                        span class=(if is_active { "blank busy" } else { "blank" }) {}
                    }
                }
                span.about {
                    span.prompt { (request.prompt) }
                    span.facts {
                        (words::state(request.state))
                        @if let Some(score) = request.score.as_ref().and_then(words::score) { span { (score) } }
                        (words::time(&request.created_at))
                    }
                }
            }
        }
    }
}

/// Where this part of the gallery is.
fn address(path: &str, Wanted { state, before }: Wanted) -> String {
    let state = state.map(|state| format!("state={}", state.as_str()));
    let before = before.map(|before| format!("before={before}"));
    let query: Vec<String> = [state, before].into_iter().flatten().collect();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", query.join("&")),
    }
}
