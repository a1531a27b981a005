//! Requests through the whole farm: real servers and programs, with the engine's test double in place of the networks.

use std::{io::Cursor, time::Duration};

use anyhow::{Context, Result, ensure};
use atelier_pictures::{Parameters, Provenance};
use atelier_proto::{
    ArtifactRef,
    http::{ErrorBody, Event, RequestState, RequestView, SubmitRequest, UploadedReference},
    job::{JobKind, Size, Think},
    plan::StageOp,
    trace::Trace,
};
use atelier_tests::{Api, Coordinator, Options, Sandbox, Worker, prompt, sha256};
use reqwest::StatusCode;

/// Much longer than any of these requests takes, for a machine that is busy.
const LONG: Duration = Duration::from_secs(60);

/// The sandbox comes first, so that callers drop it last: the programs' logs are in it.
async fn farm() -> Result<(Sandbox, Coordinator, Worker)> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let worker = sandbox.worker("worker", &[])?;
    Ok((sandbox, coordinator, worker))
}

async fn draw(api: &Api, request: &SubmitRequest) -> Result<(RequestView, Trace)> {
    let view = api.submit(request).await?;
    let view = api.succeeded(view.id, LONG).await?;
    Ok((view.clone(), api.trace(view.id).await?))
}

/// A picture and a trace that belong together.
async fn check_result(api: &Api, view: &RequestView, trace: &Trace) -> Result<()> {
    let picture = api.picture(view.id).await?;
    let named = view.image.context("a success has a picture")?;
    ensure!(
        named.sha256 == sha256(&picture),
        "the picture's bytes do not match its name"
    );
    ensure!(
        named.bytes == picture.len() as u64,
        "the picture's length is wrong"
    );
    image::load_from_memory_with_format(&picture, image::ImageFormat::Png)?;
    check_label(&picture, trace)?;
    ensure!(
        trace.image == Some(named),
        "the trace names another picture"
    );
    ensure!(trace.request == view.id && trace.state == view.state && trace.seed == view.seed);
    ensure!(
        trace.jobs.iter().all(|job| job.state == "done"),
        "{:#?}",
        trace.jobs
    );
    Ok(())
}

/// What the picture's file says of itself is what the trace says.
fn check_label(picture: &[u8], trace: &Trace) -> Result<()> {
    let texts = atelier_pictures::texts(picture)?;
    let text = |keyword: &str| {
        let found = texts.iter().find(|text| text.keyword == keyword);
        found.with_context(|| format!("the picture has no text {keyword}"))
    };
    let made = Provenance::parse(&text(Provenance::KEYWORD)?.text)?;
    let drawn = |job: &&atelier_proto::trace::TraceJob| {
        job.kind == JobKind::Render && job.artifact == trace.image
    };
    let job = trace.jobs.iter().find(drawn).context("it was drawn")?;
    ensure!(
        made.model == trace.model
            && Some(made.seed) == job.seed
            && Some(&made.stage) == job.stage.as_ref()
            && Some(&made.op) == job.op.as_ref()
            && Some(made.steps) == job.steps,
        "the picture says {made:?}, the trace {job:?}"
    );
    let parameters = Parameters::parse(&text(Parameters::KEYWORD)?.text);
    ensure!(parameters.prompt == made.prompt.trim(), "{parameters:?}");
    Ok(())
}

fn kinds(trace: &Trace) -> Vec<JobKind> {
    trace.jobs.iter().map(|job| job.kind).collect()
}

fn png(color: [u8; 3]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(8, 8, image::Rgb(color));
    picture
        .write_to(&mut file, image::ImageFormat::Png)
        .expect("a picture in memory is always written");
    file.into_inner()
}

#[tokio::test]
async fn a_prompt_becomes_a_picture_and_a_trace() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let (view, trace) = draw(&coordinator.api, &prompt("a cat and a radio")).await?;
    check_result(&coordinator.api, &view, &trace).await?;
    assert_eq!(
        kinds(&trace),
        [JobKind::Plan, JobKind::Render, JobKind::Critique]
    );
    let plan = trace.plan.context("it was planned")?;
    assert!(
        plan.element("cat").is_some() && plan.element("radio").is_some(),
        "{plan:#?}"
    );
    let thought = trace.thought.context("the thought is kept")?;
    assert_eq!(thought.text, "cat radio");
    let review = trace.jobs[2]
        .review
        .as_ref()
        .context("the review is kept")?;
    assert_eq!(review.verdicts.len(), plan.checks.len());
    let score = view.score.context("it was checked")?;
    assert_eq!((score.pass, score.fail), (2, 0));
    assert!(
        trace
            .jobs
            .iter()
            .all(|job| job.attempts == 1 && job.worker.is_some())
    );
    Ok(())
}

#[tokio::test]
async fn objects_may_be_in_s3() -> Result<()> {
    let sandbox = Sandbox::with(Options {
        s3: true,
        ..Options::default()
    })
    .await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let _worker = sandbox.worker("worker", &[])?;
    let (view, trace) = draw(&coordinator.api, &prompt("a cat and a radio")).await?;
    check_result(&coordinator.api, &view, &trace).await?;
    // Plan, picture, review, trace.
    assert_eq!(sandbox.artifact_count().await?, 4);
    Ok(())
}

#[tokio::test]
async fn the_same_seed_draws_the_same_picture_and_another_one_does_not() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let with_seed = |seed| SubmitRequest {
        seed: Some(seed),
        ..prompt("a cat")
    };
    let (one, _) = draw(&coordinator.api, &with_seed(1)).await?;
    let (again, _) = draw(&coordinator.api, &with_seed(1)).await?;
    let (other, _) = draw(&coordinator.api, &with_seed(2)).await?;
    assert_eq!(one.image, again.image);
    assert_ne!(one.image, other.image);
    Ok(())
}

#[tokio::test]
async fn without_thinking_the_prompt_is_drawn_as_it_is() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let request = SubmitRequest {
        think: Think::Off,
        size: Some(Size {
            width: 96,
            height: 64,
        }),
        steps: Some(3),
        ..prompt("a cat")
    };
    let (view, trace) = draw(&coordinator.api, &request).await?;
    check_result(&coordinator.api, &view, &trace).await?;
    assert_eq!(kinds(&trace), [JobKind::Render]);
    assert_eq!(trace.jobs[0].steps, Some(3));
    let picture = image::load_from_memory(&coordinator.api.picture(view.id).await?)?;
    assert_eq!((picture.width(), picture.height()), (96, 64));
    Ok(())
}

#[tokio::test]
async fn a_cancel_frees_the_worker_within_a_step() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let api = &coordinator.api;
    let endless = SubmitRequest {
        steps: Some(200),
        ..prompt("a cat [slow:500]")
    };
    let view = api.submit(&endless).await?;
    api.until(view.id, LONG, is_drawing).await?;
    let canceled = api.cancel(view.id).await?;
    assert_eq!(canceled.state, RequestState::Canceled);
    // Only a worker that stopped drawing takes this one before the 100 s of the other are over.
    let (next, _) = draw(api, &prompt("a dog")).await?;
    assert_eq!(next.state, RequestState::Succeeded);
    let after = api.view(view.id).await?;
    assert_eq!(
        (after.state, after.finished_at),
        (RequestState::Canceled, canceled.finished_at)
    );
    assert_eq!(
        api.cancel(next.id).await?.state,
        RequestState::Succeeded,
        "what ended stays"
    );
    Ok(())
}

fn is_drawing(view: &RequestView) -> bool {
    view.jobs
        .iter()
        .any(|job| job.kind == JobKind::Render && job.state == "dispatched")
}

#[tokio::test]
async fn the_users_own_pictures_are_drawn_with() -> Result<()> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let (_sandbox, coordinator, _worker) = farm().await?;
    let reference = |name: &str, bytes: &[u8]| UploadedReference {
        name: name.to_owned(),
        data: STANDARD.encode(bytes),
    };
    let request = SubmitRequest {
        references: vec![
            reference("cat", &png([200, 100, 0])),
            reference("dog", &png([0, 0, 0])),
        ],
        ..prompt("a cat and a radio")
    };
    let (view, trace) = draw(&coordinator.api, &request).await?;
    check_result(&coordinator.api, &view, &trace).await?;
    let cat = trace
        .plan
        .as_ref()
        .and_then(|plan| plan.element("cat"))
        .context("a cat")?;
    assert_eq!(cat.reference.as_deref(), Some("refs/cat"));
    let used: Vec<&str> = trace.jobs[1]
        .references
        .iter()
        .map(|used| used.reference.as_str())
        .collect();
    assert_eq!(used, ["refs/cat"]);
    let names: Vec<&str> = trace
        .submitted
        .references
        .iter()
        .map(|sent| sent.name.as_str())
        .collect();
    assert_eq!(names, ["cat", "dog"]);
    let rubbish = SubmitRequest {
        references: vec![reference("cat", b"no picture")],
        ..request
    };
    let answer = coordinator.api.post("/v1/requests", &rubbish, None).await?;
    assert!(answer.status().is_client_error());
    let error: ErrorBody = answer.json().await?;
    assert!(
        error
            .error
            .field
            .unwrap_or_default()
            .starts_with("references[0]")
    );
    Ok(())
}

#[tokio::test]
async fn a_submit_sent_twice_is_one_request() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let api = &coordinator.api;
    let send = |request: SubmitRequest| async move {
        api.post("/v1/requests", &request, Some("key-1")).await
    };
    let first: RequestView = send(prompt("a cat")).await?.json().await?;
    let second = send(prompt("a cat")).await?;
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(second.json::<RequestView>().await?.id, first.id);
    let other = send(prompt("a dog")).await?;
    assert!(
        other.status().is_client_error(),
        "the key stands for another request"
    );
    api.succeeded(first.id, LONG).await?;
    let list: atelier_proto::http::RequestList = api.get("/v1/requests").await?.json().await?;
    assert_eq!(list.requests.len(), 1);
    Ok(())
}

#[tokio::test]
async fn failed_checks_lead_to_another_round_and_the_best_picture_is_kept() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let mut rounds_seen = 0;
    for seed in 0..6 {
        let request = SubmitRequest {
            seed: Some(seed),
            max_rounds: Some(4),
            ..prompt("a cat, a radio, a dog and a tree [misses]")
        };
        let (view, trace) = draw(&coordinator.api, &request).await?;
        check_result(&coordinator.api, &view, &trace).await?;
        let mut best: Option<(u32, Option<ArtifactRef>)> = None;
        for round in 1..=view.round {
            let jobs = || trace.jobs.iter().filter(move |job| job.round == round);
            let review = jobs().find_map(|job| job.review.as_ref());
            let score = review.context("every round is looked at")?.score();
            let drawn = jobs().rfind(|job| job.kind == JobKind::Render);
            let picture = drawn.and_then(|job| job.artifact);
            if best.is_none_or(|(pass, _)| score.pass > pass) {
                best = Some((score.pass, picture));
            }
            let all = score.fail == 0 && score.unknown == 0;
            assert!(
                !all || round == view.round,
                "it went on after all checks passed"
            );
        }
        assert_eq!(
            best.context("a round")?.1,
            view.image,
            "not the first best picture"
        );
        rounds_seen = rounds_seen.max(view.round);
    }
    assert!(rounds_seen > 1, "no check ever failed");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_mended_ends_with_the_best_picture() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let request = SubmitRequest {
        max_rounds: Some(3),
        ..prompt("a cat [hopeless]")
    };
    let (view, trace) = draw(&coordinator.api, &request).await?;
    check_result(&coordinator.api, &view, &trace).await?;
    assert!(view.round <= 3);
    assert_eq!(view.score.context("it was checked")?.pass, 0);
    Ok(())
}

#[tokio::test]
async fn stages_wait_for_the_stages_they_read() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let (view, trace) = draw(&coordinator.api, &prompt("a city [blend]")).await?;
    check_result(&coordinator.api, &view, &trace).await?;
    let plan = trace.plan.as_ref().context("a plan")?;
    assert!(matches!(
        plan.sink().context("a sink")?.op,
        StageOp::Blend { .. }
    ));
    let drawn: Vec<_> = trace
        .jobs
        .iter()
        .filter(|job| job.kind == JobKind::Render)
        .collect();
    assert_eq!(drawn.len(), 3);
    let made = |stage: &str| {
        drawn
            .iter()
            .find(|job| job.stage.as_deref() == Some(stage))?
            .artifact
    };
    assert_eq!(made("out"), view.image);
    assert_ne!(made("one"), made("two"), "two stages have two seeds");
    Ok(())
}

#[tokio::test]
async fn stages_that_do_not_read_each_other_are_drawn_at_once_on_two_workers() -> Result<()> {
    let (sandbox, coordinator, _worker) = farm().await?;
    let _other = sandbox.worker("other", &[])?;
    let slow = prompt("a city [blend] [slow:300]");
    let (_, trace) = draw(&coordinator.api, &slow).await?;
    let drawn = |stage: &str| {
        let mut drawn = trace.jobs.iter();
        drawn
            .find(|job| job.stage.as_deref() == Some(stage))
            .context("it was drawn")
    };
    let (one, two) = (drawn("one")?, drawn("two")?);
    ensure!(
        one.worker.is_some() && one.worker != two.worker,
        "{one:#?} {two:#?}"
    );
    let began = one.started_ms.max(two.started_ms).context("both began")?;
    let ended = one.ended_ms.min(two.ended_ms).context("both ended")?;
    ensure!(began < ended, "one after the other: {one:#?} {two:#?}");
    // And what reads both waits for both.
    let out = drawn("out")?.started_ms.context("it began")?;
    ensure!(Some(out) >= one.ended_ms.max(two.ended_ms), "{trace:#?}");
    Ok(())
}

#[tokio::test]
async fn what_fails_once_is_tried_again_and_what_cannot_be_done_says_why() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let api = &coordinator.api;
    let (_, trace) = draw(api, &prompt("a cat [flaky:render]")).await?;
    let render = trace
        .jobs
        .iter()
        .find(|job| job.kind == JobKind::Render)
        .context("a render")?;
    assert_eq!(render.attempts, 2);
    let failed = api.submit(&prompt("a cat [impossible:render]")).await?;
    let failed = api.ended(failed.id, LONG).await?;
    assert_eq!(failed.state, RequestState::Failed);
    assert!(
        failed
            .reason
            .as_deref()
            .unwrap_or_default()
            .contains("told to be impossible"),
        "{failed:#?}"
    );
    let trace = api.trace(failed.id).await?;
    assert_eq!((trace.state, trace.image), (RequestState::Failed, None));
    Ok(())
}

#[tokio::test]
async fn a_device_without_room_fails_the_attempt_and_another_worker_tries() -> Result<()> {
    let (sandbox, coordinator, mut worker) = farm().await?;
    let mut other = sandbox.worker("the-other", &[])?;
    let api = &coordinator.api;
    let full = api.submit(&prompt("a cat [full:render]")).await?;
    let full = api.ended(full.id, LONG).await?;
    assert_eq!(full.state, RequestState::Failed);
    // Not one of them twice.
    assert_eq!(
        full.reason.as_deref(),
        Some("parked: failed on 2 different workers, the last time: told to be full")
    );
    // Both are as good as before.
    for seed in 0..4 {
        let request = SubmitRequest {
            seed: Some(seed),
            ..prompt("a dog")
        };
        draw(api, &request).await?;
    }
    assert!(worker.program.is_running() && other.program.is_running());
    Ok(())
}

#[tokio::test]
async fn a_plan_that_fails_gives_way_to_the_raw_prompt() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let (_, trace) = draw(&coordinator.api, &prompt("a cat [impossible:plan]")).await?;
    let plan = trace.plan.context("a plan")?;
    assert!(plan.elements.is_empty());
    assert_eq!(trace.jobs[0].state, "failed");
    assert!(
        trace
            .jobs
            .iter()
            .any(|job| job.kind == JobKind::Render && job.state == "done")
    );
    Ok(())
}

#[tokio::test]
async fn events_follow_a_request_to_its_end() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let api = &coordinator.api;
    let view = api.submit(&prompt("a cat [slow:100]")).await?;
    let body = api
        .get(&format!("/v1/requests/{}/events", view.id))
        .await?
        .text()
        .await?;
    let events: Vec<Event> = body
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert!(
        matches!(events.first(), Some(Event::Request { .. })),
        "first, where it stands"
    );
    let steps = events.iter().filter(|event| {
        matches!(
            event,
            Event::Progress {
                kind: JobKind::Render,
                ..
            }
        )
    });
    assert!(steps.count() >= 2, "{events:#?}");
    match events.last() {
        Some(Event::Request { request }) => assert_eq!(request.state, RequestState::Succeeded),
        other => panic!("the stream ended with {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_advice() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let api = &coordinator.api;
    for (field, request) in [
        ("prompt", prompt("  ")),
        ("prompt", prompt(&"x".repeat(4_001))),
        (
            "steps",
            SubmitRequest {
                steps: Some(0),
                ..prompt("a cat")
            },
        ),
        (
            "max_rounds",
            SubmitRequest {
                max_rounds: Some(5),
                ..prompt("a cat")
            },
        ),
        (
            "size",
            SubmitRequest {
                size: Some(Size {
                    width: 7,
                    height: 1 << 20,
                }),
                ..prompt("a cat")
            },
        ),
    ] {
        let answer = api.post("/v1/requests", &request, None).await?;
        assert!(
            answer.status().is_client_error(),
            "{field}: {}",
            answer.status()
        );
        let error: ErrorBody = answer.json().await?;
        assert!(
            error
                .error
                .field
                .as_deref()
                .unwrap_or_default()
                .starts_with(field),
            "{error:?}"
        );
    }
    for path in [
        "/v1/requests/00000000-0000-7000-8000-000000000000",
        "/v1/nothing",
    ] {
        let answer = api.get(path).await?;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(!answer.json::<ErrorBody>().await?.error.message.is_empty());
    }
    let unknown = serde_json::json!({"prompt": "a cat", "promt": "a typo"});
    assert!(
        api.post("/v1/requests", &unknown, None)
            .await?
            .status()
            .is_client_error()
    );
    Ok(())
}
