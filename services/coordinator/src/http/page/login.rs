//! Logging in with an API key, and out.

use atelier_platform::artifacts::digest;
use axum::{
    extract::{Form, Query, State, rejection::FormRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::frame;
use crate::{
    api_key,
    http::{Api, error::ApiError, session},
};

/// Where to go afterwards.
#[derive(Debug, Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// The form.
#[derive(Deserialize)]
pub struct Given {
    /// What is said to be an API key.
    #[serde(default)]
    pub key: String,
    /// Where to go afterwards.
    #[serde(default)]
    next: String,
}

impl Given {
    /// Where it leads to: a place of this page.
    pub fn place(&self) -> &str {
        safe(&self.next)
    }
}

/// `GET /login`.
pub async fn page(Query(Next { next }): Query<Next>) -> Response {
    form(StatusCode::OK, &next, None)
}

/// `POST /login`: a good key begins a session.
pub async fn enter(
    State(api): State<Api>,
    headers: HeaderMap,
    given: Result<Form<Given>, FormRejection>,
) -> Response {
    if !session::is_ours(&Method::POST, &headers) {
        return frame::wrong(&ApiError::cross_site(), None);
    }
    let Ok(Form(given)) = given else {
        let message = "This form could not be read: try again.";
        return form(StatusCode::BAD_REQUEST, "", Some(message));
    };
    // What is no key at all is looked up like any other, so that the time it takes tells nothing.
    let key = given.key.trim();
    let found = match api.farm.store.key(digest(key.as_bytes())).await {
        Ok(found) => found.filter(|_| api_key::is_key(key)),
        Err(error) => return frame::wrong(&error.into(), None),
    };
    let Some((key, tenant)) = found else {
        let message = "This key is not known here, or was revoked.";
        return form(StatusCode::UNAUTHORIZED, &given.next, Some(message));
    };
    let secure = session::is_secure(&headers);
    match session::begin(&api.farm, tenant, key, secure).await {
        Ok(cookie) => moved(&cookie, given.place()),
        Err(error) => frame::wrong(&error.into(), None),
    }
}

/// `POST /logout`.
pub async fn leave(headers: HeaderMap) -> Response {
    if !session::is_ours(&Method::POST, &headers) {
        return frame::wrong(&ApiError::cross_site(), None);
    }
    moved(&session::ended(session::is_secure(&headers)), "/login")
}

fn moved(cookie: &str, place: &str) -> Response {
    let cookie = AppendHeaders([(header::SET_COOKIE, cookie.to_owned())]);
    (cookie, Redirect::to(place)).into_response()
}

/// A place of this page, or the gallery: nobody is sent elsewhere after a login.
fn safe(next: &str) -> &str {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '/';
    match next.strip_prefix("/requests/") {
        Some(rest) if !rest.starts_with('/') && rest.chars().all(known) => next,
        _ => "/",
    }
}

fn form(status: StatusCode, next: &str, complaint: Option<&str>) -> Response {
    let content: Markup = html! {
        section.narrow.welcome {
            h1 { "Pictures, planned before they are drawn and checked after" }
            p { "This farm is open to those who have one of its API keys." }
            form.card method="post" action="/login" {
                @if let Some(complaint) = complaint {
                    p #complaint .complaint role="alert" { (complaint) }
                }
                input type="hidden" name="next" value=(safe(next));
                label for="key" { "API key" }
                input #key type="password" name="key" required autofocus autocomplete="current-password" spellcheck="false"
                    aria-invalid=[complaint.map(|_| "true")]
                    aria-describedby=(if complaint.is_some() { "complaint hint" } else { "hint" });
                p #hint .hint {
                    "It begins with " code { "atl_" } ". " code { "atelier key create" }
                    " makes one; the one of a farm of " code { "atelier up" } " is in " code { ".atelier/key" } "."
                }
                button.primary type="submit" { "Log in" }
            }
        }
    };
    frame::page(status, "Log in", None, &content)
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn a_login_leads_to_a_request_or_to_the_gallery() {
        let request = "/requests/01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(safe(request), request);
        for elsewhere in [
            "",
            "/",
            "//evil.example",
            "/\\evil",
            "https://evil.example",
            "/requests//evil.example",
            "/requests/a?b",
            "/requests/a\nb",
        ] {
            assert_eq!(safe(elsewhere), "/", "{elsewhere}");
        }
    }
}
