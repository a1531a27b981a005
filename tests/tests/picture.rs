//! The default model through the whole farm: real networks, a real prompt, one picture.

use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{http::SubmitRequest, job::JobKind};
use atelier_tests::{Sandbox, prompt, sha256};

/// Two cores draw it in some seconds; other tests may run beside it.
const LONG: Duration = Duration::from_secs(300);

#[tokio::test]
async fn a_cat_and_a_red_balloon_on_the_moon() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let worker = sandbox.real_worker("worker", &[])?;
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
    // A broken decoder gives one colour, a broken renderer noise: neither is a picture.
    let mean = picture
        .pixels()
        .map(|pixel| f64::from(pixel.0[1]))
        .sum::<f64>()
        / f64::from(picture.width() * picture.height());
    let spread = picture
        .pixels()
        .map(|pixel| (f64::from(pixel.0[1]) - mean).abs())
        .fold(0.0, f64::max);
    assert!(spread > 40.0, "the picture is all of one colour");
    let step = |a: &image::Rgb<u8>, b: &image::Rgb<u8>| f64::from(a.0[1].abs_diff(b.0[1]));
    let rows = picture.rows().map(|row| row.collect::<Vec<_>>());
    let steps: Vec<f64> = rows
        .flat_map(|row| {
            row.windows(2)
                .map(|pair| step(pair[0], pair[1]))
                .collect::<Vec<_>>()
        })
        .collect();
    let roughness = steps.iter().sum::<f64>() / steps.len() as f64;
    assert!(
        roughness < 20.0,
        "neighbours differ by {roughness:.1} on average: that is noise"
    );

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
