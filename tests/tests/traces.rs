//! Traces: who made what from what, when, with which weights and at which cost; the files they name, and who may have them; drawing again.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use atelier_cli::servers::free_port;
use atelier_platform::artifacts::MAX_ARTIFACT_BYTES;
use atelier_proto::{
    ArtifactRef, RequestId, Sha256,
    http::{Cost, RequestView, SubmitRequest, UploadedReference},
    job::{JobKind, Think},
    object_key,
    plan::Plan,
    trace::{Trace, TraceJob},
};
use atelier_tests::{Api, Coordinator, Sandbox, Worker, in_time, prompt, sha256};
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};

/// Much longer than any of these requests takes, for a machine that is busy.
const LONG: Duration = Duration::from_secs(60);

/// The sandbox comes first, so that callers drop it last: the programs' logs are in it.
async fn farm() -> Result<(Sandbox, Coordinator, Worker)> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let worker = sandbox.worker("worker", &["--name", "the-worker"])?;
    Ok((sandbox, coordinator, worker))
}

async fn draw(api: &Api, request: &SubmitRequest) -> Result<(RequestView, Trace)> {
    let view = api.submit(request).await?;
    let view = api.succeeded(view.id, LONG).await?;
    Ok((view.clone(), api.trace(view.id).await?))
}

fn png() -> Result<Vec<u8>> {
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(8, 8, image::Rgb([200, 10, 10]))
        .write_to(&mut file, image::ImageFormat::Png)?;
    Ok(file.into_inner())
}

#[tokio::test]
async fn every_job_tells_who_did_it_with_what_from_what_and_when() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let (view, trace) = draw(&coordinator.api, &prompt("a city [blend] [slow:20]")).await?;
    let mut cost = Cost::default();
    for job in &trace.jobs {
        let made = job.made.as_ref().context("its worker tells")?;
        assert_eq!(
            (made.worker.as_str(), made.device.as_str()),
            ("the-worker", "double")
        );
        assert_eq!(job.worker.as_deref(), Some("the-worker"));
        assert_eq!(made.version, env!("CARGO_PKG_VERSION"));
        assert!(made.weights.is_some() && !made.cached);
        let times = (job.ready_ms, job.started_ms, job.ended_ms);
        let (Some(ready), Some(started), Some(ended)) = times else {
            anyhow::bail!("{times:?}")
        };
        // The worker's clock and the database's tick at one pace; both round.
        assert!(ready <= started + 2 && started <= ended, "{job:#?}");
        assert_eq!(job.wall_ms, Some(ended - ready));
        let pixels = job.size.map(|size| (size.width, size.height));
        assert_eq!(pixels, (job.kind == JobKind::Render).then_some((64, 64)));
        cost.add(job.kind, false, job.device_ms.context("it took some time")?);
    }
    assert_eq!(trace.cost, cost);
    assert!(trace.cost.render_ms >= 2 * 4 * 20, "{:?}", trace.cost);
    let plan = trace.plan_artifact.context("the plan is named")?;
    assert_eq!(Some(plan), trace.jobs[0].artifact);
    assert_eq!(trace.earlier_plans, []);
    let job = |stage: Option<&str>, kind| {
        let mut found = trace.jobs.iter();
        found.find(|job| job.kind == kind && job.stage.as_deref() == stage)
    };
    let made = |stage| Some(job(Some(stage), JobKind::Render)?.artifact?.sha256);
    let blended = job(Some("out"), JobKind::Render).context("it was blended")?;
    let (one, two) = made("one").zip(made("two")).context("both were drawn")?;
    assert_eq!(blended.inputs, [one, two]);
    let looked = job(None, JobKind::Critique).context("it was looked at")?;
    let image = view.image.context("a picture")?;
    assert_eq!(looked.inputs, [image.sha256]);
    assert!(
        job(Some("one"), JobKind::Render)
            .context("drawn")?
            .inputs
            .is_empty()
    );
    Ok(())
}

/// The answer to asking for a file of a request.
async fn ask(api: &Api, id: RequestId, digest: Sha256) -> Result<(StatusCode, Vec<u8>)> {
    let answer = api
        .get(&format!("/v1/requests/{id}/artifacts/{digest}"))
        .await?;
    Ok((answer.status(), answer.bytes().await?.into()))
}

#[tokio::test]
async fn a_request_gives_out_the_files_that_it_names_to_its_tenant_and_to_nobody_else() -> Result<()>
{
    let (sandbox, coordinator, _worker) = farm().await?;
    let api = &coordinator.api;
    let brought = png()?;
    let request = SubmitRequest {
        references: vec![UploadedReference {
            name: "cat".into(),
            data: BASE64_STANDARD.encode(&brought),
        }],
        ..prompt("a cat and a radio")
    };
    let (view, trace) = draw(api, &request).await?;
    let (other, other_trace) = draw(api, &prompt("a dog")).await?;
    assert_eq!(trace.pictures.len(), 1);
    assert_eq!(trace.pictures[0].picture.sha256, sha256(&brought));

    let made = trace.jobs.iter().filter_map(|job| job.artifact);
    let mut named: Vec<ArtifactRef> = made.collect();
    named.extend(trace.image);
    named.push(trace.pictures[0].picture);
    let stranger = api.with_key(Some(&sandbox.key_of("other")?))?;
    let nobody = api.with_key(None)?;
    for file in &named {
        assert!(file.bytes <= MAX_ARTIFACT_BYTES);
        let path = format!("/v1/requests/{}/artifacts/{}", view.id, file.sha256);
        let answer = api.get(&path).await?;
        assert_eq!(answer.status(), StatusCode::OK, "{file:?}");
        let header = |name: &str| {
            answer.headers()[name]
                .to_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(header("content-type"), file.media_type.as_str());
        let tag = header("etag");
        let bytes = answer.bytes().await?;
        assert_eq!(
            (sha256(&bytes), bytes.len() as u64),
            (file.sha256, file.bytes)
        );
        let known = api.call(Method::GET, &path).header("if-none-match", tag);
        assert_eq!(known.send().await?.status(), StatusCode::NOT_MODIFIED);

        let digest = file.sha256;
        assert_eq!(
            ask(&stranger, view.id, digest).await?.0,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            ask(&nobody, view.id, digest).await?.0,
            StatusCode::UNAUTHORIZED
        );
    }
    // The stranger's own request does not open what it does not name, nor does another one of the same tenant.
    let theirs = draw(&stranger, &prompt("a fox")).await?.0;
    let image = view.image.context("a picture")?.sha256;
    assert_eq!(
        ask(&stranger, theirs.id, image).await?.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(ask(api, other.id, image).await?.0, StatusCode::NOT_FOUND);
    let others_plan = other_trace.plan_artifact.context("a plan")?.sha256;
    assert_eq!(
        ask(api, view.id, others_plan).await?.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask(api, view.id, Sha256([0; 32])).await?.0,
        StatusCode::NOT_FOUND
    );
    let unknown = format!("/v1/requests/{}/artifacts/", view.id);
    for wrong in ["cat", "..%2f..", &"0".repeat(63), &"g".repeat(64)] {
        let answer = api.get(&format!("{unknown}{wrong}")).await?;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn the_same_request_on_another_worker_makes_the_same_bytes() -> Result<()> {
    let (sandbox, coordinator, mut worker) = farm().await?;
    let api = &coordinator.api;
    let request = prompt("a cat and a radio [blend]");
    let (first, before) = draw(api, &request).await?;
    worker.program.kill()?;
    let _other = sandbox.worker("other", &["--name", "another"])?;
    let (second, after) = draw(api, &request).await?;
    ensure!(first.id != second.id && first.image == second.image);
    assert_eq!(api.picture(first.id).await?, api.picture(second.id).await?);
    let makers = |trace: &Trace| {
        let makers = trace.jobs.iter().map(|job| {
            let made = job.made.clone()?;
            Some((made.device, made.version, made.weights))
        });
        makers.collect::<Option<Vec<_>>>()
    };
    assert_eq!(makers(&before), makers(&after));
    assert_eq!(after.jobs[0].worker.as_deref(), Some("another"));
    Ok(())
}

/// Pointers to results in the object store.
fn pointers(sandbox: &Sandbox) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let results = sandbox.folder().join("objects/results");
    if !results.is_dir() {
        return Ok(found);
    }
    for folder in std::fs::read_dir(results)? {
        for file in std::fs::read_dir(folder?.path())? {
            found.push(file?.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the drawing of a request was one that was made before; one that was took no device time.
fn is_kept(trace: &Trace) -> Result<bool> {
    let drawn = |job: &&TraceJob| job.kind == JobKind::Render;
    let job = trace.jobs.iter().find(drawn).context("it was drawn")?;
    let cached = job.made.as_ref().context("its worker tells")?.cached;
    ensure!(!cached || job.device_ms == Some(0), "{job:#?}");
    Ok(cached)
}

#[tokio::test]
async fn what_was_drawn_for_a_tenant_is_not_drawn_for_it_again() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let mut worker = sandbox.worker("worker", &["--cache", "all"])?;
    let api = &coordinator.api;
    let request = prompt("a cat and a radio");
    let (first, trace) = draw(api, &request).await?;
    assert!(!is_kept(&trace)?);
    // It is kept beside the work.
    in_time("it is kept", LONG, async || {
        Ok(pointers(&sandbox)?.len() == 1)
    })
    .await?;
    let (second, trace) = draw(api, &request).await?;
    assert!(is_kept(&trace)?);
    assert_eq!(first.image, second.image);

    let anew = SubmitRequest {
        cache: Some(false),
        ..request.clone()
    };
    let (third, trace) = draw(api, &anew).await?;
    assert_eq!(trace.submitted.cache, Some(false));
    assert!(!is_kept(&trace)?);
    assert_eq!(first.image, third.image);
    let other_seed = SubmitRequest {
        seed: Some(8),
        ..request.clone()
    };
    assert!(!is_kept(&draw(api, &other_seed).await?.1)?);
    let stranger = api.with_key(Some(&sandbox.key_of("other")?))?;
    let (theirs, trace) = draw(&stranger, &request).await?;
    assert!(!is_kept(&trace)?, "nobody learns what others have drawn");
    assert_eq!(first.image, theirs.image);
    in_time("all are kept", LONG, async || {
        Ok(pointers(&sandbox)?.len() == 3)
    })
    .await?;

    // A pointer that is damaged, one that leads elsewhere, and one to a picture that is gone are as good as none.
    let image = first.image.context("a picture")?;
    let file = sandbox
        .folder()
        .join("objects")
        .join(object_key::artifact(image.sha256, image.media_type));
    let good = std::fs::read(&file)?;
    type Damage = fn(&[u8]) -> Vec<u8>;
    let damages: [Damage; 4] = [
        |_| Vec::new(),
        |pointer| pointer[..pointer.len() / 2].to_vec(),
        |_| br#"{"outcome":"returned"}"#.to_vec(),
        |pointer| {
            let text = String::from_utf8_lossy(pointer).replace("image/png", "application/json");
            text.into_bytes()
        },
    ];
    for damage in damages {
        for pointer in pointers(&sandbox)? {
            std::fs::write(&pointer, damage(&std::fs::read(&pointer)?))?;
        }
        let (again, trace) = draw(api, &request).await?;
        assert!(!is_kept(&trace)?);
        assert_eq!(again.image, first.image);
        in_time("it is kept again", LONG, async || {
            let (_, trace) = draw(api, &request).await?;
            is_kept(&trace)
        })
        .await?;
    }
    // A new process has nothing in memory.
    worker.program.kill()?;
    let _other = sandbox.worker("other", &["--cache", "all"])?;
    std::fs::remove_file(&file)?;
    let (_, trace) = draw(api, &request).await?;
    assert!(!is_kept(&trace)?);
    assert_eq!(std::fs::read(&file)?, good, "it is drawn, and there again");
    Ok(())
}

/// The one plan job of a request for a plan: whether its draft was one that was kept, and the plan.
async fn planned(api: &Api, request: &SubmitRequest) -> Result<(bool, Plan)> {
    let (_, trace) = draw(api, request).await?;
    let [job] = &trace.jobs[..] else {
        anyhow::bail!("{:#?}", trace.jobs)
    };
    let made = job.made.as_ref().context("its worker tells")?;
    Ok((made.cached, trace.plan.context("a plan")?))
}

#[tokio::test]
async fn a_prompt_that_was_thought_about_is_laid_out_anew_and_not_thought_about_again() -> Result<()>
{
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let admin = format!("127.0.0.1:{}", free_port(None)?);
    let options = ["--roles", "plan", "--threads", "1"];
    let told = [&options[..], &["--admin-listen", &admin]].concat();
    let mut worker = sandbox.real_worker("planner", &told)?;
    let api = &coordinator.api;
    let request = SubmitRequest {
        plan_only: true,
        seed: Some(1),
        ..prompt("a cat and a red balloon on the moon")
    };
    let (kept, first) = planned(api, &request).await?;
    assert!(!kept);
    let other_seed = SubmitRequest {
        seed: Some(2),
        ..request.clone()
    };
    let (kept, second) = planned(api, &other_seed).await?;
    assert!(kept, "the draft does not hang on the seed");
    let nouns = |plan: &Plan| -> Vec<String> {
        let elements = plan.elements.iter();
        elements.map(|element| element.noun.clone()).collect()
    };
    assert_eq!(nouns(&first), nouns(&second));
    let anew = SubmitRequest {
        cache: Some(false),
        ..request.clone()
    };
    let (kept, third) = planned(api, &anew).await?;
    assert!(!kept);
    assert_eq!(third, first);
    let stranger = api.with_key(Some(&sandbox.key_of("other")?))?;
    assert!(!planned(&stranger, &request).await?.0);
    assert_eq!(looked_for(&admin, "drafts").await?, [1, 2]);
    // Off by the worker's own flag, too.
    worker.program.kill()?;
    let _other = sandbox.real_worker("other", &[&options[..], &["--cache", "none"]].concat())?;
    for _ in 0..2 {
        assert!(!planned(api, &request).await?.0);
    }
    Ok(())
}

/// How often a worker found what it looked for, and how often not.
async fn looked_for(admin: &str, cache: &str) -> Result<[u64; 2]> {
    let metrics = reqwest::get(format!("http://{admin}/metrics")).await?;
    let metrics = metrics.text().await?;
    let count = |outcome: &str| {
        let parts = ["worker_cache_total", cache, outcome];
        let mut lines = metrics.lines();
        let line = lines.find(|line| parts.iter().all(|part| line.contains(part)));
        let (_, count) = line.and_then(|line| line.rsplit_once(' '))?;
        count.parse().ok()
    };
    let both = count("\"hit\"").zip(count("\"miss\""));
    let (hits, misses) = both.with_context(|| metrics.clone())?;
    Ok([hits, misses])
}

#[tokio::test]
async fn texts_that_were_read_for_a_picture_are_not_read_for_the_next_which_is_the_same_without()
-> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let admin = format!("127.0.0.1:{}", free_port(None)?);
    let options = ["--threads", "1"];
    let told = [&options[..], &["--admin-listen", &admin]].concat();
    let mut worker = sandbox.real_worker("painter", &told)?;
    let api = &coordinator.api;
    let asked = |seed, cache| SubmitRequest {
        seed: Some(seed),
        cache,
        max_rounds: Some(1),
        ..prompt("a cat and a red balloon on the moon")
    };
    // What is behind, the cat and the balloon.
    let (first, _) = draw(api, &asked(1, None)).await?;
    assert_eq!(looked_for(&admin, "texts").await?, [0, 3]);
    let (second, trace) = draw(api, &asked(2, None)).await?;
    assert!(!is_kept(&trace)?);
    assert_eq!(looked_for(&admin, "texts").await?, [3, 3]);
    let (anew, _) = draw(api, &asked(2, Some(false))).await?;
    assert_eq!(anew.image, second.image);
    assert_eq!(looked_for(&admin, "texts").await?, [3, 3]);
    worker.program.kill()?;
    let none = ["--admin-listen", &admin, "--cache", "none"];
    let _other = sandbox.real_worker("other", &[&options[..], &none].concat())?;
    for before in [&first, &second] {
        let (anew, trace) = draw(api, &asked(before.seed, None)).await?;
        assert!(!is_kept(&trace)?);
        assert_eq!(anew.image, before.image);
    }
    assert_eq!(looked_for(&admin, "texts").await?, [0, 0]);
    Ok(())
}

/// How often it is tried to be quicker than the traces' loop, which waits a tenth of a second.
const TRIES: usize = 10;

/// Where the trace of a request is, by its row.
async fn named(sandbox: &Sandbox, id: RequestId) -> Result<Option<Vec<u8>>> {
    let mut database = sandbox.database().await?;
    let named = sqlx::query_scalar("SELECT trace_sha256 FROM requests WHERE id = $1");
    Ok(named.bind(id.as_uuid()).fetch_one(&mut database).await?)
}

#[tokio::test]
async fn what_memory_knows_of_a_request_makes_the_trace_that_its_rows_make() -> Result<()> {
    let (sandbox, coordinator, _worker) = farm().await?;
    let api = &coordinator.api;
    let mut database = sandbox.database().await?;
    let requests = [
        prompt("a city [blend]"),
        // Planned again, drawn again and repaired.
        prompt("a cat and a dog [hopeless]"),
        prompt("a cat, a tree and a dog [dark] [lacks:3]"),
        SubmitRequest {
            think: Think::Off,
            steps: Some(2),
            cache: Some(false),
            references: vec![UploadedReference {
                name: "mine".into(),
                data: BASE64_STANDARD.encode(png()?),
            }],
            ..prompt("a cat")
        },
        SubmitRequest {
            max_time_s: Some(100.0),
            max_rounds: Some(3),
            ..prompt("a dog and a tree [misses]")
        },
    ];
    for request in requests {
        let mut written = None;
        let mut id = None;
        for _ in 0..TRIES {
            let asked = api.submit(&request).await?.id;
            api.succeeded(asked, LONG).await?;
            // Rows cannot be read for a trace now.
            sqlx::query("ALTER TABLE requests RENAME COLUMN model TO hidden")
                .execute(&mut database)
                .await?;
            let late = in_time("it is written", Duration::from_secs(2), async || {
                Ok(named(&sandbox, asked).await?.is_some())
            });
            let late = late.await.is_err();
            sqlx::query("ALTER TABLE requests RENAME COLUMN hidden TO model")
                .execute(&mut database)
                .await?;
            if !late {
                (written, id) = (named(&sandbox, asked).await?, Some(asked));
                break;
            }
        }
        let (written, id) = written
            .zip(id)
            .with_context(|| format!("{:?} was not written from memory", request.prompt))?;
        let told = api.trace(id).await?;
        let lost =
            "UPDATE requests SET trace_sha256 = sha256('lost'), trace_bytes = 4 WHERE id = $1";
        sqlx::query(lost)
            .bind(id.as_uuid())
            .execute(&mut database)
            .await?;
        assert_eq!(api.trace(id).await?, told, "{}", request.prompt);
        assert_eq!(named(&sandbox, id).await?, Some(written));
    }
    Ok(())
}

#[tokio::test]
async fn the_double_keeps_nothing_unless_it_is_told_to() -> Result<()> {
    let (sandbox, coordinator, _worker) = farm().await?;
    let request = prompt("a cat");
    for _ in 0..2 {
        let (_, trace) = draw(&coordinator.api, &request).await?;
        assert!(!is_kept(&trace)?);
    }
    assert_eq!(pointers(&sandbox)?, [] as [PathBuf; 0]);
    Ok(())
}
