//! Plans as files: asked for alone, edited, given back and drawn; what is wrong with one is told with its place.

use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    http::{ErrorBody, RequestState, SubmitRequest},
    job::{JobKind, Think},
    plan::{BBox, Plan},
    trace::Trace,
};
use atelier_tests::{Api, Sandbox, prompt};
use reqwest::StatusCode;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(60);

async fn trace_of(api: &Api, request: &SubmitRequest) -> Result<Trace> {
    let id = api.submit(request).await?.id;
    api.succeeded(id, LONG).await?;
    api.trace(id).await
}

fn given(plan: &Plan) -> SubmitRequest {
    SubmitRequest {
        plan: Some(Box::new(plan.clone())),
        ..prompt("a cat and a dog")
    }
}

#[tokio::test]
async fn a_plan_is_asked_for_edited_and_drawn() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let _worker = sandbox.worker("worker", &[])?;
    let api = &coordinator.api;

    let only = SubmitRequest {
        plan_only: true,
        think: Think::Full,
        ..prompt("a cat and a dog")
    };
    let trace = trace_of(api, &only).await?;
    assert!(trace.submitted.plan_only && trace.submitted.think == Think::Full);
    assert_eq!((trace.image, trace.jobs.len()), (None, 1));
    let plan = trace.plan.context("a plan is what was asked for")?;

    let unchanged = trace_of(api, &given(&plan)).await?;
    let mut edited = plan.clone();
    edited.elements[0].noun = "tiger".into();
    edited.elements[0].bbox = Some(BBox([0.0, 0.0, 0.5, 0.5]));
    let changed = trace_of(api, &given(&edited)).await?;

    assert_eq!(unchanged.plan.as_ref(), Some(&plan));
    assert_eq!(changed.plan.as_ref(), Some(&edited));
    for trace in [&unchanged, &changed] {
        assert!(
            trace.jobs.iter().all(|job| job.kind != JobKind::Plan),
            "it was planned all the same"
        );
        assert!(
            trace.jobs.iter().any(|job| job.kind == JobKind::Critique),
            "its checks were not asked"
        );
        // What it tells of thinking is that there was none: the plan was there.
        assert!(trace.plan_was_given() && trace.submitted.think == Think::Off);
    }
    assert_ne!(unchanged.image, changed.image, "the edit shows nowhere");
    // The same plan and seed are the same picture, planned or given.
    let planned = trace_of(api, &prompt("a cat and a dog")).await?;
    assert_eq!(planned.plan, Some(plan));
    assert_eq!(planned.image, unchanged.image);
    assert!(!planned.plan_was_given());
    let off = SubmitRequest {
        think: Think::Off,
        ..prompt("a cat and a dog")
    };
    assert!(!trace_of(api, &off).await?.plan_was_given());
    Ok(())
}

#[tokio::test]
async fn a_given_plan_is_tried_again_as_it_was() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let api = &coordinator.api;
    let mut plan = Plan::direct("a cat");
    plan.reasoning = "by hand".into();
    // Nobody draws it before it is canceled.
    let id = api.submit(&given(&plan)).await?.id;
    api.cancel(id).await?;
    let answer = api
        .post(&format!("/v1/requests/{id}/retry"), &json!({}), None)
        .await?;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let again: atelier_proto::http::RequestView = answer.json().await?;
    let _worker = sandbox.worker("worker", &[])?;
    api.succeeded(again.id, LONG).await?;
    assert_eq!(api.trace(again.id).await?.plan, Some(plan));
    Ok(())
}

/// A plan of one stage with something wrong, as JSON of a request.
fn wrong(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({"prompt": "a cat", "plan": {
        "version": 1, "caption": "a cat",
        "elements": [{"id": "cat", "noun": "cat", "box": [0.1, 0.1, 0.6, 0.6]}],
        "stages": [{"id": "out", "op": "generate"}]
    }});
    change(&mut body);
    body
}

#[tokio::test]
async fn what_is_wrong_with_a_plan_is_told_with_its_place() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let api = &coordinator.api;
    let edit = |id: &str, input: &str| json!({"id": id, "op": "edit", "input": input, "instruction": "", "strength": 0.5});
    let cases: Vec<(&str, Value)> = vec![
        (
            "plan.version",
            wrong(|body| body["plan"]["version"] = json!(9)),
        ),
        (
            "plan.stages",
            wrong(|body| body["plan"]["stages"] = json!([edit("a", "b"), edit("b", "a")])),
        ),
        (
            "plan.stages[0].input",
            wrong(|body| body["plan"]["stages"] = json!([edit("a", "nobody")])),
        ),
        (
            "plan.elements[0].box",
            wrong(|body| body["plan"]["elements"][0]["box"] = json!([0.5, 0.5, 0.2, 0.9])),
        ),
        (
            "plan.elements[0].reference",
            wrong(|body| body["plan"]["elements"][0]["reference"] = json!("../../etc/passwd")),
        ),
        (
            "plan.elements[0].reference",
            wrong(|body| body["plan"]["elements"][0]["reference"] = json!("refs/cat")),
        ),
        (
            "plan.caption",
            wrong(|body| body["plan"]["caption"] = json!("x".repeat(5_000))),
        ),
        (
            "plan.elements",
            wrong(|body| {
                let many: Vec<Value> = (0..17)
                    .map(|n| json!({"id": format!("c{n}"), "noun": "cat"}))
                    .collect();
                body["plan"]["elements"] = json!(many);
            }),
        ),
        (
            "plan",
            wrong(|body| {
                let words = vec!["x".repeat(3_900); 16];
                let many: Vec<Value> = (0..16)
                    .map(|n| json!({"id": format!("c{n}"), "noun": "cat", "attributes": words}))
                    .collect();
                body["plan"]["elements"] = json!(many);
            }),
        ),
        (
            "plan.elements[0].noun",
            wrong(|body| body["plan"]["elements"][0]["noun"] = json!(7)),
        ),
        ("plan_only", wrong(|body| body["plan_only"] = json!(true))),
        (
            "think",
            json!({"prompt": "a cat", "plan_only": true, "think": "off"}),
        ),
    ];
    for (field, body) in cases {
        let answer = api.post("/v1/requests", &body, None).await?;
        assert!(
            answer.status().is_client_error(),
            "{field}: {}",
            answer.status()
        );
        let error: ErrorBody = answer.json().await?;
        assert_eq!(error.error.field.as_deref(), Some(field), "{error:?}");
    }
    let good = api.post("/v1/requests", &wrong(|_| {}), None).await?;
    assert_eq!(good.status(), StatusCode::CREATED);
    let view: atelier_proto::http::RequestView = good.json().await?;
    assert_eq!(view.state, RequestState::Active);
    Ok(())
}
