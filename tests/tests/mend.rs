//! What follows a look at a picture, through the whole farm: real servers and programs, with the engine's test double in place of the networks.
//! Its critic looks at the pixels, so that a thing that is left out of a drawing is missed and a repair is seen.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use atelier_platform::Artifacts;
use atelier_proto::{
    ArtifactRef,
    http::{ErrorBody, RequestView, SubmitRequest},
    job::{JobKind, Think},
    report::Kept,
    review::{Action, FixKind, OutcomeMark},
    trace::{Trace, TraceJob},
};
use atelier_tests::{Coordinator, Sandbox, Worker, prompt};
use image::RgbImage;

/// Much longer than any of these requests takes, for a machine that is busy.
const LONG: Duration = Duration::from_secs(60);

/// The sandbox comes first, so that callers drop it last: the programs' logs are in it.
async fn farm() -> Result<(Sandbox, Coordinator, Worker)> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let worker = sandbox.worker("worker", &[])?;
    Ok((sandbox, coordinator, worker))
}

async fn draw(farm: &Coordinator, request: &SubmitRequest) -> Result<(RequestView, Trace)> {
    let view = farm.api.submit(request).await?;
    let view = farm.api.succeeded(view.id, LONG).await?;
    Ok((view.clone(), farm.api.trace(view.id).await?))
}

async fn picture(sandbox: &Sandbox, artifact: &ArtifactRef) -> Result<RgbImage> {
    let objects = sandbox.folder().join("objects");
    let artifacts = Artifacts::open(&format!("file://{}", objects.display()))?;
    let file = artifacts.get(artifact, 1 << 20).await?;
    Ok(image::load_from_memory(&file)?.to_rgb8())
}

fn actions(trace: &Trace) -> Vec<(u32, Action)> {
    let decisions = trace.decisions.iter();
    decisions
        .map(|decision| (decision.round, decision.action))
        .collect()
}

fn stage<'a>(trace: &'a Trace, id: &str) -> Result<&'a TraceJob> {
    let mut jobs = trace.jobs.iter();
    jobs.find(|job| job.stage.as_deref() == Some(id))
        .with_context(|| format!("no stage {id} in {:#?}", trace.jobs))
}

/// Looks for itself: how far the worst of the pixels is off that the box leaves as they were.
fn difference_outside(kept: &Kept, before: &RgbImage, after: &RgbImage) -> Result<(u64, u8)> {
    let bbox = kept.bbox.context("a repair has a box")?;
    let (columns, rows) = bbox.pixels(before.width(), before.height());
    let (mut pixels, mut worst) = (0, 0);
    for (x, y, pixel) in before.enumerate_pixels() {
        if !(columns.contains(&x) && rows.contains(&y)) {
            let channels = pixel.0.iter().zip(after.get_pixel(x, y).0);
            let off = channels.map(|(a, b)| a.abs_diff(b)).max();
            pixels += 1;
            worst = worst.max(off.unwrap_or(0));
        }
    }
    Ok((pixels, worst))
}

/// The repair changed its box of what the other stage drew, and no pixel beside it, as it says itself.
async fn only_its_box_changed(
    sandbox: &Sandbox,
    drawn: &TraceJob,
    mended: &TraceJob,
) -> Result<()> {
    let [before, after] = [drawn, mended].map(|job| job.artifact);
    let (before, after) = (before.context("drawn")?, after.context("mended")?);
    let kept = mended.kept.as_ref().context("what it kept")?;
    ensure!(
        (&kept.inputs, kept.output) == (&vec![before.sha256], after.sha256),
        "{kept:?}"
    );
    let (old, new) = (
        picture(sandbox, &before).await?,
        picture(sandbox, &after).await?,
    );
    let (pixels, worst) = difference_outside(kept, &old, &new)?;
    ensure!(
        (worst, kept.difference, kept.pixels) == (0, 0, pixels),
        "{worst} {kept:?}"
    );
    ensure!(old != new, "nothing changed");
    Ok(())
}

#[tokio::test]
async fn a_thing_that_is_missing_is_noticed_and_painted_and_nothing_else_changes() -> Result<()> {
    let (sandbox, coordinator, _worker) = farm().await?;
    let request = SubmitRequest {
        max_rounds: Some(3),
        ..prompt("a cat and a dog [lacks:2] [slow:5]")
    };
    let (view, trace) = draw(&coordinator, &request).await?;
    assert_eq!(view.outcome, Some(OutcomeMark::Accepted));
    assert_eq!(trace.outcome, view.outcome);
    let score = view.score.context("it was checked")?;
    assert_eq!((score.pass, score.fail, view.round), (2, 0, 2));
    assert_eq!(actions(&trace), [(1, Action::Repair), (2, Action::Accept)]);
    assert_eq!(trace.decisions[0].checks, ["dog-is-there"]);
    assert_eq!(trace.decisions[..1], view.decisions[..]);

    let first = stage(&trace, "out")?;
    let mended = stage(&trace, "repair-2-1")?;
    assert_eq!(mended.op.as_deref(), Some("repair"));
    let fix = mended.fix.as_ref().context("what it mended")?;
    assert_eq!(
        (fix.kind, fix.element.as_deref()),
        (FixKind::Add, Some("dog"))
    );
    assert_eq!(mended.artifact, view.image);

    only_its_box_changed(&sandbox, first, mended).await?;

    let cost = view.cost;
    assert!(
        cost.repair_ms > 0 && cost.render_ms > 0 && cost.plan_ms > 0,
        "{cost:?}"
    );
    let of = |kind, mends: bool| -> u64 {
        let jobs = trace.jobs.iter();
        jobs.filter(|job| job.kind == kind && job.fix.is_some() == mends)
            .filter_map(|job| job.device_ms)
            .sum()
    };
    assert_eq!(cost.repair_ms, of(JobKind::Render, true));
    assert_eq!(cost.render_ms, of(JobKind::Render, false));
    assert_eq!(cost.critique_ms, of(JobKind::Critique, false));
    Ok(())
}

#[tokio::test]
async fn a_picture_in_the_wrong_light_is_edited_and_then_painted_in() -> Result<()> {
    let (sandbox, coordinator, _worker) = farm().await?;
    let request = SubmitRequest {
        max_rounds: Some(3),
        ..prompt("a cat and a dog [dark] [slow:5]")
    };
    let (view, trace) = draw(&coordinator, &request).await?;
    assert_eq!(view.outcome, Some(OutcomeMark::Accepted));
    assert_eq!(actions(&trace), [(1, Action::Edit), (2, Action::Accept)]);
    assert_eq!(trace.decisions[0].checks, ["it-is-night"]);
    let relit = stage(&trace, "repair-2-1")?;
    assert_eq!(relit.op.as_deref(), Some("edit"));
    let fix = relit.fix.as_ref().context("what it mended")?;
    assert_eq!(fix.kind, FixKind::Relight);
    assert!(fix.instruction.contains("at night"), "{fix:?}");
    assert_eq!((relit.artifact, &relit.kept), (view.image, &None));
    assert!(view.cost.repair_ms > 0, "{:?}", view.cost);
    // The things are where they were: the double draws each in a colour of its own.
    let before = picture(&sandbox, &stage(&trace, "out")?.artifact.context("drawn")?).await?;
    let after = picture(&sandbox, &relit.artifact.context("edited")?).await?;
    let middle = |picture: &RgbImage, across: f32| {
        *picture.get_pixel(
            (across * picture.width() as f32) as u32,
            picture.height() / 2,
        )
    };
    for across in [0.25, 0.75] {
        assert_eq!(middle(&before, across), middle(&after, across));
    }

    let both = SubmitRequest {
        max_rounds: Some(3),
        ..prompt("a cat, a tree and a dog [dark] [lacks:3] [slow:5]")
    };
    let (view, trace) = draw(&coordinator, &both).await?;
    assert_eq!(view.outcome, Some(OutcomeMark::Accepted));
    assert_eq!(actions(&trace), [(1, Action::Repair), (2, Action::Accept)]);
    let ops = ["repair-2-1", "repair-2-2"].map(|id| stage(&trace, id).map(|job| job.op.clone()));
    let [relit, painted] = ops;
    assert_eq!(
        (relit?.as_deref(), painted?.as_deref()),
        (Some("edit"), Some("repair"))
    );
    Ok(())
}

#[tokio::test]
async fn a_box_of_a_blended_picture_is_repainted_and_nothing_else_changes() -> Result<()> {
    let (sandbox, coordinator, _worker) = farm().await?;
    let request = SubmitRequest {
        max_rounds: Some(2),
        ..prompt("a cat and a dog [blend] [lacks:2]")
    };
    let (view, trace) = draw(&coordinator, &request).await?;
    assert_eq!(view.outcome, Some(OutcomeMark::Accepted));
    assert_eq!(actions(&trace), [(1, Action::Repair), (2, Action::Accept)]);
    let (blended, mended) = (stage(&trace, "out")?, stage(&trace, "repair-2-1")?);
    assert_eq!(blended.op.as_deref(), Some("blend"));
    only_its_box_changed(&sandbox, blended, mended).await
}

#[tokio::test]
async fn what_fails_again_and_again_is_drawn_and_planned_again_and_then_delivered_marked()
-> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let request = SubmitRequest {
        max_rounds: Some(4),
        ..prompt("a cat and a dog [hopeless]")
    };
    let (view, trace) = draw(&coordinator, &request).await?;
    let expected = [
        (1, Action::Redraw),
        (2, Action::Redraw),
        (3, Action::Replan),
        (4, Action::Stop),
    ];
    assert_eq!(actions(&trace), expected);
    assert!(
        trace
            .decisions
            .iter()
            .all(|decision| !decision.reason.is_empty())
    );
    let Some(OutcomeMark::BestSoFar { reason }) = view.outcome else {
        panic!("{:?}", view.outcome)
    };
    assert!(reason.contains("all 4 rounds are used"), "{reason}");
    let plans = trace.jobs.iter().filter(|job| job.kind == JobKind::Plan);
    assert_eq!(plans.map(|job| job.round).collect::<Vec<_>>(), [1, 4]);
    // The double plans the same again, so that both are one artifact.
    let thought = trace.thought.as_ref().context("the second thought")?;
    let told = &thought.notes;
    assert!(
        told.iter()
            .any(|note| note.starts_with("told: cat was not found")),
        "{told:?}"
    );
    // No picture was better than the first.
    assert_eq!(view.image, stage_of_round(&trace, 1)?.artifact);
    Ok(())
}

fn stage_of_round(trace: &Trace, round: u32) -> Result<&TraceJob> {
    let mut jobs = trace.jobs.iter();
    jobs.find(|job| job.kind == JobKind::Render && job.round == round)
        .context("a drawing of that round")
}

#[tokio::test]
async fn a_used_budget_delivers_the_best_so_far_and_says_so() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let endless = prompt("a cat and a dog [hopeless] [slow:20]");
    for (request, word) in [
        (
            SubmitRequest {
                max_cost_s: Some(0.02),
                max_rounds: Some(4),
                ..endless.clone()
            },
            "on devices are used",
        ),
        (
            SubmitRequest {
                max_time_s: Some(0.02),
                max_rounds: Some(4),
                ..endless.clone()
            },
            "are over",
        ),
    ] {
        let (view, trace) = draw(&coordinator, &request).await?;
        assert_eq!(actions(&trace), [(1, Action::Stop)]);
        let Some(OutcomeMark::BestSoFar { reason }) = view.outcome else {
            panic!("{:?}", view.outcome)
        };
        assert!(reason.contains(word), "{reason}");
        assert_eq!(trace.submitted.max_cost_s, request.max_cost_s);
        assert_eq!(trace.submitted.max_time_s, request.max_time_s);
    }
    Ok(())
}

#[tokio::test]
async fn the_best_of_several_candidates_goes_on() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let (mut repaired, mut chosen) = (0, 0);
    for seed in 0..8 {
        let request = SubmitRequest {
            seed: Some(seed),
            candidates: Some(3),
            max_rounds: Some(2),
            ..prompt("a cat, a radio, a dog and a tree [misses]")
        };
        let (view, trace) = draw(&coordinator, &request).await?;
        let of_first = |job: &&TraceJob| job.round == 1 && job.kind == JobKind::Render;
        let drawn: Vec<&TraceJob> = trace.jobs.iter().filter(of_first).collect();
        let candidates: Vec<Option<u32>> = drawn.iter().map(|job| job.candidate).collect();
        assert_eq!(candidates, [None, Some(2), Some(3)]);
        let mut seeds: Vec<Option<u64>> = drawn.iter().map(|job| job.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!((seeds.len(), drawn[0].seed), (3, Some(seed)));
        let scores: Vec<_> = trace
            .jobs
            .iter()
            .filter(|job| job.round == 1 && job.kind == JobKind::Critique)
            .map(|job| {
                (
                    job.candidate,
                    job.review.as_ref().map(|review| review.score()),
                )
            })
            .collect();
        let passes = |score: Option<atelier_proto::review::Score>| score.map_or(0, |s| s.pass);
        let most = scores.iter().map(|(_, score)| passes(*score)).max();
        let score = view.score.context("it was checked")?;
        assert!(Some(score.pass) >= most, "{score:?} of {scores:?}");
        if score.fail == 0 && view.round == 1 {
            // One that passes ends it.
            continue;
        }
        ensure!(
            scores.iter().all(|(_, score)| score.is_some()),
            "not all were looked at"
        );
        // Of those that are equally good, whichever was looked at first.
        let best: Vec<&&TraceJob> = drawn
            .iter()
            .zip(&scores)
            .filter(|(_, (_, score))| Some(passes(*score)) == most)
            .map(|(job, _)| job)
            .collect();
        if let Ok(mended) = stage(&trace, "repair-2-1") {
            repaired += 1;
            chosen += usize::from(best.iter().all(|job| job.candidate.is_some()));
            let kept = mended.kept.as_ref().context("what it kept")?;
            let names: Vec<_> = best
                .iter()
                .filter_map(|job| job.artifact)
                .map(|artifact| artifact.sha256)
                .collect();
            assert!(names.contains(&kept.inputs[0]), "{kept:?} of {names:?}");
        }
    }
    assert!(repaired > 0, "no candidate was ever mended");
    assert!(chosen > 0, "it was always the first one");
    Ok(())
}

#[tokio::test]
async fn candidates_need_checks_and_limits_are_limits() -> Result<()> {
    let (_sandbox, coordinator, _worker) = farm().await?;
    let several = SubmitRequest {
        candidates: Some(2),
        think: Think::Off,
        ..prompt("a cat")
    };
    let never = SubmitRequest {
        max_cost_s: Some(-1.0),
        ..prompt("a cat")
    };
    for (request, field) in [(several, "candidates"), (never, "max_cost_s")] {
        let answer = coordinator.api.post("/v1/requests", &request, None).await?;
        assert!(answer.status().is_client_error());
        let error: ErrorBody = answer.json().await?;
        assert_eq!(error.error.field.as_deref(), Some(field));
    }
    Ok(())
}

#[tokio::test]
async fn a_blend_tells_what_it_took_from_its_pictures_as_it_was() -> Result<()> {
    let (sandbox, coordinator, _worker) = farm().await?;
    let (_, trace) = draw(&coordinator, &prompt("a city [blend]")).await?;
    let [one, two, out] = [
        stage(&trace, "one")?,
        stage(&trace, "two")?,
        stage(&trace, "out")?,
    ];
    let kept = out.kept.as_ref().context("what it kept")?;
    let name = |job: &TraceJob| job.artifact.map(|artifact| artifact.sha256);
    let inputs: Vec<_> = [one, two].iter().filter_map(|job| name(job)).collect();
    assert_eq!(
        (&kept.inputs, kept.bbox, kept.difference),
        (&inputs, None, 0)
    );
    let seen = picture(&sandbox, &out.artifact.context("drawn")?).await?;
    let left = picture(&sandbox, &one.artifact.context("drawn")?).await?;
    let right = picture(&sandbox, &two.artifact.context("drawn")?).await?;
    // The seam of the double's blend is from 0.35 to 0.65 of the width.
    let mut pixels = 0;
    for (x, y, pixel) in seen.enumerate_pixels() {
        let across = (x as f32 + 0.5) / seen.width() as f32;
        let input = match across {
            _ if across <= 0.35 => &left,
            _ if across >= 0.65 => &right,
            _ => continue,
        };
        pixels += 1;
        assert_eq!(pixel, input.get_pixel(x, y));
    }
    assert_eq!(kept.pixels, pixels);
    Ok(())
}
