use std::time::Duration;

use anyhow::Result;
use atelier_proto::{
    http::RequestState,
    job::{JobKind, Think, Work},
    report::Outcome,
    review::{Answer, Score},
};
use atelier_tests::{Sandbox, prompt};

use atelier_tests::hand::{Hand, day_and_night, stage_of};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn plans_draws_looks_and_draws_again() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let request = coordinator
        .api
        .submit(&prompt("a city by day and by night"))
        .await?;

    let plan = hand.next(JobKind::Plan).await?;
    let Work::Plan(work) = &plan.offer.work else {
        panic!("{:?}", plan.offer)
    };
    assert_eq!(
        (work.prompt.as_str(), work.seed, plan.offer.attempt),
        ("a city by day and by night", 7, 1)
    );
    let planned = hand.planned(day_and_night(2)).await?;
    hand.finish(plan, planned).await?;

    let mut seeds = Vec::new();
    for (round, shade) in [(1, 10), (2, 20)] {
        let day = hand.next(JobKind::Render).await?;
        let (stage, seed) = stage_of(&day.offer)?;
        assert_eq!(stage, "day");
        seeds.push(seed);
        hand.finish(day, hand.rendered(shade).await?).await?;
        let night = hand.next(JobKind::Render).await?;
        let Work::Render(work) = &night.offer.work else {
            panic!("{:?}", night.offer)
        };
        assert_eq!((work.stage.as_str(), work.inputs.len()), ("night", 1));
        seeds.push(work.seed);
        hand.finish(night, hand.rendered(shade + 1).await?).await?;
        let critique = hand.next(JobKind::Critique).await?;
        let Work::Critique(work) = &critique.offer.work else {
            panic!("{:?}", critique.offer)
        };
        let Outcome::Rendered { image, .. } = hand.rendered(shade + 1).await? else {
            unreachable!()
        };
        assert_eq!(work.image, image);
        let answers = [
            Answer::Pass,
            if round == 1 {
                Answer::Fail
            } else {
                Answer::Unknown
            },
        ];
        hand.finish(critique, hand.reviewed(&answers).await?)
            .await?;
    }
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 4, "every drawing has a seed of its own");

    let view = coordinator.api.succeeded(request.id, SOON).await?;
    let Outcome::Rendered { image: first, .. } = hand.rendered(11).await? else {
        unreachable!()
    };
    assert_eq!(
        view.image,
        Some(first),
        "as many passes do not replace the first picture"
    );
    assert_eq!(
        view.score,
        Some(Score {
            pass: 1,
            fail: 1,
            unknown: 0
        })
    );
    assert_eq!(view.round, 2);
    assert_eq!(view.jobs.len(), 7);
    assert!(
        view.jobs
            .iter()
            .all(|job| job.state == "done" && job.attempt == 1)
    );
    let picture = coordinator.api.picture(request.id).await?;
    assert_eq!(image::load_from_memory(&picture)?.width(), 8);

    let trace = coordinator.api.trace(request.id).await?;
    assert_eq!(
        (trace.state, trace.seed, trace.image),
        (RequestState::Succeeded, 7, Some(first))
    );
    assert_eq!(trace.plan, Some(day_and_night(2)));
    assert_eq!(
        trace.thought.as_ref().map(|thought| thought.text.as_str()),
        Some("a thought")
    );
    assert_eq!(trace.jobs.len(), 7);
    let reviews = trace.jobs.iter().filter_map(|job| job.review.as_ref());
    assert_eq!(reviews.count(), 2);
    let renders = trace.jobs.iter().filter(|job| job.kind == JobKind::Render);
    assert!(
        renders
            .clone()
            .all(|job| job.steps == Some(4) && job.device_ms == Some(3) && job.worker.is_some())
    );
    assert_eq!(
        trace,
        coordinator.api.trace(request.id).await?,
        "a trace never changes"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_thinking_one_drawing_is_the_result() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let mut hand = Hand::new(&sandbox).await?;
    hand.batch = 3;
    let mut wanted = prompt("a cat");
    wanted.think = Think::Off;
    wanted.seed = Some(u64::MAX);
    let request = coordinator.api.submit(&wanted).await?;
    let job = hand.next(JobKind::Render).await?;
    assert_eq!(stage_of(&job.offer)?, ("out", u64::MAX));
    hand.finish(job, hand.rendered(1).await?).await?;
    let view = coordinator.api.succeeded(request.id, SOON).await?;
    assert_eq!((view.seed, view.jobs.len()), (u64::MAX, 1));
    let trace = coordinator.api.trace(request.id).await?;
    assert_eq!(trace.jobs[0].batch, Some(3), "its neighbours on the device");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_fails_for_good_falls_back_to_the_prompt() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let request = coordinator.api.submit(&prompt("a cat")).await?;
    let mut broken = day_and_night(1);
    broken.stages.clear();
    let plan = hand.next(JobKind::Plan).await?;
    let planned = hand.planned(broken).await?;
    hand.finish(plan, planned).await?;
    let again = hand.next(JobKind::Plan).await?;
    assert_eq!(again.offer.attempt, 2, "an invalid plan is tried again");
    let failed = Outcome::Failed {
        reason: "out of ideas".into(),
        retry: false,
    };
    hand.finish(again, failed).await?;
    let render = hand.next(JobKind::Render).await?;
    hand.finish(render, hand.rendered(1).await?).await?;
    let view = coordinator.api.succeeded(request.id, SOON).await?;
    assert_eq!(view.jobs[0].state, "failed");
    let trace = coordinator.api.trace(request.id).await?;
    let notes = trace
        .thought
        .map(|thought| thought.notes)
        .unwrap_or_default();
    assert!(
        notes.iter().any(|note| note.contains("out of ideas")),
        "{notes:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_requests_pass_waiting_ones() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    for _ in 0..12 {
        coordinator.api.submit(&prompt("no hurry")).await?;
    }
    let mut urgent = prompt("now");
    urgent.priority = atelier_proto::job::Priority::Interactive;
    coordinator.api.submit(&urgent).await?;
    let mut place = None;
    for index in 0..13 {
        let job = hand.next(JobKind::Plan).await?;
        let Work::Plan(work) = &job.offer.work else {
            panic!("{:?}", job.offer)
        };
        if work.prompt == "now" {
            place = Some(index);
        }
        let planned = hand.planned(day_and_night(1)).await?;
        hand.finish(job, planned).await?;
    }
    assert!(
        place.is_some_and(|place| place <= 5),
        "it came {place:?} of 13"
    );
    Ok(())
}
