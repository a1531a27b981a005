//! What is around every page, and the headers that keep it to itself.

use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use crate::http::error::ApiError;

/// Scripts and styles are files of ours; pictures also what the script makes of previews. Nobody may put the page into a frame.
const POLICY: &str = "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A whole page. `tenant` is the name of who is logged in.
pub fn page(status: StatusCode, title: &str, tenant: Option<&str>, content: &Markup) -> Response {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Atelier" }
                link rel="stylesheet" href=(STYLE.path);
                link rel="icon" href=(ICON.path) type="image/svg+xml";
                script src=(SCRIPT.path) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (top(tenant))
                main #main tabindex="-1" { (content) }
                p #said .quiet role="status" aria-live="polite" {}
            }
        }
    };
    sent(status, &document)
}

/// Sends HTML with the headers of every page.
pub fn sent(status: StatusCode, html: &Markup) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Forms must say where they come from, and nobody else needs to know.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let isolated = [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    (status, headers, isolated, Html(html.0.clone())).into_response()
}

/// A page that says what went wrong.
pub fn wrong(error: &ApiError, tenant: Option<&str>) -> Response {
    let status = error.status();
    let title = match status {
        StatusCode::NOT_FOUND => "Not here",
        status if status.is_server_error() => "Something broke",
        _ => "That did not work",
    };
    let content = html! {
        section.narrow {
            h1 { (title) }
            p.complaint role="alert" {
                @if let Some(field) = error.field() { strong { (field) } " " }
                (error.message()) "."
            }
            p { a.button href="/" { "Back to the gallery" } }
        }
    };
    page(status, title, tenant, &content)
}

fn top(tenant: Option<&str>) -> Markup {
    html! {
        header.top {
            a.brand href="/" {
                svg.sign viewBox="0 0 32 32" aria-hidden="true" {
                    rect x="4" y="4" width="24" height="24" rx="6" {}
                    path d="M10 22 16 9l6 13M12.4 17.5h7.2" {}
                }
                "Atelier"
            }
            @if let Some(tenant) = tenant {
                nav aria-label="Account" {
                    span.who { "Tenant " strong { (tenant) } }
                    form method="post" action="/logout" { button.plain type="submit" { "Log out" } }
                }
            }
        }
    }
}
