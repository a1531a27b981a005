//! The page: one file, no script, nothing fetched. Pictures ride in it; its own policy forbids browsers everything else.

mod jobs;
mod picture;
mod plan;
mod review;
mod text;
mod timeline;

use std::{collections::HashMap, fmt::Write as _};

use atelier_proto::{Sha256, http::RequestState, trace::Trace};
use serde::Serialize;

use self::text::{Esc, row};
use crate::words::{self, costs, share, time};

/// PNG files by their digests. One that is missing is told to be.
pub type Pictures = HashMap<Sha256, Vec<u8>>;

const STYLE: &str = include_str!("style.css");

/// What a browser may do with the page: show it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The whole story of a request as one HTML file.
pub fn page(trace: &Trace, pictures: &Pictures) -> String {
    let mut page = String::with_capacity(64 << 10);
    let out = &mut page;
    head(out, trace);
    let _ = writeln!(
        out,
        "<body>\n<a class=\"skip\" href=\"#story\">Skip to the story</a>"
    );
    opening(out, trace);
    let _ = writeln!(out, "<main id=\"story\">");
    result(out, trace, pictures);
    plan::tell(out, trace);
    jobs::tell(out, trace, pictures);
    timeline::tell(out, trace);
    cost(out, trace);
    documents(out, trace);
    let _ = writeln!(out, "</main>\n</body>\n</html>");
    page
}

fn head(out: &mut String, trace: &Trace) {
    let title = words::line(&trace.submitted.prompt);
    let title: String = title.chars().take(80).collect();
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} - Atelier</title>\n<style>\n{STYLE}</style>\n</head>",
        Esc(&title)
    );
}

fn opening(out: &mut String, trace: &Trace) {
    let mark = match trace.state {
        RequestState::Active => "active",
        RequestState::Succeeded => "good",
        RequestState::Failed => "wrong",
        RequestState::Canceled => "stopped",
    };
    let why = words::why_it_ended(trace).map(|why| format!(": {why}"));
    let _ = writeln!(
        out,
        "<header>\n<h1>{}</h1>\n<p class=\"end {mark}\">{}{}</p>\n<dl class=\"facts\">",
        Esc(&trace.submitted.prompt),
        Esc(&capital(&words::end(trace))),
        Esc(&why.unwrap_or_default())
    );
    row(out, "Request", &trace.request.to_string());
    row(out, "Model", &trace.model);
    row(out, "Seed", &trace.seed.to_string());
    row(out, "Accepted", &trace.created_at);
    if let Some(finished) = &trace.finished_at {
        row(out, "Ended", finished);
    }
    for named in &trace.pictures {
        let what = format!("{}: {}", named.name, named.picture.sha256);
        row(out, "Brought a picture of", &what);
    }
    let _ = writeln!(out, "</dl>\n</header>");
}

fn result(out: &mut String, trace: &Trace, pictures: &Pictures) {
    let Some(image) = &trace.image else { return };
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"result\">\n<h2 id=\"result\">Result</h2>"
    );
    picture::figure(out, trace, image.sha256, pictures);
    let _ = writeln!(
        out,
        "<p class=\"digest\">SHA-256 <code>{}</code>, {} bytes</p>\n</section>",
        image.sha256, image.bytes
    );
}

fn cost(out: &mut String, trace: &Trace) {
    let total = trace.cost.total_ms();
    if total == 0 {
        return;
    }
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"cost\">\n<h2 id=\"cost\">Cost</h2>\n<table>\n\
         <thead><tr><th scope=\"col\">What for</th><th scope=\"col\">On a device</th><th scope=\"col\">Share</th></tr></thead>\n<tbody>"
    );
    for (what, ms) in costs(&trace.cost) {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            capital(what),
            time(ms),
            share(ms, total)
        );
    }
    let _ = writeln!(
        out,
        "</tbody>\n<tfoot><tr><th scope=\"row\">All</th><td>{}</td><td></td></tr></tfoot>\n</table>\n</section>",
        time(total)
    );
}

fn documents(out: &mut String, trace: &Trace) {
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"documents\">\n<h2 id=\"documents\">Documents</h2>"
    );
    if let Some(plan) = &trace.plan {
        document(out, "The plan as JSON", plan);
    }
    document(out, "The trace as JSON", trace);
    let _ = writeln!(out, "</section>");
}

fn document(out: &mut String, name: &str, value: &impl Serialize) {
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    let _ = writeln!(
        out,
        "<details>\n<summary>{name}</summary>\n<pre tabindex=\"0\">{}</pre>\n</details>",
        Esc(&json)
    );
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
