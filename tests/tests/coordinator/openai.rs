//! What OpenAI's client libraries cannot show: links between coordinators, a coordinator that stops under a call, callers that go away.
//! The rest is `deploy/test openai`.

use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    RequestId,
    http::{RequestList, RequestState},
    job::{JobKind, Think, Work},
    openai::{ImagesResponse, OpenAiError},
};
use atelier_tests::{Api, Sandbox, in_time};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::task::JoinHandle;

use atelier_tests::hand::{Hand, png};

const PATH: &str = "/v1/images/generations";
const SOON: Duration = Duration::from_secs(20);

/// A call that waits for its pictures.
fn wait_for(api: &Api, body: Value, key: Option<&'static str>) -> JoinHandle<Result<Response>> {
    let api = api.clone();
    tokio::spawn(async move { api.post(PATH, &body, key).await })
}

/// The requests of the test's tenant, newest first.
async fn requests(api: &Api) -> Result<Vec<(RequestId, RequestState)>> {
    let list: RequestList = api.get("/v1/requests").await?.json().await?;
    let requests = list.requests.into_iter();
    Ok(requests.map(|one| (one.id, one.state)).collect())
}

async fn all_are(api: &Api, state: RequestState) -> Result<()> {
    in_time("they stand so", SOON, async || {
        let all = requests(api).await?;
        Ok(!all.is_empty() && all.iter().all(|(_, found)| *found == state))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_one_coordinator_is_good_at_every_other() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let one = sandbox.coordinator("one", &["--public-url", "https://farm.example/"])?;
    let two = sandbox.coordinator("two", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let wish = json!({"prompt": "a cat", "quality": "low", "response_format": "url", "output_format": "jpeg"});
    let call = wait_for(&one.api, wish, None);
    let job = hand.next(JobKind::Render).await?;
    hand.finish(job, hand.rendered(9).await?).await?;
    let answer = call.await??;
    assert_eq!(answer.status(), StatusCode::OK);
    let body: ImagesResponse = answer.json().await?;
    let url = body.data[0].url.clone().context("a link")?;
    let path = url
        .strip_prefix("https://farm.example")
        .context("where the farm is")?;
    // Nobody needs a key for it.
    let anybody = two.api.with_key(None)?;
    let file = anybody.get(path).await?;
    assert_eq!(file.headers()["content-type"], "image/jpeg");
    let tag = file.headers()["etag"].clone();
    let picture = image::load_from_memory(&file.bytes().await?)?;
    assert_eq!((picture.width(), picture.height()), (8, 8));
    let (start, end) = path.split_at(path.len() - 1);
    let other = if end == "A" { "E" } else { "A" };
    for wrong in [
        format!("{start}{other}"),
        start.to_owned(),
        "/v1/files/x".to_owned(),
    ] {
        let refused = anybody.get(&wrong).await?;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{wrong}");
    }
    // Who has it, or wants no bytes, is answered without it: it is not even read.
    std::fs::remove_dir_all(sandbox.folder().join("objects"))?;
    let call = anybody.call(Method::GET, path);
    let known = call.header("if-none-match", &tag).send().await?;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let head = anybody.call(Method::HEAD, path).send().await?;
    assert_eq!(
        (head.status(), &head.headers()["etag"]),
        (StatusCode::OK, &tag)
    );
    assert_eq!(head.headers()["content-type"], "image/jpeg");
    assert!(!head.headers().contains_key("content-length"));
    assert!(anybody.get(path).await?.status().is_server_error());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_thought_is_as_long_as_the_call_says_and_no_other_is() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    for (think, tokens) in [("fast", 9), ("full", 4097)] {
        let wish = json!({"prompt": "a cat", "think": think, "think_tokens": tokens});
        let refused = coordinator.api.post(PATH, &wish, None).await?;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let body: OpenAiError = refused.json().await?;
        assert_eq!(body.error.param.as_deref(), Some("think_tokens"));
    }
    let wish = json!({"prompt": "a cat", "complexity": "high", "think_tokens": 9});
    let call = wait_for(&coordinator.api, wish, None);
    let job = hand.next(JobKind::Plan).await?;
    let Work::Plan(work) = &job.offer.work else {
        panic!("{:?}", job.offer)
    };
    assert_eq!((work.think, work.think_tokens), (Think::Full, Some(9)));
    call.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_cannot_be_read_costs_that_preview_only() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let wish = json!({"prompt": "a cat", "quality": "low", "output_format": "jpeg", "stream": true, "partial_images": 3});
    let mut events = coordinator.api.post(PATH, &wish, None).await?;
    let job = hand.next(JobKind::Render).await?;
    let mut text = String::new();
    // The stream may not listen yet.
    while !text.contains("partial_image\n") {
        hand.preview(&job.offer, 1, 4, Some(png(1)?)).await?;
        let chunk = tokio::time::timeout(Duration::from_millis(200), events.chunk()).await;
        if let Ok(chunk) = chunk {
            text.push_str(std::str::from_utf8(&chunk?.context("the stream goes on")?)?);
        }
    }
    hand.preview(&job.offer, 2, 4, Some(b"no picture".to_vec()))
        .await?;
    hand.preview(&job.offer, 3, 4, Some(png(2)?)).await?;
    while !text.contains("\"partial_image_index\":1") {
        text.push_str(std::str::from_utf8(
            &events.chunk().await?.context("the stream goes on")?,
        )?);
    }
    hand.finish(job, hand.rendered(9).await?).await?;
    text.push_str(&events.text().await?);
    assert!(
        text.contains("event: image_generation.completed\n"),
        "{text}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_cancels_unless_it_can_come_again() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let hasty = Api::patient(
        api.base(),
        Some(&sandbox.own_key()?),
        Duration::from_secs(2),
    )?;
    let wish = json!({"prompt": "a cat", "n": 3});
    assert!(wait_for(&hasty, wish.clone(), None).await?.is_err());
    all_are(api, RequestState::Canceled).await?;
    assert_eq!(requests(api).await?.len(), 3);

    assert!(wait_for(&hasty, wish.clone(), Some("mine")).await?.is_err());
    let begun = requests(api).await?;
    assert_eq!(begun.len(), 6);
    // It comes again, and waits for the same ones.
    let call = wait_for(api, wish, Some("mine"));
    // Room for what must not happen: a cancel, or further requests.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(requests(api).await?, begun);
    let active = begun
        .iter()
        .filter(|(_, state)| *state == RequestState::Active);
    assert_eq!(active.count(), 3);
    for (id, _) in &begun[..3] {
        api.cancel(*id).await?;
    }
    let answer = call.await??;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(answer.headers()["x-should-retry"], "false");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_during_the_commit_cancels_too() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let hasty = Api::patient(
        api.base(),
        Some(&sandbox.own_key()?),
        Duration::from_secs(2),
    )?;
    let mut database = sandbox.database().await?;
    let mut commit = database.begin().await?;
    sqlx::query("LOCK TABLE requests IN SHARE MODE")
        .execute(&mut *commit)
        .await?;
    let wish = json!({"prompt": "a cat", "n": 3});
    assert!(wait_for(&hasty, wish, None).await?.is_err());
    // Room for the coordinator to see that before the commit: where it sees it later, a call that is held cancels as well, and less is shown.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(requests(api).await?, []);
    commit.rollback().await?;
    in_time("all are there and canceled", SOON, async || {
        let all = requests(api).await?;
        let canceled = |(_, state): &(_, _)| *state == RequestState::Canceled;
        Ok(all.len() == 3 && all.iter().all(canceled))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_stops_sends_its_callers_elsewhere() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut one = sandbox.coordinator("one", &[])?;
    let two = sandbox.coordinator("two", &[])?;
    let call = wait_for(&one.api, json!({"prompt": "a cat"}), None);
    all_are(&two.api, RequestState::Active).await?;
    assert!(one.program.terminate(SOON)?.success());
    let answer = call.await??;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    let body: OpenAiError = answer.json().await?;
    assert_eq!(body.error.kind, "server_error");
    // What nobody waits for is not drawn.
    all_are(&two.api, RequestState::Canceled).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pictures_are_accepted_or_none() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--tenant-queue-limit", "3"])?;
    let api = &coordinator.api;
    let answer = api
        .post(PATH, &json!({"prompt": "cats", "n": 4}), None)
        .await?;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key("retry-after"));
    let body: OpenAiError = answer.json().await?;
    assert_eq!(body.error.kind, "rate_limit_error");
    in_time("none is left", SOON, async || {
        let all = requests(api).await?;
        Ok(all
            .iter()
            .all(|(_, state)| *state == RequestState::Canceled))
    })
    .await?;
    // The same call finds room later: what was canceled for the lack of it does not count.
    let wish = json!({"prompt": "cats", "n": 4});
    let refused = api.post(PATH, &wish, Some("mine")).await?;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    sandbox.administer(&["tenant", "set", "test", "--queue-limit", "10"])?;
    let _call = wait_for(api, wish, Some("mine"));
    in_time("all are there", SOON, async || {
        let all = requests(api).await?;
        let active = all
            .iter()
            .filter(|(_, state)| *state == RequestState::Active);
        Ok(active.count() == 4)
    })
    .await?;
    let long = json!({"prompt": "x".repeat(2 << 20)});
    let refused = api.post(PATH, &long, None).await?;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let body: OpenAiError = refused.json().await?;
    assert!(
        body.error.message.contains("1048576"),
        "{}",
        body.error.message
    );
    let wrong = api.call(Method::POST, PATH).body("prompt=x").send().await?;
    assert_eq!(wrong.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    Ok(())
}
