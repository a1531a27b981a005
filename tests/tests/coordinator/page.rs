//! The farm's page as a browser without scripts sees it: who gets in, what is sent, what is shown to whom.

use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    RequestId,
    http::{RequestList, RequestState, RequestSummary, SubmitRequest},
    job::{JobKind, Think},
};
use atelier_tests::{Api, Sandbox, in_time, prompt};
use futures::future::try_join_all;
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{HeaderMap, LOCATION, SET_COOKIE},
    multipart::Form,
    redirect::Policy,
};
use sqlx::Connection;

use atelier_tests::hand::Hand;

/// A browser: it keeps a cookie, says where a form is from, and does not go where it is sent, so that tests see where that is.
struct Browser {
    base: String,
    client: Client,
    cookie: Option<String>,
}

impl Browser {
    fn at(api: &Api) -> Result<Self> {
        Ok(Self {
            base: api.base().to_owned(),
            client: Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .timeout(Duration::from_secs(30))
                .build()?,
            cookie: None,
        })
    }

    /// One that is logged in.
    async fn with_key(api: &Api, key: &str) -> Result<Self> {
        let mut browser = Self::at(api)?;
        let answer = browser.log_in(key, "").await?;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        Ok(browser)
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let call = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header("sec-fetch-site", "same-origin");
        match &self.cookie {
            Some(cookie) => call.header("cookie", cookie),
            None => call,
        }
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, String)> {
        let answer = self.call(Method::GET, path).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    async fn log_in(&mut self, key: &str, next: &str) -> Result<Response> {
        let call = self.call(Method::POST, "/login");
        let answer = call
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("key={key}&next={next}"))
            .send()
            .await?;
        if let Some(cookie) = answer.headers().get(SET_COOKIE) {
            let cookie = cookie.to_str()?.split(';').next().unwrap_or_default();
            self.cookie = Some(cookie.to_owned());
        }
        Ok(answer)
    }
}

fn place(answer: &Response) -> &str {
    let place = answer.headers().get(LOCATION);
    place.and_then(|place| place.to_str().ok()).unwrap_or("")
}

fn id_in(place: &str) -> Result<RequestId> {
    let id = place.strip_prefix("/requests/").context("a request")?;
    id.parse().context("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_the_page_and_nothing_else_does() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let mut browser = Browser::at(&coordinator.api)?;
    let nobody = RequestId::at(1, [1; 10]);
    for (path, next) in [
        ("/".to_owned(), "/login".to_owned()),
        (
            format!("/requests/{nobody}"),
            format!("/login?next=/requests/{nobody}"),
        ),
    ] {
        let answer = browser.call(Method::GET, &path).send().await?;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(place(&answer), next);
    }
    assert_eq!(browser.get("/gallery").await?.0, StatusCode::UNAUTHORIZED);
    for wrong in ["", "atl_short", &format!("atl_{}", "A".repeat(43))] {
        let answer = browser.log_in(wrong, "").await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{wrong}");
        assert!(answer.headers().get(SET_COOKIE).is_none());
        assert!(answer.text().await?.contains("This key is not known here"));
    }
    let key = sandbox.own_key()?;
    let next = format!("/requests/{nobody}");
    let answer = browser.log_in(&key, &next).await?;
    assert_eq!(
        (answer.status(), place(&answer)),
        (StatusCode::SEE_OTHER, &*next)
    );
    let set = answer
        .headers()
        .get(SET_COOKIE)
        .context("a cookie")?
        .to_str()?;
    assert!(set.ends_with("; HttpOnly; SameSite=Strict"), "{set}");
    assert!(!set.contains(&key));
    let elsewhere = browser.log_in(&key, "//evil.example").await?;
    assert_eq!(place(&elsewhere), "/");
    let (status, html) = browser.get("/").await?;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("What shall be drawn?") && html.contains("Log out"));
    // The API takes the cookie, too: pictures and events in the page come from there.
    let listed: RequestList = browser
        .call(Method::GET, "/v1/requests")
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(listed.requests, []);
    let left = browser.call(Method::POST, "/logout").send().await?;
    let set = left
        .headers()
        .get(SET_COOKIE)
        .context("a cookie")?
        .to_str()?;
    assert!(
        set.starts_with("atelier_session=; Path=/; Max-Age=0"),
        "{set}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_keep_nobody_out() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let wrong = (0..40).map(async |_| {
        let mut browser = Browser::at(&coordinator.api)?;
        let wrong = format!("atl_{}", "A".repeat(43));
        anyhow::Ok(browser.log_in(&wrong, "").await?.status())
    });
    let right = async {
        let mut browser = Browser::at(&coordinator.api)?;
        anyhow::Ok(browser.log_in(&sandbox.own_key()?, "").await?.status())
    };
    let (wrong, right) = futures::try_join!(try_join_all(wrong), right)?;
    assert!(
        wrong
            .iter()
            .all(|status| *status == StatusCode::UNAUTHORIZED)
    );
    assert_eq!(right, StatusCode::SEE_OTHER);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_https_the_cookie_is_for_https_only() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let browser = Browser::at(&coordinator.api)?;
    let answer = browser
        .call(Method::POST, "/login")
        .header("x-forwarded-proto", "https")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("key={}", sandbox.own_key()?))
        .send()
        .await?;
    let set = answer
        .headers()
        .get(SET_COOKIE)
        .context("a cookie")?
        .to_str()?;
    assert!(set.ends_with("; Secure"), "{set}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_or_revoked_session_is_none_and_every_coordinator_knows_the_good_ones()
-> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let key = sandbox.key_of("test")?;
    let mut browser = Browser::with_key(&coordinator.api, &key).await?;
    let good = browser.cookie.clone().context("a cookie")?;
    let second = sandbox.coordinator("two", &[])?;
    let there = Browser {
        cookie: Some(good.clone()),
        ..Browser::at(&second.api)?
    };
    assert_eq!(there.get("/").await?.0, StatusCode::OK);
    // A restart keeps the secret.
    drop(second);
    let (name, token) = good.split_once('=').context("a value")?;
    let other = |letter: &str| if letter == "A" { "B" } else { "A" };
    let (first, last) = (other(&token[..1]), other(&token[95..]));
    for forged in [
        String::new(),
        "x".into(),
        format!("{first}{}", &token[1..]),
        format!("{}{last}", &token[..95]),
        key.clone(),
    ] {
        browser.cookie = Some(format!("{name}={forged}"));
        assert_eq!(
            browser.get("/gallery").await?.0,
            StatusCode::UNAUTHORIZED,
            "{forged}"
        );
        let api = browser.call(Method::GET, "/v1/requests").send().await?;
        assert_eq!(api.status(), StatusCode::UNAUTHORIZED, "{forged}");
    }
    browser.cookie = Some(good);
    let listed: serde_json::Value =
        serde_json::from_str(&sandbox.administer(&["key", "list", "--json"])?)?;
    // The first one is the test's own.
    let id = listed[1]["id"].as_str().context("an id")?;
    sandbox.administer(&["key", "revoke", id])?;
    in_time("it is forgotten", Duration::from_secs(40), async || {
        Ok(browser.get("/gallery").await?.0 == StatusCode::UNAUTHORIZED)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_change_nothing() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let browser = Browser::with_key(&coordinator.api, &sandbox.own_key()?).await?;
    let request = coordinator.api.submit(&prompt("a cat")).await?;
    let cookie = browser.cookie.clone().context("a cookie")?;
    let elsewhere: [HeaderMap; 4] = [
        HeaderMap::from_iter([("sec-fetch-site".parse()?, "cross-site".parse()?)]),
        HeaderMap::from_iter([("sec-fetch-site".parse()?, "same-site".parse()?)]),
        HeaderMap::from_iter([("origin".parse()?, "https://evil.example".parse()?)]),
        HeaderMap::new(),
    ];
    for headers in elsewhere {
        for (method, path) in [
            (Method::POST, format!("/requests/{}/stop", request.id)),
            (Method::POST, "/requests".into()),
            (Method::POST, "/v1/requests".into()),
            (Method::POST, format!("/v1/requests/{}/cancel", request.id)),
            (Method::DELETE, format!("/v1/requests/{}", request.id)),
            (Method::POST, "/login".into()),
            (Method::POST, "/logout".into()),
        ] {
            let call = browser
                .client
                .request(method, format!("{}{path}", browser.base));
            let call = call.headers(headers.clone()).header("cookie", &cookie);
            let status = call.send().await?.status();
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
    }
    let still = coordinator.api.view(request.id).await?;
    assert_eq!(still.state, RequestState::Active);
    // An older browser says where the page was from.
    let host = browser.base.clone();
    let stopped = browser
        .client
        .post(format!("{host}/requests/{}/stop", request.id))
        .header("cookie", &cookie)
        .header("origin", &host)
        .send()
        .await?;
    assert_eq!(stopped.status(), StatusCode::SEE_OTHER);
    coordinator
        .api
        .ended(request.id, Duration::from_secs(10))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_becomes_requests_once() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let browser = Browser::with_key(&coordinator.api, &sandbox.own_key()?).await?;
    let mut png = Vec::new();
    image::DynamicImage::new_rgb8(8, 8)
        .write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)?;
    let form = |once: &str, pictures: &str| {
        let file = reqwest::multipart::Part::bytes(png.clone()).file_name("mug.png");
        Form::new()
            .text("once", once.to_owned())
            .text("prompt", " my mug on a beach ")
            .text("pictures", pictures.to_owned())
            .text("seed", "41")
            .text("size", "256 x 128")
            .text("think", "off")
            .text("rounds", "3")
            .text("steps", "")
            .text("name", "mug")
            .part("file", file)
    };
    let send = async |form: Form| -> Result<Response> {
        Ok(browser
            .call(Method::POST, "/requests")
            .multipart(form)
            .send()
            .await?)
    };
    let answer = send(form("a1", "1")).await?;
    let id = id_in(place(&answer))?;
    let again = send(form("a1", "1")).await?;
    assert_eq!(
        id_in(place(&again))?,
        id,
        "the same form is the same request"
    );
    coordinator.api.cancel(id).await?;
    let thorough = Form::new()
        .text("prompt", "a mug")
        .text("think", "full")
        .text("think_tokens", "64");
    let thought = id_in(place(&send(thorough).await?))?;
    coordinator.api.cancel(thought).await?;
    let told = coordinator.api.trace(thought).await?.submitted;
    assert_eq!((told.think, told.think_tokens), (Think::Full, Some(64)));
    let asked = coordinator.api.trace(id).await?.submitted;
    assert_eq!(
        (asked.prompt.as_str(), asked.seed),
        ("my mug on a beach", Some(41))
    );
    assert_eq!(
        asked.size.map(|size| (size.width, size.height)),
        Some((256, 128))
    );
    assert_eq!((asked.think, asked.max_rounds), (Think::Off, Some(3)));
    assert_eq!(asked.references[0].name, "mug");
    let several = send(form("a2", "3")).await?;
    assert_eq!(place(&several), "/");
    let listed: RequestList = coordinator.api.get("/v1/requests").await?.json().await?;
    assert_eq!(listed.requests.len(), 5);
    let mut seeds = Vec::new();
    for request in &listed.requests[..3] {
        seeds.push(coordinator.api.view(request.id).await?.seed);
    }
    // They are submitted together, in no order.
    seeds.sort_unstable();
    assert_eq!(seeds, [41, 42, 43]);
    // What is wrong is said, and nothing is made.
    for (name, value, says) in [
        ("prompt", "", "prompt"),
        ("size", "big", "size"),
        ("pictures", "9", "pictures"),
        // Only full thinking takes tokens.
        ("think_tokens", "9", "think_tokens"),
        ("evil", "1", "evil"),
    ] {
        let mut form = Form::new().text(name, value);
        if name != "prompt" {
            form = form.text("prompt", "a cat");
        }
        let answer = send(form).await?;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert!(
            answer
                .text()
                .await?
                .contains(&format!("<strong>{says}</strong>"))
        );
    }
    let listed: RequestList = coordinator.api.get("/v1/requests").await?.json().await?;
    assert_eq!(listed.requests.len(), 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pictures_of_a_form_are_accepted_together_or_not_at_all() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--tenant-queue-limit", "3"])?;
    let browser = Browser::with_key(&coordinator.api, &sandbox.own_key()?).await?;
    let form = Form::new().text("prompt", "a cat").text("pictures", "4");
    let call = browser.call(Method::POST, "/requests").multipart(form);
    let answer = call.send().await?;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    in_time(
        "none of them goes on",
        Duration::from_secs(10),
        async || {
            let active = "/v1/requests?state=active";
            let listed: RequestList = coordinator.api.get(active).await?.json().await?;
            Ok(listed.requests.is_empty())
        },
    )
    .await?;

    // Nor when the caller goes away during the commit.
    let before = all(&coordinator.api).await?.len();
    let mut database = sandbox.database().await?;
    let mut commit = database.begin().await?;
    sqlx::query("LOCK TABLE requests IN SHARE MODE")
        .execute(&mut *commit)
        .await?;
    let form = Form::new().text("prompt", "a dog").text("pictures", "4");
    let call = browser.call(Method::POST, "/requests").multipart(form);
    assert!(call.timeout(Duration::from_secs(2)).send().await.is_err());
    // Room for the coordinator to see that before the commit; where it sees it later, less is shown.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(all(&coordinator.api).await?.len(), before);
    commit.rollback().await?;
    in_time("they end again", Duration::from_secs(10), async || {
        let requests = all(&coordinator.api).await?;
        let ended = |request: &RequestSummary| request.state == RequestState::Canceled;
        Ok(requests.len() > before && requests.iter().all(ended))
    })
    .await
}

/// Every request.
async fn all(api: &Api) -> Result<Vec<RequestSummary>> {
    let listed: RequestList = api.get("/v1/requests").await?.json().await?;
    Ok(listed.requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_was_thought() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let browser = Browser::with_key(&coordinator.api, &sandbox.own_key()?).await?;
    let given = SubmitRequest {
        plan: Some(Box::new(atelier_tests::hand::day_and_night(0))),
        ..prompt("a city by day and by night")
    };
    let thinks = |think| SubmitRequest {
        think,
        ..prompt("a cat")
    };
    for (asked, said) in [
        (given, "off: the plan came with the request"),
        (thinks(Think::Off), "off: the prompt is drawn as it is"),
        (thinks(Think::Full), "think, plan, draw, check"),
    ] {
        let request = coordinator.api.submit(&asked).await?;
        let (_, html) = browser.get(&format!("/requests/{}", request.id)).await?;
        assert!(html.contains(&format!("<dd>{said}</dd>")), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_is_shown_and_never_obeyed() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let browser = Browser::with_key(&coordinator.api, &sandbox.own_key()?).await?;
    let hand = Hand::new(&sandbox).await?;
    let hostile = "</title><script>alert(1)</script><img src=x onerror=alert(2)> \" ' onload='x";
    let request = coordinator.api.submit(&prompt(hostile)).await?;
    let job = hand.next(JobKind::Plan).await?;
    let mut plan = atelier_tests::hand::day_and_night(1);
    plan.caption = hostile.into();
    plan.reasoning = hostile.into();
    plan.elements = serde_json::from_value(serde_json::json!([
        { "id": "e", "noun": hostile, "attributes": [hostile], "box": [0.1, 0.1, 0.4, 0.5] },
    ]))?;
    hand.finish(job, hand.planned(plan).await?).await?;
    in_time("the plan is there", Duration::from_secs(10), async || {
        let view = coordinator.api.view(request.id).await?;
        Ok(view.jobs.len() > 1)
    })
    .await?;
    let one = format!("/requests/{}", request.id);
    for path in ["/", "/gallery", &one, &format!("{one}/live")] {
        let answer = browser.call(Method::GET, path).send().await?;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let policy = answer.headers().get("content-security-policy");
        let policy = policy.context("a policy")?.to_str()?.to_owned();
        assert!(policy.starts_with("default-src 'self'; ") && !policy.contains("unsafe"));
        let html = answer.text().await?;
        assert!(html.contains("&lt;script&gt;alert(1)"), "{path}");
        assert!(
            !html.contains("<script>") && !html.contains("<img src=x"),
            "{path}"
        );
        assert!(
            html.contains("&quot; ' onload") && !html.contains("style="),
            "{path}"
        );
    }
    let (_, html) = browser.get(&one).await?;
    // The plan is drawn: a box of the element, a row for the check.
    assert!(
        html.contains("<rect x=\"100\" y=\"100\" width=\"300")
            && html.contains("not looked at yet")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_nothing() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let owner = Browser::with_key(&coordinator.api, &sandbox.own_key()?).await?;
    let other = Browser::with_key(&coordinator.api, &sandbox.key_of("other")?).await?;
    let hand = Hand::new(&sandbox).await?;
    let direct = SubmitRequest {
        think: Think::Off,
        ..prompt("a secret cat")
    };
    let request = coordinator.api.submit(&direct).await?;
    let job = hand.next(JobKind::Render).await?;
    hand.finish(job, hand.rendered(1).await?).await?;
    coordinator
        .api
        .succeeded(request.id, Duration::from_secs(10))
        .await?;
    let one = format!("/requests/{}", request.id);
    let (status, html) = owner.get(&one).await?;
    assert_eq!(status, StatusCode::OK);
    assert!(
        html.contains("a secret cat")
            && html.contains(&format!("/v1/requests/{}/image", request.id))
    );
    assert!(owner.get("/").await?.1.contains("a secret cat"));
    assert!(
        owner
            .get("/?state=failed")
            .await?
            .1
            .contains("There is nothing here.")
    );
    for path in ["/", "/gallery"] {
        let (status, html) = other.get(path).await?;
        assert_eq!(status, StatusCode::OK);
        assert!(!html.contains("secret") && !html.contains(&request.id.to_string()));
    }
    let nobody = RequestId::at(1, [1; 10]);
    for path in ["", "/live", "/stop", "/again"] {
        let method = match path {
            "" | "/live" => Method::GET,
            _ => Method::POST,
        };
        let mut pages = Vec::new();
        for id in [request.id, nobody] {
            let call = other.call(method.clone(), &format!("/requests/{id}{path}"));
            let answer = call.send().await?;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            pages.push(answer.text().await?.replace(&id.to_string(), "ID"));
        }
        assert_eq!(pages[0], pages[1], "{path}");
    }
    let (status, html) = owner.get("/requests/none").await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(html.contains("is not one of a request"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn style_and_script_are_kept_by_name() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let browser = Browser::at(&coordinator.api)?;
    let (_, html) = browser.get("/login").await?;
    let named: Vec<&str> = html
        .split('"')
        .filter(|text| text.starts_with("/assets/"))
        .collect();
    assert_eq!(named.len(), 3, "{html}");
    for path in named {
        let answer = browser.call(Method::GET, path).send().await?;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let kept = answer.headers().get("cache-control").context("how long")?;
        assert_eq!(kept, "public, max-age=31536000, immutable");
        assert!(!answer.bytes().await?.is_empty());
        let (status, _) = browser.get(&path.replace('-', "-0")).await?;
        assert_eq!(status, StatusCode::NOT_FOUND, "of another version");
    }
    Ok(())
}
