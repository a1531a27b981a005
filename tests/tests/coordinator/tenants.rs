use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    RequestId,
    http::{ErrorBody, RequestList, RequestState, RequestView, SubmitRequest},
    job::{JobKind, Think},
};
use atelier_tests::{Api, Sandbox, in_time, prompt};
use reqwest::{Method, Response, StatusCode};

use atelier_tests::hand::Hand;

/// Every endpoint that is a tenant's, for a request of this id.
fn routes(id: RequestId) -> Vec<(Method, String)> {
    let one = format!("/v1/requests/{id}");
    vec![
        (Method::GET, one.clone()),
        (Method::DELETE, one.clone()),
        (Method::POST, format!("{one}/cancel")),
        (Method::POST, format!("{one}/retry")),
        (Method::GET, format!("{one}/image")),
        (Method::GET, format!("{one}/trace")),
        (Method::GET, format!("{one}/artifacts/{}", "0".repeat(64))),
        (Method::GET, format!("{one}/events")),
    ]
}

async fn call(api: &Api, method: Method, path: &str) -> Result<Response> {
    let url = format!("{}{path}", api.base());
    Ok(api.client().request(method, url).send().await?)
}

async fn code(answer: Response) -> Result<(StatusCode, String, String)> {
    let status = answer.status();
    let body: ErrorBody = answer.json().await?;
    Ok((status, body.error.code, body.error.message))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_needs_a_good_key() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let request = coordinator.api.submit(&prompt("a cat")).await?;
    let mut all = routes(request.id);
    all.extend([
        (Method::GET, "/v1/requests".to_owned()),
        (Method::POST, "/v1/requests".to_owned()),
        (Method::GET, "/v1/workers".to_owned()),
    ]);
    let unknown = format!("atl_{}", "A".repeat(43));
    for key in [None, Some("atl_short"), Some(&*unknown)] {
        let api = coordinator.api.with_key(key)?;
        for (method, path) in &all {
            let answer = call(&api, method.clone(), path).await?;
            let challenge = answer.headers().get("www-authenticate").cloned();
            assert!(challenge.is_some_and(|value| value.as_bytes().starts_with(b"Bearer")));
            let (status, word, _) = code(answer).await?;
            let expected = (StatusCode::UNAUTHORIZED, "unauthorized");
            assert_eq!((status, word.as_str()), expected, "{method} {path}");
        }
    }
    let api = coordinator.api.with_key(None)?;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(api.get(path).await?.status(), StatusCode::OK, "{path}");
    }
    let still = coordinator.api.view(request.id).await?;
    assert_eq!(still.state, RequestState::Active);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let id_of = |index: usize| -> Result<String> {
        let listed = sandbox.administer(&["key", "list", "--json"])?;
        let keys: serde_json::Value = serde_json::from_str(&listed)?;
        let id = keys[index]["id"].as_str().context("an id")?;
        Ok(id.to_owned())
    };
    // Beside the test's own: one that is never used before, and one that the coordinator remembers.
    let (unused, used) = (sandbox.key_of("test")?, sandbox.key_of("test")?);
    let remembered = coordinator.api.with_key(Some(&used))?;
    remembered.workers().await?;
    for index in [1, 2] {
        sandbox.administer(&["key", "revoke", &id_of(index)?])?;
    }
    let fresh = coordinator.api.with_key(Some(&unused))?;
    let answer = fresh.get("/v1/workers").await?;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    in_time("it is forgotten", Duration::from_secs(40), async || {
        let answer = remembered.get("/v1/workers").await?;
        Ok(answer.status() == StatusCode::UNAUTHORIZED)
    })
    .await?;
    coordinator.api.workers().await?;
    let unknown = sandbox.administer(&["key", "revoke", "00000000-0000-7000-8000-00000000000f"]);
    assert!(unknown.is_err_and(|error| error.to_string().contains("there is no key")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_requests_look_as_if_they_were_not_there() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let other = coordinator.api.with_key(Some(&sandbox.key_of("other")?))?;
    let hand = Hand::new(&sandbox).await?;
    let direct = SubmitRequest {
        think: Think::Off,
        ..prompt("a cat")
    };
    let finished = coordinator.api.submit(&direct).await?;
    let job = hand.next(JobKind::Render).await?;
    hand.finish(job, hand.rendered(1).await?).await?;
    let finished = coordinator
        .api
        .succeeded(finished.id, Duration::from_secs(10))
        .await?;
    coordinator.api.trace(finished.id).await?;
    let canceled = coordinator.api.submit(&direct).await?;
    coordinator.api.cancel(canceled.id).await?;
    let active = coordinator.api.submit(&direct).await?;

    let nobody = RequestId::at(1, [1; 10]);
    for request in [finished.id, canceled.id, active.id] {
        for ((method, theirs), (_, unknown)) in routes(request).into_iter().zip(routes(nobody)) {
            let (status, word, message) =
                code(call(&other, method.clone(), &theirs).await?).await?;
            let without_id = message.replace(&request.to_string(), "ID");
            let (_, unknown_word, unknown_message) =
                code(call(&other, method.clone(), &unknown).await?).await?;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {theirs}");
            assert_eq!((&word, word.as_str()), (&unknown_word, "not_found"));
            assert_eq!(
                without_id,
                unknown_message.replace(&nobody.to_string(), "ID")
            );
        }
    }
    let listed: RequestList = other.get("/v1/requests").await?.json().await?;
    assert_eq!(listed.requests, []);
    let active = coordinator.api.view(active.id).await?;
    assert_eq!(active.state, RequestState::Active, "nobody stopped it");
    let own: RequestList = coordinator.api.get("/v1/requests").await?.json().await?;
    assert_eq!(own.requests.len(), 3, "nobody asked for one again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_keys_are_each_tenants_own() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let other = coordinator.api.with_key(Some(&sandbox.key_of("other")?))?;
    let submit =
        async |api: &Api, text: &str| api.post("/v1/requests", &prompt(text), Some("k")).await;
    // At the same time, so that they meet in one commit.
    let (one, two) = tokio::join!(submit(&coordinator.api, "a cat"), submit(&other, "a dog"));
    let (one, two) = (one?, two?);
    assert_eq!(
        (one.status(), two.status()),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    let (one, two): (RequestView, RequestView) = (one.json().await?, two.json().await?);
    assert_ne!(one.id, two.id);
    let again = submit(&other, "a dog").await?;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.json::<RequestView>().await?.id, two.id);
    let conflict = submit(&other, "a cat").await?;
    assert_eq!(code(conflict).await?.1, "idempotency_conflict");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_told_at_once_and_says_when_to_come_back() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--tenant-queue-limit", "5"])?;
    let small = coordinator.api.with_key(Some(&sandbox.key_of("small")?))?;
    sandbox.administer(&["tenant", "set", "small", "--queue-limit", "2"])?;
    let submit =
        async |api: &Api, key: Option<&str>| api.post("/v1/requests", &prompt("a cat"), key).await;
    let first: RequestView = submit(&small, Some("first")).await?.json().await?;
    assert_eq!(submit(&small, None).await?.status(), StatusCode::CREATED);
    let full = submit(&small, None).await?;
    let wait = full.headers().get("retry-after").cloned();
    let wait: u64 = wait.context("no retry-after")?.to_str()?.parse()?;
    assert!((1..=60).contains(&wait), "{wait}");
    let (status, word, _) = code(full).await?;
    assert_eq!(
        (status, word.as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "queue_full")
    );
    // What was accepted before is found all the same.
    let known = submit(&small, Some("first")).await?;
    assert_eq!(known.status(), StatusCode::OK);
    let retried = format!("/v1/requests/{}/retry", first.id);
    // The others have room, up to the limit for those without one of their own.
    for _ in 0..5 {
        assert_eq!(
            submit(&coordinator.api, None).await?.status(),
            StatusCode::CREATED
        );
    }
    assert_eq!(
        submit(&coordinator.api, None).await?.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    // What ends makes room: for one.
    small.cancel(first.id).await?;
    let again = small.post(&retried, &(), None).await?;
    assert_eq!(again.status(), StatusCode::CREATED);
    let again = small.post(&retried, &(), None).await?;
    assert_eq!(code(again).await?.1, "queue_full");
    let listed = sandbox.administer(&["tenant", "list", "--json"])?;
    let tenants: serde_json::Value = serde_json::from_str(&listed)?;
    let active = |name: &str| {
        let mut all = tenants.as_array().into_iter().flatten();
        all.find(|tenant| tenant["name"] == name)
            .map(|tenant| tenant["active"].clone())
    };
    assert_eq!(active("small"), Some(2.into()));
    assert_eq!(active("test"), Some(5.into()));
    let metrics = coordinator.api.get("/metrics").await?.text().await?;
    assert!(metrics.contains("submits_refused_total 3"), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_without_a_picture_can_be_asked_for_again() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let wanted = SubmitRequest {
        seed: Some(u64::MAX),
        steps: Some(3),
        max_rounds: Some(2),
        ..prompt("a cat")
    };
    let request = coordinator.api.submit(&wanted).await?;
    let retry = format!("/v1/requests/{}/retry", request.id);
    let too_early = coordinator.api.post(&retry, &(), None).await?;
    let (status, word, _) = code(too_early).await?;
    assert_eq!(
        (status, word.as_str()),
        (StatusCode::CONFLICT, "not_retryable")
    );

    coordinator.api.cancel(request.id).await?;
    let answer = coordinator.api.post(&retry, &(), Some("again")).await?;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let again: RequestView = answer.json().await?;
    assert_ne!(again.id, request.id);
    assert_eq!(
        (again.prompt.as_str(), again.seed, again.state),
        ("a cat", u64::MAX, RequestState::Active)
    );
    let repeated = coordinator.api.post(&retry, &(), Some("again")).await?;
    assert_eq!(repeated.status(), StatusCode::OK);
    assert_eq!(repeated.json::<RequestView>().await?.id, again.id);
    let before = coordinator.api.view(request.id).await?;
    assert_eq!(
        before.state,
        RequestState::Canceled,
        "the old one stays as it ended"
    );
    coordinator.api.cancel(again.id).await?;
    let trace = coordinator.api.trace(again.id).await?;
    assert_eq!(trace.submitted, wanted);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_list_one_state_newest_first() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(coordinator.api.submit(&prompt("a cat")).await?.id);
    }
    for id in ids.iter().step_by(2) {
        coordinator.api.cancel(*id).await?;
    }
    let list = async |query: &str| -> Result<Vec<RequestId>> {
        let answer = coordinator
            .api
            .get(&format!("/v1/requests?{query}"))
            .await?;
        let list: RequestList = answer.json().await?;
        Ok(list.requests.into_iter().map(|one| one.id).collect())
    };
    assert_eq!(list("state=canceled").await?, [ids[4], ids[2], ids[0]]);
    assert_eq!(list("state=active&limit=2").await?, [ids[5], ids[3]]);
    let rest = format!("state=active&before={}", ids[3]);
    assert_eq!(list(&rest).await?, [ids[1]]);
    assert_eq!(list("state=succeeded").await?, []);
    let wrong = coordinator.api.get("/v1/requests?state=lost").await?;
    assert_eq!(code(wrong).await?.1, "invalid_query");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_says_for_which_workers_it_waits() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let request = coordinator.api.submit(&prompt("a cat")).await?;
    assert_eq!(request.waiting_for, JobKind::ALL);
    let direct = SubmitRequest {
        think: Think::Off,
        ..prompt("a cat")
    };
    let direct = coordinator.api.submit(&direct).await?;
    assert_eq!(direct.waiting_for, [JobKind::Render]);

    let soon = Duration::from_secs(5);
    let mut hand = Hand::new(&sandbox).await?;
    let model = std::mem::replace(&mut hand.model, "another".into());
    hand.beat(&[]).await?;
    in_time("it is heard", soon, async || {
        Ok(!coordinator.api.workers().await?.is_empty())
    })
    .await?;
    let still = coordinator.api.submit(&prompt("a cow")).await?;
    assert_eq!(still.waiting_for, JobKind::ALL, "it has another model");

    hand.model = model;
    hand.beat(&[]).await?;
    let served = |view: &RequestView| view.waiting_for.is_empty();
    coordinator.api.until(request.id, soon, served).await?;
    let next = coordinator.api.submit(&prompt("a dog")).await?;
    assert_eq!(next.waiting_for, []);
    Ok(())
}
