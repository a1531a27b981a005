//! What users, farms and judges write, read as the commands read it, with nothing done about it. It is here for the fuzz targets, which are another
//! crate.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use atelier_proto::{http::SubmitRequest, job::Priority, judging::Case};
use reqwest::StatusCode;

use crate::{
    client::events::Parser,
    commands::{
        batch::{lines, results},
        eval::{judge, suite},
        options,
    },
};
pub use crate::{
    client::{Defaults, Refused, profile::Profile},
    commands::{
        batch::{lines::Line, results::LineResult},
        capacity::samples::Measured,
        eval::judge::Said,
        top::reading::Counts,
    },
};

/// The profile called `name` in the text of a configuration file; without a name the file's own choice, none where it makes none.
pub fn profile(text: &str, name: Option<&str>) -> Result<Option<Profile>> {
    Ok(Profile::parse(text, name, true, Path::new("config.toml"))?)
}

/// What a submit of this prompt alone sends with the defaults of a profile.
pub fn submit(prompt: &str, defaults: &Defaults) -> Result<SubmitRequest> {
    options::RequestArgs::of_prompt(prompt).body(defaults)
}

/// The requests in the text of a batch called `name`.
pub fn batch(name: &str, text: &str) -> Result<Vec<Line>> {
    lines::parse(name, name, text, Priority::Batch)
}

/// The results in the bytes of a batch's file by their lines, and whether a whole line was none.
pub fn batch_results(bytes: &[u8]) -> (BTreeMap<usize, LineResult>, bool) {
    results::parse(bytes)
}

/// The file of these results.
pub fn batch_file(results: &BTreeMap<usize, LineResult>) -> Result<Vec<u8>> {
    results::lines(results)
}

/// The cases in the text of a suite.
pub fn suite(text: &str) -> Result<Vec<Case>, String> {
    suite::parse(text)
}

/// A line of a judge, its first one or a later one.
pub fn judge(line: &[u8], first: bool) -> Result<Said> {
    judge::read(line, first)
}

/// The data of all whole events in a stream that comes in these pieces.
pub fn events(pieces: &[&[u8]]) -> Result<Vec<String>> {
    let mut parser = Parser::default();
    let mut events = Vec::new();
    for piece in pieces {
        parser.push(piece)?;
        events.extend(std::iter::from_fn(|| parser.event()));
    }
    Ok(events)
}

/// What is told of a farm's answer with this status, the header `Retry-After` and a body.
pub fn refused(status: u16, retry_after: Option<&[u8]>, body: &[u8]) -> Result<Refused> {
    let status = StatusCode::from_u16(status)?;
    Ok(Refused::of(status, retry_after, body))
}
