//! W3C trace context: from the submitter to the offers, and back in the answer.

use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{TraceContext, http::RequestView, job::JobKind};
use atelier_tests::{Api, Sandbox, prompt};
use reqwest::Method;

use atelier_tests::hand::Hand;

const BROUGHT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// Submits with a `traceparent`; the request and the trace context of the answer.
async fn submit(
    api: &Api,
    traceparent: Option<&str>,
    key: &str,
) -> Result<(RequestView, TraceContext)> {
    let mut call = api
        .call(Method::POST, "/v1/requests")
        .header("idempotency-key", key)
        .json(&prompt("a cat"));
    if let Some(traceparent) = traceparent {
        call = call.header("traceparent", traceparent);
    }
    let answer = call.send().await?.error_for_status()?;
    let context = answer
        .headers()
        .get("traceparent")
        .context("an answer has a traceparent")?;
    let context = context.to_str()?.parse()?;
    Ok((answer.json().await?, context))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitters_trace_reaches_the_workers_and_any_other_is_the_requests_own() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let hand = Hand::new(&sandbox).await?;
    let of_own = |view: &RequestView| view.id.to_string().replace('-', "");
    for (brought, is_read) in [
        (Some(BROUGHT), true),
        (None, false),
        (Some("00-rubbish"), false),
    ] {
        let key = format!("key of {brought:?}").replace('"', "'");
        let (view, answered) = submit(api, brought, &key).await?;
        let wanted = if is_read {
            TRACE_ID.to_owned()
        } else {
            of_own(&view)
        };
        assert_eq!(answered.trace_id().to_string(), wanted);
        assert_ne!(
            answered.to_string(),
            BROUGHT,
            "the request is a span of its own"
        );
        let job = hand.next(JobKind::Plan).await?;
        assert_eq!(job.offer.request, view.id);
        assert_eq!(job.trace, Some(answered.to_string()));
        job.delivery.done().await;
        // A second submit is the first one's.
        let (again, same) = submit(api, None, &key).await?;
        assert_eq!((again.id, same), (view.id, answered));
        api.cancel(view.id).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_coordinator_and_worker_show_the_trace() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let worker = sandbox.worker("worker", &[])?;
    let (view, _) = submit(&coordinator.api, Some(BROUGHT), "traced").await?;
    coordinator
        .api
        .succeeded(view.id, Duration::from_secs(30))
        .await?;
    for (name, log) in [
        ("coordinator", coordinator.program.log()),
        ("worker", worker.program.log()),
    ] {
        assert!(log.contains(TRACE_ID), "{name}:\n{log}");
    }
    Ok(())
}
