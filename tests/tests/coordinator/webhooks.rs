//! Webhooks on real servers: told once, tried again, given up where everybody can see it, and never inside unless that is allowed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use atelier_proto::{
    RequestId,
    http::{ErrorBody, RequestView, SubmitRequest},
    job::{JobKind, Think},
    webhook::{Webhook, WebhookList, WebhookMessage, WebhookSecret, WebhookState},
};
use atelier_tests::{Api, Coordinator, Sandbox, in_time, prompt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use atelier_tests::hand::Hand;

const SOON: Duration = Duration::from_secs(20);

/// What was posted to a receiver: headers in small letters, and the body.
type Got = Arc<Mutex<Vec<(HashMap<String, String>, String)>>>;

/// A receiver that answers with these statuses, the last one for ever.
async fn receiver(statuses: &'static [u16]) -> Result<(String, Got)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let got = Got::default();
    let kept = got.clone();
    tokio::spawn(async move {
        let mut answers = statuses
            .iter()
            .copied()
            .chain(std::iter::repeat(statuses[statuses.len() - 1]));
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let message = loop {
                let mut chunk = [0; 4_096];
                let read = stream.read(&mut chunk).await.unwrap_or(0);
                bytes.extend_from_slice(&chunk[..read]);
                match parse(&String::from_utf8_lossy(&bytes)) {
                    Some(message) => break Some(message),
                    None if read == 0 => break None,
                    None => {}
                }
            };
            kept.lock()
                .expect("no test panics meanwhile")
                .extend(message);
            let status = answers.next().unwrap_or(500);
            let answer = format!(
                "HTTP/1.1 {status} so\r\ncontent-length: 0\r\nlocation: /elsewhere\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((url, got))
}

/// A receiver that takes every message and never answers, and how many came.
async fn silent() -> Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let came = Arc::new(AtomicUsize::new(0));
    let count = came.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok((url, came))
}

/// A whole message; none as long as something of it is missing.
fn parse(text: &str) -> Option<(HashMap<String, String>, String)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let headers: HashMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    (body.len() == length).then(|| (headers, body.to_owned()))
}

fn told_to(url: &str) -> SubmitRequest {
    SubmitRequest {
        think: Think::Off,
        webhook: Some(Webhook {
            url: url.to_owned(),
            secret: None,
        }),
        ..prompt("a cat")
    }
}

/// A request that ends at once, and is to be told.
async fn ended(api: &Api, url: &str) -> Result<RequestId> {
    let id = api.submit(&told_to(url)).await?.id;
    api.cancel(id).await?;
    Ok(id)
}

async fn listed(api: &Api) -> Result<WebhookList> {
    Ok(api.get("/v1/webhooks").await?.json().await?)
}

async fn stands(api: &Api, state: WebhookState) -> Result<()> {
    in_time("the webhook stands so", SOON, async || {
        let list = listed(api).await?;
        Ok(list.webhooks.iter().all(|webhook| webhook.state == state))
    })
    .await
}

fn open(sandbox: &Sandbox, name: &str, more: &[&str]) -> Result<Coordinator> {
    let arguments: Vec<&str> = ["--webhooks-to-private"]
        .iter()
        .chain(more)
        .copied()
        .collect();
    sandbox.coordinator(name, &arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_request_is_told_once_whichever_coordinator_sees_it() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let one = open(&sandbox, "one", &[])?;
    let _two = open(&sandbox, "two", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let (url, got) = receiver(&[200]).await?;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(one.api.submit(&told_to(&url)).await?.id);
        let job = hand.next(JobKind::Render).await?;
        hand.finish(job, hand.rendered(1).await?).await?;
    }
    let canceled = one.api.submit(&told_to(&url)).await?.id;
    one.api.cancel(canceled).await?;
    stands(&one.api, WebhookState::Delivered).await?;
    let got = got.lock().unwrap().clone();
    assert_eq!(got.len(), 6);
    let mut told = Vec::new();
    for (headers, body) in &got {
        let message: WebhookMessage = serde_json::from_str(body)?;
        assert_eq!(headers.get("webhook-id"), Some(&message.id));
        assert!(
            headers
                .get("webhook-signature")
                .is_some_and(|value| value.starts_with("v1,"))
        );
        let seconds: i64 = headers
            .get("webhook-timestamp")
            .context("a time")?
            .parse()?;
        assert!((seconds - message.created_at).abs() < 60);
        let expected = match message.data.id == canceled {
            true => ("request.canceled", false),
            false => ("request.succeeded", true),
        };
        assert_eq!(
            (message.kind.as_str(), message.data.image.is_some()),
            expected
        );
        told.push(message.data.id);
    }
    told.sort_unstable();
    ids.push(canceled);
    assert_eq!(told, ids);
    // Who asked for nothing costs nothing.
    one.api.submit(&prompt("a dog")).await?;
    assert_eq!(listed(&one.api).await?.webhooks.len(), 6);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_comes_again_and_is_given_up_in_sight() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = open(&sandbox, "one", &["--webhook-attempts", "2"])?;
    let api = &coordinator.api;
    let (flaky, got) = receiver(&[503, 200]).await?;
    let (gone, _) = receiver(&[410]).await?;
    let (elsewhere, followed) = receiver(&[302]).await?;
    for url in [&flaky, &gone, &elsewhere] {
        let id = api.submit(&told_to(url)).await?.id;
        api.cancel(id).await?;
    }
    in_time("all are over", SOON, async || {
        let list = listed(api).await?.webhooks;
        Ok(list
            .iter()
            .all(|webhook| webhook.state != WebhookState::Waiting))
    })
    .await?;
    let list = listed(api).await?.webhooks;
    let of = |url: &str| {
        list.iter()
            .find(|webhook| webhook.url == url)
            .context("it is listed")
    };
    assert_eq!(
        (of(&flaky)?.state, of(&flaky)?.attempts),
        (WebhookState::Delivered, 2)
    );
    assert_eq!(
        (of(&gone)?.state, of(&gone)?.attempts),
        (WebhookState::Dead, 1)
    );
    assert_eq!(
        (of(&elsewhere)?.state, of(&elsewhere)?.attempts),
        (WebhookState::Dead, 2)
    );
    assert_eq!(of(&elsewhere)?.last_status, Some(302));
    // Nobody went where the redirect led: both tries came to the same place.
    assert_eq!(followed.lock().unwrap().len(), 2);
    // The same message twice: its reader can tell.
    let got = got.lock().unwrap().clone();
    assert_eq!(got[0].0.get("webhook-id"), got[1].0.get("webhook-id"));
    let dead: WebhookList = api
        .get("/v1/webhooks?state=dead&limit=1")
        .await?
        .json()
        .await?;
    assert_eq!((dead.webhooks.len(), dead.next.is_some()), (1, true));
    let metrics = api.get("/metrics").await?.text().await?;
    assert!(
        metrics.contains("atelier_webhook_deliveries_total{outcome=\"given_up\"} 2"),
        "{metrics}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_receivers_delay_nothing_but_more_of_their_own_tenant() -> Result<()> {
    // Less than a receiver is waited for.
    const MEANWHILE: Duration = Duration::from_secs(9);
    let sandbox = Sandbox::start().await?;
    let coordinator = open(&sandbox, "one", &[])?;
    let slow = &coordinator.api;
    let other = slow.with_key(Some(&sandbox.key_of("other")?))?;
    let (silent, came) = silent().await?;
    let (quick, _) = receiver(&[200]).await?;
    let is_told = async |api: &Api, id: RequestId| {
        let list = listed(api).await?.webhooks;
        let mut of_it = list.iter().filter(|one| one.request == id);
        Ok(of_it.all(|one| one.state == WebhookState::Delivered))
    };
    ended(slow, &silent).await?;
    let own = ended(slow, &quick).await?;
    in_time("what was answered is written", MEANWHILE, async || {
        is_told(slow, own).await
    })
    .await?;
    for _ in 0..5 {
        ended(slow, &silent).await?;
    }
    let most = || came.load(Ordering::Relaxed) == 4;
    in_time(
        "as many are tried as may be",
        MEANWHILE,
        async || Ok(most()),
    )
    .await?;
    let others = ended(&other, &quick).await?;
    in_time("another tenant is told", MEANWHILE, async || {
        is_told(&other, others).await
    })
    .await?;
    assert!(most(), "no more than that of one tenant at once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_again_tells_whom_the_first_told_and_never_before_the_end() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = open(&sandbox, "one", &[])?;
    let api = &coordinator.api;
    let mut database = sandbox.database().await?;
    let (url, got) = receiver(&[200]).await?;
    let secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let webhook = Some(Webhook {
        url: url.clone(),
        secret: Some(secret.to_owned()),
    });
    let first = SubmitRequest {
        webhook,
        ..told_to(&url)
    };
    let first = api.submit(&first).await?.id;
    let waits: bool = sqlx::query_scalar("SELECT next_at = 'infinity' FROM webhooks")
        .fetch_one(&mut database)
        .await?;
    assert!(waits, "nobody looks at it before the end");
    api.cancel(first).await?;
    let path = format!("/v1/requests/{first}/retry");
    let again = api.post(&path, &serde_json::json!({}), None).await?;
    let again: RequestView = again.json().await?;
    api.cancel(again.id).await?;
    in_time("both are told", SOON, async || {
        Ok(got.lock().unwrap().len() == 2)
    })
    .await?;
    let got = got.lock().unwrap().clone();
    let mut told = Vec::new();
    for (_, body) in &got {
        told.push(serde_json::from_str::<WebhookMessage>(body)?.data.id);
    }
    told.sort_unstable();
    assert_eq!(told, [first, again.id]);
    let (with, different): (i64, i64) =
        sqlx::query_as("SELECT count(secret), count(DISTINCT secret) FROM webhooks")
            .fetch_one(&mut database)
            .await?;
    assert_eq!((with, different), (2, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_webhooks_are_a_tenants_own_and_nothing_goes_inside() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let secret = async |api: &Api| {
        let secret: WebhookSecret = api.get("/v1/webhooks/secret").await?.json().await?;
        anyhow::Ok(secret.secret)
    };
    let own = secret(api).await?;
    assert!(own.starts_with("whsec_"));
    assert_eq!(secret(api).await?, own);
    let other = api.with_key(Some(&sandbox.key_of("other")?))?;
    assert_ne!(secret(&other).await?, own);

    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://[::1]:9/",
        "https://u:p@example.com/",
        "nowhere",
    ] {
        let answer = api.post("/v1/requests", &told_to(url), None).await?;
        assert_eq!(answer.status(), 422, "{url}");
        let body: ErrorBody = answer.json().await?;
        assert_eq!(body.error.field.as_deref(), Some("webhook.url"), "{url}");
    }
    // A name is judged when it is used: it may stand for something else by then.
    let id = api.submit(&told_to("https://localhost:9/")).await?.id;
    api.cancel(id).await?;
    in_time("it was tried", SOON, async || {
        let list = listed(api).await?.webhooks;
        Ok(list
            .iter()
            .any(|webhook| webhook.last_error.as_deref() == Some("leads into a private network")))
    })
    .await?;
    assert_eq!(listed(&other).await?.webhooks, []);
    Ok(())
}
