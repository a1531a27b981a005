//! Downloads: entity tags, ranges, names, and what happens to a file that was tampered with.

use std::time::Duration;

use anyhow::{Context, Result};
use atelier_pictures::Origin;
use atelier_platform::Artifacts;
use atelier_proto::{
    MediaType, RequestId, Sha256,
    http::{ErrorBody, SubmitRequest},
    job::{JobKind, Think},
    object_key,
};
use atelier_tests::{Api, Options, Sandbox, in_time, prompt, sha256};
use object_store::{ObjectStoreExt, path::Path as Key};
use reqwest::{Method, Response, StatusCode};

use atelier_tests::hand::Hand;

#[tokio::test]
async fn a_copy_to_keep_names_its_request_and_is_the_stored_picture_otherwise() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let mut worker = sandbox.worker("worker", &[])?;
    let wanted = SubmitRequest {
        think: Think::Off,
        ..prompt("a cat")
    };
    let mut copies = Vec::new();
    for _ in 0..2 {
        let id = api.submit(&wanted).await?.id;
        let view = api.succeeded(id, Duration::from_secs(20)).await?;
        let path = format!("/v1/requests/{id}/image?traced=1");
        let answer = api.get(&path).await?;
        let tag = header(&answer, "etag").to_owned();
        let copy = answer.bytes().await?;
        assert_eq!(tag, format!("\"{}\"", sha256(&copy)));
        let (origin, stored) = Origin::take_out(&copy).context("it says where it is from")?;
        assert_eq!(origin.request, id);
        assert_eq!(Some(sha256(&stored)), view.image.map(|image| image.sha256));
        assert_eq!(stored, api.picture(id).await?);
        let head = api.call(Method::HEAD, &path).send().await?;
        assert_eq!(header(&head, "content-length"), copy.len().to_string());
        let part = api.call(Method::GET, &path).header("range", "bytes=-5");
        assert_eq!(
            part.send().await?.bytes().await?,
            copy.slice(copy.len() - 5..)
        );
        copies.push((copy, stored));
    }
    assert!(copies[0].0 != copies[1].0 && copies[0].1 == copies[1].1);
    // Pictures that say nothing of themselves are not made to.
    worker.program.kill()?;
    let _bare = sandbox.worker("bare", &["--bare-pictures"])?;
    let id = api.submit(&wanted).await?.id;
    api.succeeded(id, Duration::from_secs(20)).await?;
    let path = format!("/v1/requests/{id}/image?traced=1");
    let bare = api.get(&path).await?.bytes().await?;
    assert_eq!(bare, api.picture(id).await?);
    Ok(())
}

/// A request that ended with a picture.
async fn drawn(sandbox: &Sandbox, api: &Api) -> Result<RequestId> {
    let hand = Hand::new(sandbox).await?;
    let mut wanted = prompt("a cat");
    wanted.think = Think::Off;
    let request = api.submit(&wanted).await?;
    let job = hand.next(JobKind::Render).await?;
    hand.finish(job, hand.rendered(1).await?).await?;
    api.succeeded(request.id, Duration::from_secs(10)).await?;
    Ok(request.id)
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_traces_come_whole_in_parts_or_not_again() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let id = drawn(&sandbox, api).await?;
    for (what, media_type, name) in [
        ("image", "image/png", format!("atelier-{id}.png")),
        ("trace", "application/json", format!("atelier-{id}.json")),
    ] {
        let path = format!("/v1/requests/{id}/{what}");
        let get = async |name: &str, value: &str| {
            let call = api.call(Method::GET, &path).header(name, value);
            call.send().await
        };
        let whole = api.get(&path).await?;
        assert_eq!(whole.status(), StatusCode::OK);
        assert_eq!(header(&whole, "content-type"), media_type);
        assert_eq!(header(&whole, "accept-ranges"), "bytes");
        let disposition = header(&whole, "content-disposition");
        assert_eq!(disposition, format!("inline; filename=\"{name}\""));
        let tag = header(&whole, "etag").to_owned();
        let bytes = whole.bytes().await?;
        assert_eq!(tag, format!("\"{}\"", sha256(&bytes)));

        if what == "image" {
            // A local folder signs no URLs.
            let here = api.get(&format!("{path}?redirect=1")).await?;
            assert_eq!(
                (here.status(), here.bytes().await?),
                (StatusCode::OK, bytes.clone())
            );
        }

        let head = api.call(Method::HEAD, &path).send().await?;
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(header(&head, "content-length"), bytes.len().to_string());
        assert_eq!(
            (header(&head, "etag"), header(&head, "content-type")),
            (&*tag, media_type)
        );
        assert!(head.bytes().await?.is_empty());

        let known = get("if-none-match", &format!("\"other\", W/{tag}")).await?;
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(header(&known, "etag"), tag);
        assert!(known.bytes().await?.is_empty());
        assert_eq!(
            get("if-none-match", "\"other\"").await?.status(),
            StatusCode::OK
        );

        let part = get("range", "bytes=1-3").await?;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(
            header(&part, "content-range"),
            format!("bytes 1-3/{}", bytes.len())
        );
        assert_eq!(part.bytes().await?, bytes.slice(1..4));
        let end = get("range", "bytes=-5").await?;
        assert_eq!(end.bytes().await?, bytes.slice(bytes.len() - 5..));
        let several = get("range", "bytes=0-1,3-4").await?;
        assert_eq!(
            (several.status(), several.bytes().await?),
            (StatusCode::OK, bytes.clone())
        );

        let beyond = get("range", &format!("bytes={}-", bytes.len())).await?;
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(
            header(&beyond, "content-range"),
            format!("bytes */{}", bytes.len())
        );
        let refused: ErrorBody = beyond.json().await?;
        assert_eq!(refused.error.code, "range_not_satisfiable");

        // A part counts only of the file that the caller has the rest of.
        for (same, status) in [
            (&*tag, StatusCode::PARTIAL_CONTENT),
            ("\"other\"", StatusCode::OK),
        ] {
            let call = api.call(Method::GET, &path).header("range", "bytes=0-0");
            assert_eq!(call.header("if-range", same).send().await?.status(), status);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_its_name_says_is_not_given_out() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let id = drawn(&sandbox, api).await?;
    let image = api.view(id).await?.image.context("it has a picture")?;
    let file = sandbox
        .folder()
        .join("objects")
        .join(object_key::artifact(image.sha256, image.media_type));
    let good = std::fs::read(&file)?;
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    let path = format!("/v1/requests/{id}/image");
    for damage in [bad, good[..good.len() - 1].to_vec(), Vec::new()] {
        std::fs::write(&file, &damage)?;
        for range in ["bytes=0-", "bytes=0-0"] {
            let call = api.call(Method::GET, &path).header("range", range);
            let answer = call.send().await?;
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.json::<ErrorBody>().await?.error.code, "damaged");
        }
    }
    std::fs::remove_file(&file)?;
    let answer = api.get(&path).await?;
    assert_eq!(answer.json::<ErrorBody>().await?.error.code, "damaged");
    std::fs::write(&file, &good)?;
    assert_eq!(api.picture(id).await?, good);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_lost_is_made_again_and_named_anew() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let id = drawn(&sandbox, api).await?;
    let path = format!("/v1/requests/{id}/trace");
    let tag = header(&api.get(&path).await?, "etag").to_owned();
    // What was written with the name of a worker that is gone by now has another digest.
    let mut database = sandbox.database().await?;
    let lost = "UPDATE requests SET trace_sha256 = sha256('lost'), trace_bytes = 4 WHERE id = $1";
    sqlx::query(lost)
        .bind(id.as_uuid())
        .execute(&mut database)
        .await?;
    let again = api.get(&path).await?;
    assert_eq!(
        (again.status(), header(&again, "etag")),
        (StatusCode::OK, &*tag)
    );
    let named = "SELECT encode(trace_sha256, 'hex') FROM requests WHERE id = $1";
    let named: String = sqlx::query_scalar(named)
        .bind(id.as_uuid())
        .fetch_one(&mut database)
        .await?;
    assert_eq!(format!("\"{named}\""), tag);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_trace_of_the_right_length_is_made_again_in_a_folder_and_in_a_bucket()
-> Result<()> {
    for s3 in [false, true] {
        let options = Options {
            s3,
            ..Options::default()
        };
        let sandbox = Sandbox::with(options).await?;
        let coordinator = sandbox.coordinator("one", &[])?;
        let api = &coordinator.api;
        let id = drawn(&sandbox, api).await?;
        let named = async || {
            let mut database = sandbox.database().await?;
            let named = "SELECT trace_sha256 FROM requests WHERE id = $1";
            let named: Option<Vec<u8>> = sqlx::query_scalar(named)
                .bind(id.as_uuid())
                .fetch_one(&mut database)
                .await?;
            anyhow::Ok(named)
        };
        in_time("it is written", Duration::from_secs(20), async || {
            Ok(named().await?.is_some())
        })
        .await?;
        let digest = async || {
            let named = named().await?.context("it was written")?;
            anyhow::Ok(Sha256(named.as_slice().try_into()?))
        };
        let objects = sandbox.objects()?;
        let first = digest().await?;
        let key = Key::from(object_key::artifact(first, MediaType::Json));
        let good = objects.get(&key).await?.bytes().await?;
        let mut bad = good.to_vec();
        bad[good.len() / 2] ^= 1;
        objects.put(&key, bad.into()).await?;

        assert_eq!(api.trace(id).await?.request, id);
        let key = Key::from(object_key::artifact(digest().await?, MediaType::Json));
        let mended = objects.get(&key).await?.bytes().await?;
        assert_eq!(sha256(&mended), digest().await?);
        // The same was made, so that it had to be written where it was damaged.
        assert_eq!(digest().await?, first, "in a bucket: {s3}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_gives_out_the_picture_until_it_expires() -> Result<()> {
    let sandbox = Sandbox::with(Options {
        s3: true,
        ..Options::default()
    })
    .await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let api = &coordinator.api;
    let id = drawn(&sandbox, api).await?;
    let image = api.view(id).await?.image.context("it has a picture")?;

    // Without a key: the URL is one.
    let anybody = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let url = format!("{}/v1/requests/{id}/image?redirect=1", api.base());
    assert_eq!(
        anybody.get(&url).send().await?.status(),
        StatusCode::UNAUTHORIZED
    );
    let key = sandbox.own_key()?;
    let sent = anybody.get(&url).bearer_auth(key).send().await?;
    assert_eq!(sent.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(header(&sent, "cache-control"), "no-store");
    let signed = header(&sent, "location").to_owned();
    let answer = anybody.get(&signed).send().await?;
    assert_eq!(
        (answer.status(), header(&answer, "content-type")),
        (StatusCode::OK, "image/png")
    );
    assert_eq!(sha256(&answer.bytes().await?), image.sha256);

    // The signature covers the whole URL.
    let other = object_key::artifact(sha256(b"another"), image.media_type);
    let own = object_key::artifact(image.sha256, image.media_type);
    assert!(signed.contains(&own), "{signed}");
    for forged in [
        signed.replace(&own, &other),
        signed.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
    ] {
        assert_ne!(forged, signed);
        assert_eq!(
            anybody.get(&forged).send().await?.status(),
            StatusCode::FORBIDDEN
        );
    }
    let artifacts = Artifacts::open_with(&sandbox.store_url, &sandbox.environment)?;
    let short = artifacts.presigned(&image, Duration::from_secs(2)).await?;
    let short = short.context("a bucket signs")?;
    assert_eq!(anybody.get(&short).send().await?.status(), StatusCode::OK);
    in_time("it expires", Duration::from_secs(20), async || {
        let answer = anybody.get(&short).send().await?;
        Ok(answer.status() == StatusCode::FORBIDDEN)
    })
    .await
}
