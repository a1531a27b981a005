//! The default model through the whole farm: real networks, a real prompt, one picture.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use atelier_proto::{RequestId, http::SubmitRequest, job::JobKind};
use atelier_tests::{Api, Sandbox, prompt, sha256};

/// Two cores draw it in some seconds; other tests may run beside it.
const LONG: Duration = Duration::from_secs(300);

/// The same request makes the same bytes in another process that has drawn some of its words in another picture before.
async fn drawn_again(
    api: &Api,
    request: &SubmitRequest,
    first: RequestId,
    bytes: &[u8],
) -> Result<()> {
    let between = prompt("a dog and a cat on the moon");
    let between = api.submit(&between).await?.id;
    api.succeeded(between, LONG).await?;
    let anew = SubmitRequest {
        cache: Some(false),
        ..request.clone()
    };
    let again = api.submit(&anew).await?.id;
    api.succeeded(again, LONG).await?;
    if api.picture(again).await? != bytes {
        let (first, again) = (api.trace(first).await?, api.trace(again).await?);
        bail!("drawn again it is another picture: {first:#?}\n{again:#?}");
    }
    // And asked for once more it need not be drawn.
    let kept = api.submit(request).await?.id;
    api.succeeded(kept, LONG).await?;
    ensure!(api.picture(kept).await? == bytes);
    let trace = api.trace(kept).await?;
    ensure!(trace.cost.render_ms == 0, "{:?}", trace.cost);
    Ok(())
}

#[tokio::test]
async fn a_cat_and_a_red_balloon_on_the_moon() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let mut worker = sandbox.real_worker("worker", &[])?;
    let request = SubmitRequest {
        seed: Some(20),
        ..prompt("a cat and a red balloon on the moon")
    };
    let api = &coordinator.api;
    let id = api.submit(&request).await?.id;
    let view = match api.succeeded(id, LONG).await {
        Ok(view) => view,
        Err(error) => return Err(error.context(worker.program.log_tail())),
    };

    let bytes = api.picture(id).await?;
    assert_eq!(view.image.context("a picture")?.sha256, sha256(&bytes));
    let picture = image::load_from_memory_with_format(&bytes, image::ImageFormat::Png)?.to_rgb8();
    assert!(
        picture.width() >= 128 && picture.height() >= 128,
        "{:?}",
        picture.dimensions()
    );
    // A dead decoder gives one colour. How well the model draws is measured where it is trained, not here.
    let greens = || picture.pixels().map(|pixel| pixel.0[1]);
    let (least, most) = (
        greens().min().context("pixels")?,
        greens().max().context("pixels")?,
    );
    assert!(most - least > 40, "the picture is all of one colour");

    // What stays on the device is said before it is loaded.
    let log = worker.program.log();
    for part in ["language model", "transformer", "autoencoder", "detector"] {
        let said = |line: &str| line.contains(part) && line.contains("MB) stays: ");
        ensure!(log.lines().any(said), "nothing of the {part} in {log}");
    }
    ensure!(
        log.contains("cpu: ") && log.contains(" with room to work in, "),
        "{log}"
    );

    worker.program.kill()?;
    let _other = sandbox.real_worker("other", &[])?;
    drawn_again(api, &request, id, &bytes).await?;
    let trace = api.trace(id).await?;
    let plan = trace.plan.context("it was planned")?;
    let nouns: Vec<&str> = plan
        .elements
        .iter()
        .map(|element| element.noun.as_str())
        .collect();
    for noun in ["cat", "balloon"] {
        assert!(
            nouns.iter().any(|named| named.contains(noun)),
            "no {noun} in {nouns:?}"
        );
    }
    let balloon = plan
        .elements
        .iter()
        .find(|element| element.noun.contains("balloon"))
        .context("a balloon")?;
    assert!(
        balloon.colors.iter().any(|color| color == "red"),
        "{balloon:#?}"
    );
    assert!(plan.elements.iter().all(|element| element.bbox.is_some()));
    assert!(!plan.checks.is_empty());
    assert!(trace.thought.context("the thought is kept")?.tokens_sampled > 0);
    for kind in JobKind::ALL {
        assert!(
            trace
                .jobs
                .iter()
                .any(|job| job.kind == kind && job.state == "done"),
            "no {kind:?} was done"
        );
    }
    let review = trace
        .jobs
        .iter()
        .find_map(|job| job.review.as_ref())
        .context("it was looked at")?;
    assert_eq!(
        review.verdicts.len(),
        plan.checks.len(),
        "every check has an answer"
    );
    for job in &trace.jobs {
        let made = job.made.as_ref().context("its worker tells")?;
        ensure!(made.weights.is_some() && made.device == "cpu", "{made:?}");
        ensure!(made.load_ms.is_some_and(|ms| ms > 0), "{made:?}");
    }
    let render = trace
        .jobs
        .iter()
        .find(|job| job.kind == JobKind::Render)
        .context("it was drawn")?;
    assert!(
        render.seed.is_some()
            && render.steps.is_some()
            && render.device_ms.is_some()
            && render.artifact.is_some()
    );
    Ok(())
}
