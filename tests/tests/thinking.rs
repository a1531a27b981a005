//! What the farm is for, with the default model and real processes: a prompt of many things is covered, a change of light is drawn in stages that
//! nobody asked for, and a picture that was spoiled behind the farm's back is noticed and mended.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use atelier_proto::{
    http::SubmitRequest,
    job::{JobKind, Work},
    plan::{BBox, Check, Plan, Question, StageOp},
    review::{Action, Answer, FixKind},
    trace::{Trace, TraceJob},
};
use atelier_tests::{Api, Coordinator, Sandbox, hand::Hand, prompt};
use image::RgbImage;

/// Two cores draw a picture in some seconds; other tests may run beside it.
const LONG: Duration = Duration::from_secs(300);

/// Room around a thing that is painted over with it: its shadow and soft edges.
const AROUND: f32 = 0.06;

async fn drawn(api: &Api, request: &SubmitRequest) -> Result<(RgbImage, Trace)> {
    let id = api.submit(request).await?.id;
    api.succeeded(id, LONG).await?;
    let bytes = api.picture(id).await?;
    let picture = image::load_from_memory_with_format(&bytes, image::ImageFormat::Png)?;
    Ok((picture.into_rgb8(), api.trace(id).await?))
}

/// `atelier replay` draws it again, every stage and look, to the same bytes.
async fn drawn_again(sandbox: &Sandbox, api: &Api, trace: &Trace) -> Result<()> {
    let mut replay = tokio::process::Command::new(sandbox.binary("atelier")?);
    let id = trace.request.to_string();
    replay
        .args(["replay", &id, "--json"])
        .current_dir(sandbox.folder())
        .env("ATELIER_URL", api.base())
        .env("ATELIER_API_KEY", sandbox.own_key()?)
        .env("ATELIER_CONFIG", sandbox.folder().join("none.toml"));
    let output = tokio::time::timeout(LONG, replay.kill_on_drop(true).output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    ensure!(
        told["identical"] == true && told["circumstances"] == serde_json::json!([]),
        "{told}"
    );
    let again = told["replay"].as_str().context("the id of the replay")?;
    let again = api.trace(again.parse()?).await?;
    let jobs = |trace: &Trace| trace.jobs.len();
    ensure!(
        again.cost.render_ms > 0 && jobs(&again) == jobs(trace),
        "it was not drawn again: {:?}",
        again.cost
    );
    Ok(())
}

fn of_kind(trace: &Trace, kind: JobKind) -> impl Iterator<Item = &TraceJob> {
    trace.jobs.iter().filter(move |job| job.kind == kind)
}

/// Mean brightness of the columns, 0..=255.
fn brightness(picture: &RgbImage, columns: std::ops::Range<u32>) -> f64 {
    let inside = picture
        .enumerate_pixels()
        .filter(|(x, ..)| columns.contains(x));
    let (sum, count) = inside.fold((0_u64, 0_u64), |(sum, count), (_, _, pixel)| {
        let sum_of = pixel.0.iter().map(|value| u64::from(*value)).sum::<u64>();
        (sum + sum_of, count + 3)
    });
    sum as f64 / count as f64
}

async fn six_things_are_all_in_the_plan(api: &Api) -> Result<()> {
    let words = "a cat, a dog, a red car, a tree, a balloon and a guitar on the grass";
    let (_, trace) = drawn(api, &prompt(words)).await?;
    let plan = trace.plan.as_ref().context("it was planned")?;
    let thought = trace.thought.as_ref().context("the thought is kept")?;
    for thing in ["cat", "dog", "car", "tree", "balloon", "guitar"] {
        let element = plan
            .elements
            .iter()
            .find(|element| element.noun.split(' ').any(|word| word == thing))
            .with_context(|| format!("no {thing} in {plan:#?}"))?;
        ensure!(element.bbox.is_some(), "{element:#?}");
        let cited = format!("elements.{}", element.id);
        let of_it = thought
            .evidence
            .iter()
            .find(|evidence| evidence.what == cited);
        let words = &of_it
            .with_context(|| format!("{cited} cites nothing"))?
            .words;
        ensure!(words.contains(thing), "{thing} comes from {words:?}");
        let asked = |check: &Check| matches!(&check.question, Question::Presence { element: of, .. } if *of == element.id);
        ensure!(
            plan.checks.iter().any(asked),
            "nobody looks for the {thing}"
        );
    }
    let coverage = thought.coverage.context("what is covered is told")?;
    ensure!(coverage.words >= 7 && coverage.uncited == 0, "{coverage:?}");
    Ok(())
}

async fn a_change_of_light_is_drawn_in_stages(api: &Api) -> Result<Trace> {
    let request = prompt("a cityscape transitioning from day to night");
    let (picture, trace) = drawn(api, &request).await?;
    let plan = trace.plan.as_ref().context("it was planned")?;
    let stage = |id: &str| -> Result<&StageOp> {
        Ok(&plan.stage(id).with_context(|| format!("no {id}"))?.op)
    };
    ensure!(matches!(stage("day")?, StageOp::Generate { .. }));
    ensure!(matches!(stage("night")?, StageOp::Edit { input, .. } if input == "day"));
    ensure!(matches!(stage("out")?, StageOp::Blend { inputs, .. } if *inputs == ["day", "night"]));
    let first: Vec<&TraceJob> = of_kind(&trace, JobKind::Render)
        .filter(|job| job.round == 1)
        .collect();
    ensure!(first.len() == 3 && first.iter().all(|job| job.state == "done"));
    let blend = first
        .iter()
        .find(|job| job.op.as_deref() == Some("blend"))
        .context("a blend")?;
    let kept = blend.kept.as_ref().context("its promise is told")?;
    ensure!(kept.difference == 0 && kept.pixels > 0, "{kept:?}");
    let third = picture.width() / 3;
    let (day, night) = (
        brightness(&picture, 0..third),
        brightness(&picture, 2 * third..picture.width()),
    );
    ensure!(day > night + 20.0, "left {day:.0}, right {night:.0}");
    Ok(trace)
}

/// The picture with what is in the box painted over from the left to the right edge of the box.
fn without(picture: &RgbImage, bbox: BBox) -> RgbImage {
    let [left, top, right, bottom] = bbox.0;
    let room = |edge: f32, by: f32| (edge + by).clamp(0.0, 1.0);
    let roomy = BBox([
        room(left, -AROUND),
        room(top, -AROUND),
        room(right, AROUND),
        room(bottom, AROUND),
    ]);
    let (columns, rows) = roomy.pixels(picture.width(), picture.height());
    let (from, to) = (columns.start, columns.end.min(picture.width() - 1));
    let mut spoiled = picture.clone();
    for y in rows {
        let (one, other) = (picture.get_pixel(from, y).0, picture.get_pixel(to, y).0);
        for x in columns.clone() {
            let share = (x - from) as f32 / (to - from).max(1) as f32;
            let mixed = std::array::from_fn(|channel| {
                let (one, other) = (f32::from(one[channel]), f32::from(other[channel]));
                (one + share * (other - one)).round() as u8
            });
            spoiled.put_pixel(x, y, image::Rgb(mixed));
        }
    }
    spoiled
}

/// The render job of a request goes to the test, which reports `right` without one of its things; everything after that is the farm's own doing.
async fn a_spoiled_picture_is_mended(
    sandbox: &Sandbox,
    coordinator: &Coordinator,
    request: &SubmitRequest,
    right: &RgbImage,
) -> Result<()> {
    let api = &coordinator.api;
    let hand = Hand::new(sandbox).await?;
    let _thinker = sandbox.real_worker("thinker", &["--roles", "plan,critique"])?;
    let anew = SubmitRequest {
        cache: Some(false),
        ..request.clone()
    };
    let id = api.submit(&anew).await?.id;
    let taken = hand.take(JobKind::Render, LONG).await?;
    let Work::Render(work) = &taken.offer.work else {
        anyhow::bail!("{:?} is no drawing", taken.offer);
    };
    ensure!(work.stage == "out" && taken.offer.request == id);
    let planned: Plan = hand.read(&work.plan).await?;
    let gone = planned.elements.last().context("two things")?;
    let spoiled = without(right, gone.bbox.context("it has a place")?);
    let outcome = hand.drew(&spoiled).await?;
    hand.finish(taken, outcome).await?;

    let _painter = sandbox.real_worker("painter", &["--roles", "render"])?;
    api.succeeded(id, LONG).await?;
    let trace = api.trace(id).await?;
    let looks: Vec<&TraceJob> = of_kind(&trace, JobKind::Critique).collect();
    let review = looks[0].review.as_ref().context("it was looked at")?;
    let failed: Vec<&str> = review
        .verdicts
        .iter()
        .filter(|verdict| verdict.answer == Answer::Fail)
        .map(|verdict| verdict.check.as_str())
        .collect();
    ensure!(
        !failed.is_empty(),
        "it was not seen to lack the {}: {review:#?}",
        gone.noun
    );
    let decided = trace.decisions.first().context("something was decided")?;
    ensure!(decided.action == Action::Repair, "{decided:#?}");
    let repair = of_kind(&trace, JobKind::Render)
        .find(|job| job.round == 2)
        .context("it was painted anew")?;
    let fix = repair.fix.as_ref().context("the fix is told")?;
    ensure!(
        fix.kind == FixKind::Add && fix.element.as_deref() == Some(gone.id.as_str()),
        "{fix:#?}"
    );
    let kept = repair.kept.as_ref().context("its promise is told")?;
    ensure!(kept.difference == 0 && kept.pixels > 0, "{kept:?}");
    let bytes = api.picture(id).await?;
    let mended = image::load_from_memory(&bytes)?.into_rgb8();
    let (columns, rows) = fix.bbox.pixels(mended.width(), mended.height());
    for (x, y, pixel) in mended.enumerate_pixels() {
        let inside = columns.contains(&x) && rows.contains(&y);
        ensure!(
            inside || pixel == spoiled.get_pixel(x, y),
            "{x}, {y} changed"
        );
    }
    let passed = |job: &TraceJob| job.review.as_ref().map(|review| review.score().pass);
    ensure!(
        passed(looks.last().context("a look")?) > passed(looks[0]),
        "{looks:#?}"
    );
    ensure!(
        trace.image == repair.artifact,
        "the mended one is the result"
    );
    Ok(())
}

#[tokio::test]
async fn a_prompt_is_covered_drawn_in_stages_and_mended_by_the_farm_itself() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let api = &coordinator.api;
    let mut worker = sandbox.real_worker("worker", &[])?;
    let request = SubmitRequest {
        seed: Some(3),
        ..prompt("a cat and a red balloon on the moon")
    };
    let told = async {
        six_things_are_all_in_the_plan(api).await?;
        let changed = a_change_of_light_is_drawn_in_stages(api).await?;
        drawn_again(&sandbox, api, &changed).await?;
        drawn(api, &request).await
    };
    let (right, trace) = match told.await {
        Ok(drawn) => drawn,
        Err(error) => return Err(error.context(worker.program.log_tail())),
    };
    let look = of_kind(&trace, JobKind::Critique)
        .next()
        .context("a look")?;
    let score = look.review.as_ref().context("a review")?.score();
    ensure!(
        score.fail == 0,
        "this picture was to be right from the start: {score:?}"
    );
    worker.program.kill()?;
    a_spoiled_picture_is_mended(&sandbox, &coordinator, &request, &right).await
}
