//! What a receiver sees of requests that went well, and of one that went wrong at first.

use anyhow::{Context, Result, ensure};
use atelier_tests::prompt;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::Method;

use crate::{
    BROUGHT, CALLER, LONG, TRACE_ID, by_id, count, farm,
    receiver::{Mood, Receiver, Seen},
    recorded, submit, way,
};

/// Rounding of the database's times, in nanoseconds.
const ROUNDED: u64 = 2_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn one_tree_from_the_call_through_nats_to_the_device_thread_and_back() -> Result<()> {
    let receiver = Receiver::start(Mood::Takes).await?;
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=one%20two");
    let (sandbox, mut coordinator, mut worker) = farm(&receiver, &[headers]).await?;
    let api = &coordinator.api;
    let wanted = prompt("a zeppelin and a radio [slow:5]");
    let id = submit(api, &wanted, Some(BROUGHT)).await?;
    let unsampled = BROUGHT.replace("0af7", "1bf7").replace("-01", "-00");
    let unkept = submit(api, &prompt("a cat"), Some(&unsampled)).await?;
    let own = submit(api, &prompt("a dog"), None).await?;
    for id in [id, unkept, own] {
        api.succeeded(id, LONG).await?;
    }
    recorded(api, 3).await?;
    let wish = serde_json::json!({"prompt": "a fern", "size": "128x128"});
    let call = api.call(Method::POST, "/v1/images/generations").json(&wish);
    let other = BROUGHT.replace("0af7", "2cf7");
    let call = call.header("traceparent", &other).send().await?;
    call.error_for_status()?;
    recorded(api, 4).await?;
    // What still waits to be exported goes out at the end of a process.
    ensure!(worker.program.terminate(LONG)?.success());
    ensure!(coordinator.program.terminate(LONG)?.success());

    let all = receiver.spans()?;
    let spans = by_id(&all, TRACE_ID)?;
    let roots: Vec<_> = spans
        .values()
        .filter(|span| !spans.contains_key(span.parent.as_str()))
        .collect();
    assert_eq!(roots.len(), 1, "orphans: {roots:#?}");
    assert_eq!(roots[0].parent, CALLER);
    assert_eq!(
        (roots[0].name.as_str(), roots[0].kind),
        ("POST /v1/requests", SpanKind::Server)
    );
    assert_eq!(
        roots[0].attribute("http.route").as_deref(),
        Some("/v1/requests")
    );
    assert_eq!(count(&spans, "request"), 1);
    for kind in ["plan", "render", "critique"] {
        let subject = format!("{}.job.{kind}.atelier-mini.normal", sandbox.prefix);
        let reports = format!("{}.report.{kind}", sandbox.prefix);
        let [publish, process, request, collect] = [
            format!("publish {subject}"),
            format!("process {subject}"),
            format!("request {reports}"),
            format!("process {reports}"),
        ];
        let last = spans.values().find(|span| span.name == collect);
        let last = *last.with_context(|| format!("no {collect} among {spans:#?}"))?;
        let expected = [
            &*collect,
            &*request,
            &*process,
            &*publish,
            kind,
            "request",
            "POST /v1/requests",
        ];
        assert_eq!(way(&spans, last), expected);
        let up: Vec<_> =
            std::iter::successors(Some(last), |span| spans.get(span.parent.as_str()).copied())
                .collect();
        let services: Vec<_> = up
            .iter()
            .map(|span| (span.service.as_str(), span.kind))
            .collect();
        let (coordinator, worker) = ("atelier-coordinator", "atelier-worker");
        assert_eq!(
            services[..5],
            [
                (coordinator, SpanKind::Consumer),
                (worker, SpanKind::Client),
                (worker, SpanKind::Consumer),
                (coordinator, SpanKind::Producer),
                (coordinator, SpanKind::Internal),
            ]
        );
        for (span, operation) in [(up[2], "process"), (up[3], "send")] {
            let is = |name, value: &str| span.attribute(name).as_deref() == Some(value);
            ensure!(
                is("messaging.system", "nats")
                    && is("messaging.destination.name", &subject)
                    && is("messaging.operation.type", operation),
                "{span:#?}"
            );
        }
        let attempt = up[2];
        let mut within: Vec<_> = spans
            .values()
            .filter(|span| span.parent == attempt.id)
            .copied()
            .collect();
        within.sort_by_key(|span| span.start);
        let names: Vec<_> = within.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(
            names,
            ["fetch", "wait for device", "device", "store", &*request]
        );
        for pair in within.windows(2) {
            ensure!(pair[0].end <= pair[1].start, "one after another: {pair:#?}");
        }
        for span in &within {
            ensure!(
                attempt.start <= span.start && span.end <= attempt.end,
                "{span:#?} is not within {attempt:#?}"
            );
        }
        assert_eq!(
            within[2].attribute("thread.name").as_deref(),
            Some("device")
        );
        assert_eq!(
            attempt.attribute("atelier.worker").as_deref(),
            Some("the-worker")
        );
    }
    for span in spans.values() {
        ensure!(span.start <= span.end && !span.failed, "{span:#?}");
        if let Some(parent) = spans.get(span.parent.as_str()) {
            ensure!(
                parent.start <= span.start + ROUNDED,
                "{span:#?} began before {parent:#?}"
            );
        }
    }
    let drawn = spans
        .values()
        .find(|span| span.name == "device" && span.end - span.start >= 20_000_000);
    ensure!(drawn.is_some(), "four slow steps show: {spans:#?}");

    // Whichever way a request is made.
    let drawn = by_id(&all, &other[3..35])?;
    let call = drawn.values().find(|span| span.parent == CALLER);
    assert_eq!(
        call.map(|call| call.name.as_str()),
        Some("POST /v1/images/generations")
    );
    let request = drawn.values().find(|span| span.name == "request");
    assert_eq!(request.map(|span| &span.parent), call.map(|span| &span.id));

    // A caller that does not keep its trace gets nothing; a request without a caller's trace has its own, whose root is the call.
    assert!(by_id(&all, &unsampled[3..35])?.is_empty());
    let own = by_id(&all, &own.to_string().replace('-', ""))?;
    assert_eq!(own.len(), spans.len());
    let root = own.values().find(|span| span.parent.is_empty());
    assert_eq!(
        root.map(|root| root.name.as_str()),
        Some("POST /v1/requests")
    );
    assert_eq!(receiver.header("x-tenant").as_deref(), Some("one two"));
    // What was asked for is nobody's business there.
    assert!(!receiver.was_told("zeppelin"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_and_came_again_shows_both_attempts() -> Result<()> {
    let receiver = Receiver::start(Mood::Takes).await?;
    let (sandbox, mut coordinator, mut worker) = farm(&receiver, &[]).await?;
    let id = submit(
        &coordinator.api,
        &prompt("a mug [flaky:render]"),
        Some(BROUGHT),
    )
    .await?;
    coordinator.api.succeeded(id, LONG).await?;
    recorded(&coordinator.api, 1).await?;
    ensure!(worker.program.terminate(LONG)?.success());
    ensure!(coordinator.program.terminate(LONG)?.success());
    let all = receiver.spans()?;
    let spans = by_id(&all, TRACE_ID)?;
    let process = format!("process {}.job.render.atelier-mini.normal", sandbox.prefix);
    let mut attempts: Vec<_> = spans.values().filter(|span| span.name == process).collect();
    attempts.sort_by_key(|span| span.start);
    assert_eq!(attempts.len(), 2, "{spans:#?}");
    assert_eq!(
        attempts.iter().map(|span| span.failed).collect::<Vec<_>>(),
        [true, false]
    );
    let job = |span: &&&Seen| {
        Some(
            spans
                .get(spans.get(span.parent.as_str())?.parent.as_str())?
                .id
                .clone(),
        )
    };
    assert_eq!(job(&attempts[0]), job(&attempts[1]));
    let orphans = spans
        .values()
        .filter(|span| !spans.contains_key(span.parent.as_str()));
    assert_eq!(orphans.count(), 1);
    Ok(())
}
