//! Traces over OTLP: one tree of spans from the HTTP call through NATS to the device thread and back, and receivers that do not take them.

mod receiver;
mod tree;
mod trouble;

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, ensure};
use atelier_proto::{
    RequestId,
    http::{RequestView, SubmitRequest},
};
use atelier_tests::{Api, Coordinator, Sandbox, Worker, in_time};
use receiver::{Receiver, Seen};
use reqwest::Method;

/// Much longer than any of this takes, for a machine that is busy.
const LONG: Duration = Duration::from_secs(60);
const BROUGHT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A farm that exports to `receiver`, by OpenTelemetry's own variables.
async fn farm(
    receiver: &Receiver,
    more: &[(&str, &str)],
) -> Result<(Sandbox, Coordinator, Worker)> {
    let mut sandbox = Sandbox::start().await?;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str());
    let all = [endpoint, ("NO_PROXY", "127.0.0.1")];
    for (name, value) in all.iter().chain(more) {
        let pair = ((*name).to_owned(), (*value).to_owned());
        sandbox.environment.push(pair);
    }
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let worker = sandbox.worker("worker", &["--name", "the-worker"])?;
    Ok((sandbox, coordinator, worker))
}

async fn submit(
    api: &Api,
    request: &SubmitRequest,
    traceparent: Option<&str>,
) -> Result<RequestId> {
    let mut call = api.call(Method::POST, "/v1/requests").json(request);
    if let Some(traceparent) = traceparent {
        call = call.header("traceparent", traceparent);
    }
    let view: RequestView = call.send().await?.error_for_status()?.json().await?;
    Ok(view.id)
}

/// What a coordinator counted.
async fn counted(api: &Api, series: &str) -> Result<u64> {
    let text = api.get("/metrics").await?.text().await?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(series));
    let count = lines.next().with_context(|| format!("no {series}"))?;
    Ok(count.trim().parse()?)
}

/// Spans by what became of them.
async fn counted_spans(api: &Api, outcome: &str) -> Result<u64> {
    counted(
        api,
        &format!("atelier_spans_total{{outcome=\"{outcome}\"}}"),
    )
    .await
}

/// Waits until so many requests are recorded, which is after their end.
async fn recorded(api: &Api, requests: u64) -> Result<()> {
    in_time("traces are recorded", LONG, async || {
        Ok(counted(api, "atelier_traces_stored_total").await? == requests)
    })
    .await
}

/// The spans of one trace by their ids, each of which is there once.
fn by_id<'a>(spans: &'a [Seen], trace: &str) -> Result<HashMap<&'a str, &'a Seen>> {
    let mut found = HashMap::new();
    for span in spans.iter().filter(|span| span.trace == trace) {
        let before = found.insert(span.id.as_str(), span);
        ensure!(before.is_none(), "twice: {span:#?}");
    }
    Ok(found)
}

/// The names from a span up to the root.
fn way<'a>(spans: &HashMap<&str, &'a Seen>, from: &'a Seen) -> Vec<&'a str> {
    let up = |span: &&'a Seen| spans.get(span.parent.as_str()).copied();
    std::iter::successors(Some(from), up)
        .map(|span| span.name.as_str())
        .collect()
}

/// How often each name is there.
fn count(spans: &HashMap<&str, &Seen>, name: &str) -> usize {
    spans.values().filter(|span| span.name == name).count()
}
