use std::time::Duration;

use anyhow::Result;
use atelier_proto::{
    RequestId,
    http::{ErrorBody, MAX_REFERENCES, RequestList, RequestView, SubmitRequest, UploadedReference},
    job::Think,
};
use atelier_tests::{Sandbox, in_time, prompt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Executor as _;

/// A PNG of one grey pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";

async fn refused(answer: reqwest::Response) -> Result<(StatusCode, String, Option<String>)> {
    let status = answer.status();
    let body: ErrorBody = answer.json().await?;
    assert!(!body.error.message.is_empty());
    Ok((status, body.error.code, body.error.field))
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_stable_codes_and_name_the_field() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let base = coordinator.api.base().to_owned();
    let url = format!("{base}/v1/requests");
    let client = coordinator.api.client();
    let post = async |body: Value| refused(client.post(&url).json(&body).send().await?).await;

    let many = vec![json!({"name": "cat", "data": PIXEL}); MAX_REFERENCES + 1];
    let cases = [
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": "a\u{0}b"}), "prompt"),
        (json!({"prompt": "x", "steps": 0}), "steps"),
        (json!({"prompt": "x", "max_rounds": 9}), "max_rounds"),
        (
            json!({"prompt": "x", "size": {"width": 1, "height": 64}}),
            "size.width",
        ),
        (json!({"prompt": "x", "references": many}), "references"),
        (
            json!({"prompt": "x", "references": [{"name": "", "data": PIXEL}]}),
            "references[0].name",
        ),
        (
            json!({"prompt": "x", "references": [{"name": "cat", "data": "!"}]}),
            "references[0].data",
        ),
        (
            json!({"prompt": "x", "references": [{"name": "cat", "data": "AAAA"}]}),
            "references[0].data",
        ),
    ];
    for (body, field) in cases {
        let expected = (
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid".to_owned(),
            Some(field.to_owned()),
        );
        assert_eq!(post(body).await?, expected);
    }
    for body in [json!({}), json!([]), json!({"prompt": "x", "colour": 1})] {
        let (status, code, _) = post(body).await?;
        assert_eq!(
            (status, code.as_str()),
            (StatusCode::BAD_REQUEST, "invalid_json")
        );
    }
    let plain = client.post(&url).body("a cat").send().await?;
    assert_eq!(refused(plain).await?.1, "unsupported_media_type");

    let nobody = RequestId::at(1, [1; 10]);
    let paths = [
        (format!("/v1/requests/{nobody}"), 404, "not_found"),
        (format!("/v1/requests/{nobody}/image"), 404, "not_found"),
        (format!("/v1/requests/{nobody}/trace"), 404, "not_found"),
        (format!("/v1/requests/{nobody}/events"), 404, "not_found"),
        ("/v1/requests/cat".to_owned(), 400, "invalid_id"),
        ("/v1/requests?limit=0".to_owned(), 422, "invalid"),
        ("/v1/requests?page=2".to_owned(), 400, "invalid_query"),
        ("/v2".to_owned(), 404, "not_found"),
    ];
    for (path, status, code) in paths {
        let (answered, word, _) =
            refused(client.get(format!("{base}{path}")).send().await?).await?;
        assert_eq!((answered.as_u16(), word.as_str()), (status, code), "{path}");
    }
    let put = client.put(&url).send().await?;
    assert_eq!(refused(put).await?.1, "method_not_allowed");

    let view = coordinator.api.submit(&prompt("a cat")).await?;
    let image = client
        .get(format!("{url}/{}/image", view.id))
        .send()
        .await?;
    assert_eq!(refused(image).await?.1, "no_image");
    let trace = client
        .get(format!("{url}/{}/trace", view.id))
        .send()
        .await?;
    assert_eq!(refused(trace).await?.1, "not_finished");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_submit_is_the_request() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    for think in [Think::Fast, Think::Off] {
        let wanted = SubmitRequest {
            think,
            seed: None,
            ..prompt("a cat")
        };
        let mut answered = coordinator.api.submit(&wanted).await?;
        let mut view = coordinator.api.view(answered.id).await?;
        for job in answered.jobs.iter_mut().chain(&mut view.jobs) {
            // It may be on its way already.
            (job.state, job.attempt) = (String::new(), 0);
        }
        assert_eq!(answered, view);
    }
    Ok(())
}

/// Between the look at its queue and its row there may be any time.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_its_queue_is_created_when_it_is_written() -> Result<()> {
    const HELD_UP: &str = "
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '20 ms'";
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    // Its statements are prepared by now.
    coordinator.api.submit(&prompt("a cat")).await?;
    let mut database = sandbox.database().await?;
    database
        .execute("BEGIN; LOCK TABLE tenant_queues IN ACCESS EXCLUSIVE MODE")
        .await?;
    let wanted = prompt("a dog");
    let let_through = async {
        in_time("the look waits", Duration::from_secs(10), async || {
            let held_up: i64 = sqlx::query_scalar(HELD_UP).fetch_one(&mut database).await?;
            Ok(held_up > 0)
        })
        .await?;
        database.execute("ROLLBACK").await?;
        Ok(())
    };
    let (answered, ()) = tokio::try_join!(coordinator.api.submit(&wanted), let_through)?;
    let view = coordinator.api.view(answered.id).await?;
    assert_eq!(answered.created_at, view.created_at);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_makes_one_request() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let submit = async |text: &str, key: &str| {
        coordinator
            .api
            .post("/v1/requests", &prompt(text), Some(key))
            .await
    };
    // At the same time, so that they meet in one commit.
    let all = futures::future::try_join_all((0..16).map(|_| submit("a cat", "k-1"))).await?;
    let mut created = 0;
    let mut ids = Vec::new();
    for answer in all {
        created += usize::from(answer.status() == StatusCode::CREATED);
        assert!(answer.status().is_success());
        ids.push(answer.json::<RequestView>().await?.id);
    }
    ids.dedup();
    assert_eq!((created, ids.len()), (1, 1));
    let other = submit("a dog", "k-1").await?;
    assert_eq!(refused(other).await?.1, "idempotency_conflict");
    let fresh = submit("a cat", "k-2").await?;
    assert_eq!(fresh.status(), StatusCode::CREATED);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_list_everything_once_newest_first() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let mut made = Vec::new();
    for index in 0..7 {
        made.push(
            coordinator
                .api
                .submit(&prompt(&format!("cat {index}")))
                .await?
                .id,
        );
    }
    made.sort();
    made.reverse();
    let (mut listed, mut next) = (Vec::new(), None);
    loop {
        let before = next.map_or(String::new(), |id: RequestId| format!("&before={id}"));
        let answer = coordinator
            .api
            .get(&format!("/v1/requests?limit=3{before}"))
            .await?;
        let page: RequestList = answer.json().await?;
        assert!(page.requests.len() <= 3);
        listed.extend(page.requests.iter().map(|summary| summary.id));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(listed, made);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_stored_before_the_answer() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let with_picture = SubmitRequest {
        references: vec![UploadedReference {
            name: "my cat".into(),
            data: PIXEL.into(),
        }],
        ..prompt("my cat on the moon")
    };
    let answer = coordinator
        .api
        .post("/v1/requests", &with_picture, None)
        .await?;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(sandbox.artifact_count().await?, 1);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(coordinator.api.get(path).await?.status(), StatusCode::OK);
    }
    Ok(())
}
