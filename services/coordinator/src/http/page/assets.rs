//! Style, script and icon, built into the program. Their names hold their digest, so that browsers may keep them for ever.

use std::sync::LazyLock;

use atelier_platform::artifacts::digest;
use axum::{
    extract::Path,
    http::{Uri, header},
    response::{IntoResponse, Redirect, Response},
};

use crate::http::error;

/// Hexadecimal digits of the digest in a name.
const NAME_DIGITS: usize = 16;

/// A file that pages name.
pub struct Asset {
    /// Its path, digest included.
    pub path: String,
    media_type: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, media_type: &'static str, text: &'static str) -> Self {
        let mut name = digest(text.as_bytes()).to_string();
        name.truncate(NAME_DIGITS);
        Self {
            path: format!("/assets/{stem}-{name}.{ending}"),
            media_type,
            text,
        }
    }
}

/// How it looks.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = concat!(
        include_str!("assets/base.css"),
        include_str!("assets/parts.css")
    );
    Asset::new("farm", "css", "text/css; charset=utf-8", text)
});
/// What moves.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/farm.js");
    Asset::new("farm", "js", "text/javascript; charset=utf-8", text)
});
/// The sign in the browser's tab.
pub static ICON: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/icon.svg");
    Asset::new("icon", "svg", "image/svg+xml", text)
});

/// `GET /assets/{name}`: one of the files; whoever asks for the name of another version gets nothing.
pub async fn handler(Path(name): Path<String>, uri: Uri) -> Response {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    let wanted = all
        .into_iter()
        .find(|asset| asset.path.strip_prefix("/assets/") == Some(&name));
    match wanted {
        Some(asset) => {
            let headers = [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, asset.text).into_response()
        }
        None => error::no_such_path(uri).await.into_response(),
    }
}

/// `GET /favicon.ico`: what browsers ask for where a page names no icon, as with a trace.
pub async fn icon() -> Redirect {
    Redirect::temporary(&ICON.path)
}
