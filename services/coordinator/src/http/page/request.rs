//! One request: `GET /requests/{id}`, what changes of it (`/live`), and the two buttons.

use atelier_proto::RequestId;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use maud::html;

use super::{frame, live, visitor::Visitor};
use crate::{
    http::{
        Api,
        error::{ApiError, InPath},
    },
    operations::{cancel, look::look, retry, trace},
};

/// The whole page.
pub async fn page(
    State(api): State<Api>,
    visitor: Visitor,
    id: Result<InPath, ApiError>,
) -> Response {
    let shown = match id {
        Ok(InPath(id)) => show(&api, &visitor, id).await,
        Err(error) => Err(error),
    };
    match shown {
        Ok((prompt, part)) => {
            let content = html! {
                article {
                    p.back { a href="/" { "Gallery" } }
                    h1.asked { (prompt) }
                    (part)
                }
            };
            let title: String = prompt.chars().take(60).collect();
            frame::page(StatusCode::OK, &title, Some(&visitor.name), &content)
        }
        Err(error) => visitor.wrong(error),
    }
}

/// What changes.
pub async fn part(State(api): State<Api>, visitor: Visitor, InPath(id): InPath) -> Response {
    match show(&api, &visitor, id).await {
        Ok((_, part)) => frame::sent(StatusCode::OK, &part),
        Err(error) => visitor.wrong(error),
    }
}

async fn show(
    api: &Api,
    visitor: &Visitor,
    id: RequestId,
) -> Result<(String, maud::Markup), ApiError> {
    let view = look(&api.farm, visitor.tenant, id).await?;
    let view = view.ok_or_else(|| ApiError::no_request(id))?;
    let trace = trace::as_it_stands(&api.farm, visitor.tenant, id).await?;
    let trace = trace.ok_or_else(|| ApiError::no_request(id))?;
    let part = live::part(&view, &trace);
    Ok((view.prompt, part))
}

/// `POST /requests/{id}/stop`: cancels it.
pub async fn stop(State(api): State<Api>, visitor: Visitor, InPath(id): InPath) -> Response {
    match cancel::cancel(&api.farm, visitor.tenant, id).await {
        Ok(true) => to(id),
        Ok(false) => visitor.wrong(ApiError::no_request(id)),
        Err(error) => visitor.wrong(error),
    }
}

/// `POST /requests/{id}/again`: asks again for what failed or was canceled.
pub async fn again(State(api): State<Api>, visitor: Visitor, InPath(id): InPath) -> Response {
    // Twice is the same new request.
    let key = format!("again-{id}");
    match retry::retry(&api.farm, visitor.tenant, id, Some(key), None).await {
        Ok(submitted) => to(submitted.view.id),
        Err(error) => visitor.wrong(ApiError::from_retry(id, error)),
    }
}

fn to(id: RequestId) -> Response {
    Redirect::to(&format!("/requests/{id}")).into_response()
}
