//! The farm's page: what people see of the farm in a browser. Rendered here, with a little script that brings in what changed; it works
//! without the script, too. Nothing comes from another host, and nothing is written into a page unescaped.

mod assets;
mod boxes;
mod decisions;
mod frame;
mod gallery;
mod live;
pub mod login;
mod plan;
mod request;
pub mod submit;
mod timeline;
mod visitor;
mod words;

use axum::{
    extract::DefaultBodyLimit,
    routing::{MethodRouter, get, post},
};

use super::Api;

/// Longest body of a form without files, in bytes.
const MAX_FORM_BYTES: usize = 16 << 10;

/// Every path of the page with its methods.
pub fn routes() -> Vec<(&'static str, MethodRouter<Api>)> {
    let small = || DefaultBodyLimit::max(MAX_FORM_BYTES);
    vec![
        ("/", get(gallery::page)),
        ("/gallery", get(gallery::part)),
        ("/login", get(login::page).post(login::enter).layer(small())),
        ("/logout", post(login::leave).layer(small())),
        (
            "/requests",
            post(submit::handler).layer(DefaultBodyLimit::max(submit::MAX_BYTES)),
        ),
        ("/requests/{id}", get(request::page)),
        ("/requests/{id}/live", get(request::part)),
        ("/requests/{id}/stop", post(request::stop).layer(small())),
        ("/requests/{id}/again", post(request::again).layer(small())),
        ("/assets/{name}", get(assets::handler)),
        ("/favicon.ico", get(assets::icon)),
    ]
}
