use std::time::{Duration, Instant};

use anyhow::Result;
use atelier_proto::{
    http::{RequestState, SubmitRequest},
    job::{JobKind, Think},
    report::{Outcome, ReportAnswer},
    review::{Action, Answer, OutcomeMark},
};
use atelier_tests::{Sandbox, in_time, prompt};

use atelier_tests::hand::{Hand, day_and_night, stage_of};

fn direct() -> SubmitRequest {
    SubmitRequest {
        think: Think::Off,
        ..prompt("a cat")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_worker_loses_its_job_to_the_next() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let (silent, other) = (Hand::new(&sandbox).await?, Hand::new(&sandbox).await?);
    let request = coordinator.api.submit(&direct()).await?;
    let lost = silent.next(JobKind::Render).await?;
    silent.beat(&[&lost.offer]).await?;
    let again = other.next(JobKind::Render).await?;
    assert_eq!((again.offer.job, again.offer.attempt), (lost.offer.job, 2));
    let late = silent
        .report(&lost.offer, silent.rendered(1).await?)
        .await?;
    assert_eq!(late, ReportAnswer::Superseded);
    other.finish(again, other.rendered(2).await?).await?;
    coordinator
        .api
        .succeeded(request.id, Duration::from_secs(5))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_keep_a_lease() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let hand = Hand::new(&sandbox).await?;
    let request = coordinator.api.submit(&direct()).await?;
    let job = hand.next(JobKind::Render).await?;
    let until = Instant::now() + Duration::from_secs(4);
    let mut step = 0;
    while Instant::now() < until {
        step += 1;
        match step % 2 {
            0 => hand.beat(&[&job.offer]).await?,
            _ => hand.progress(&job.offer, step, 100).await?,
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    hand.finish(job, hand.rendered(1).await?).await?;
    let view = coordinator
        .api
        .succeeded(request.id, Duration::from_secs(5))
        .await?;
    assert_eq!(view.jobs[0].attempt, 1);
    assert_eq!(coordinator.api.workers().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_only_queues_keeps_its_attempt() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let hand = Hand::new(&sandbox).await?;
    let request = coordinator.api.submit(&direct()).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let job = hand.next(JobKind::Render).await?;
    assert_eq!(job.offer.attempt, 1);
    hand.finish(job, hand.rendered(1).await?).await?;
    coordinator
        .api
        .succeeded(request.id, Duration::from_secs(5))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_parked_and_takes_no_other_along() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let poisoned = coordinator.api.submit(&direct()).await?;
    for _ in 0..2 {
        let hand = Hand::new(&sandbox).await?;
        let job = hand.next(JobKind::Render).await?;
        assert_eq!(job.offer.request, poisoned.id);
        hand.beat(&[&job.offer]).await?;
    }
    let view = coordinator
        .api
        .ended(poisoned.id, Duration::from_secs(10))
        .await?;
    assert_eq!(view.state, RequestState::Failed);
    assert!(
        view.reason
            .as_deref()
            .is_some_and(|why| why.starts_with("parked")),
        "{view:?}"
    );

    let hand = Hand::new(&sandbox).await?;
    let fine = coordinator.api.submit(&direct()).await?;
    let job = hand.next(JobKind::Render).await?;
    assert_eq!(job.offer.request, fine.id);
    hand.finish(job, hand.rendered(1).await?).await?;
    coordinator
        .api
        .succeeded(fine.id, Duration::from_secs(5))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_held_beside_its_job_goes_back_without_blame() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let poisoned = coordinator.api.submit(&direct()).await?.id;
    let neighbour = coordinator.api.submit(&direct()).await?.id;
    for attempt in 1..=2 {
        let hand = Hand::new(&sandbox).await?;
        let mut jobs = Vec::new();
        while jobs.len() < 2 {
            jobs.push(hand.next(JobKind::Render).await?.offer);
        }
        jobs.sort_by_key(|offer| offer.request != poisoned);
        let [deadly, other] = &jobs[..] else {
            unreachable!()
        };
        assert_eq!((other.request, other.attempt), (neighbour, attempt));
        assert_eq!(deadly.alone, attempt > 1, "it killed a worker before");
        hand.beat_beside(&[deadly], &[other]).await?;
    }
    let parked = coordinator
        .api
        .ended(poisoned, Duration::from_secs(10))
        .await?;
    let reason = parked.reason.unwrap_or_default();
    assert!(
        reason.starts_with("parked: failed on 2 different workers"),
        "{reason}"
    );

    let hand = Hand::new(&sandbox).await?;
    let job = hand.next(JobKind::Render).await?;
    assert_eq!((job.offer.attempt, job.offer.alone), (3, false));
    hand.finish(job, hand.rendered(1).await?).await?;
    coordinator
        .api
        .succeeded(neighbour, Duration::from_secs(5))
        .await?;
    let mut database = sandbox.database().await?;
    let counts: (i32, i32) =
        sqlx::query_as("SELECT failures, losses FROM jobs WHERE request_id = $1")
            .bind(neighbour.as_uuid())
            .fetch_one(&mut database)
            .await?;
    assert_eq!(counts, (0, 2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_a_begun_job_a_second_time_does_not_hide_who_died_of_it() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let (dead, heir) = (Hand::new(&sandbox).await?, Hand::new(&sandbox).await?);
    coordinator.api.submit(&direct()).await?;
    let job = dead.next(JobKind::Render).await?;
    dead.beat(&[&job.offer]).await?;
    let mut database = sandbox.database().await?;
    in_time(
        "the begin is written",
        Duration::from_secs(10),
        async || {
            let begun: i32 = sqlx::query_scalar("SELECT begun_attempt FROM jobs WHERE id = $1")
                .bind(job.offer.job.as_uuid())
                .fetch_one(&mut database)
                .await?;
            Ok(begun > 0)
        },
    )
    .await?;
    // As the stream does by itself when it hears nothing for long.
    job.delivery.give_back(None).await;
    let again = heir.next(JobKind::Render).await?;
    assert_eq!(again.offer, job.offer);
    let third = Hand::new(&sandbox).await?;
    let living = async {
        loop {
            heir.beat(&[&again.offer]).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let next = tokio::select! {
        next = third.next(JobKind::Render) => next?,
        failed = living => return failed,
    };
    assert_eq!((next.offer.attempt, next.offer.alone), (2, true));
    assert_eq!(next.offer.avoid, [dead.id], "the heir could do it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_is_left_to_another_worker_and_parked_when_it_fails_there_too()
-> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let (first, second) = (Hand::new(&sandbox).await?, Hand::new(&sandbox).await?);
    let failed = || Outcome::Failed {
        reason: "no paint".into(),
        retry: true,
    };
    let request = coordinator.api.submit(&direct()).await?.id;
    let job = first.next(JobKind::Render).await?;
    assert!(job.offer.avoid.is_empty());
    first.finish(job, failed()).await?;
    let job = first.next(JobKind::Render).await?;
    assert!(
        job.offer.avoid.is_empty(),
        "nobody else was heard: it is tried again where it failed"
    );
    second.beat(&[]).await?;
    in_time("the second is heard", Duration::from_secs(10), async || {
        Ok(!coordinator.api.workers().await?.is_empty())
    })
    .await?;
    first.finish(job, failed()).await?;
    let job = second.next(JobKind::Render).await?;
    assert_eq!(
        (job.offer.attempt, &job.offer.avoid[..]),
        (3, &[first.id][..])
    );
    second.finish(job, failed()).await?;
    let view = coordinator
        .api
        .ended(request, Duration::from_secs(5))
        .await?;
    assert_eq!(
        view.reason.as_deref(),
        Some("parked: failed on 2 different workers, the last time: no paint")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_object_store_is_held_against_neither_job_nor_worker() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let (mut first, mut second) = (Hand::new(&sandbox).await?, Hand::new(&sandbox).await?);
    (first.outage, second.outage) = (true, true);
    let request = coordinator.api.submit(&direct()).await?.id;
    for hand in [&first, &second] {
        let away = Outcome::Failed {
            reason: "the store is away".into(),
            retry: true,
        };
        hand.finish(hand.next(JobKind::Render).await?, away).await?;
    }
    let job = first.next(JobKind::Render).await?;
    assert_eq!((job.offer.attempt, job.offer.avoid.len()), (3, 0));
    first.outage = false;
    first.finish(job, first.rendered(1).await?).await?;
    coordinator
        .api
        .succeeded(request, Duration::from_secs(5))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_until_they_are_too_many() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--max-failures", "3"])?;
    let hand = Hand::new(&sandbox).await?;
    let request = coordinator.api.submit(&direct()).await?;
    let returned = hand.next(JobKind::Render).await?;
    hand.finish(returned, Outcome::Returned).await?;
    for attempt in 2..=4 {
        let job = hand.next(JobKind::Render).await?;
        assert_eq!(
            job.offer.attempt, attempt,
            "a returned job counts as no failure"
        );
        let failed = Outcome::Failed {
            reason: "no paint".into(),
            retry: true,
        };
        hand.finish(job, failed).await?;
    }
    let view = coordinator
        .api
        .ended(request.id, Duration::from_secs(5))
        .await?;
    assert_eq!(view.state, RequestState::Failed);
    assert!(view.reason.is_some_and(|why| why.contains("no paint")));
    Ok(())
}

/// Draws both stages of a round, and looks at what came of it.
async fn round(hand: &Hand, shade: u8, answers: &[Answer]) -> Result<()> {
    for shade in [shade, shade + 1] {
        let job = hand.next(JobKind::Render).await?;
        hand.finish(job, hand.rendered(shade).await?).await?;
    }
    let job = hand.next(JobKind::Critique).await?;
    hand.finish(job, hand.reviewed(answers).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_queues_when_the_time_is_over_is_taken_back_and_one_in_hands_is_not()
-> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &["--lease-ms", "1000"])?;
    let (api, hand) = (&coordinator.api, Hand::new(&sandbox).await?);
    let limited = SubmitRequest {
        max_time_s: Some(3.0),
        max_rounds: Some(2),
        ..prompt("a city by day and by night")
    };
    for in_hands in [false, true] {
        let begun = Instant::now();
        let id = api.submit(&limited).await?.id;
        let plan = hand.next(JobKind::Plan).await?;
        let planned = hand.planned(day_and_night(2)).await?;
        hand.finish(plan, planned).await?;
        round(&hand, 10, &[Answer::Pass, Answer::Fail]).await?;
        let best = api.view(id).await?.image;
        if in_hands {
            let job = hand.next(JobKind::Render).await?;
            assert_eq!(stage_of(&job.offer)?.0, "day");
            while begun.elapsed() < Duration::from_millis(4_500) {
                hand.beat(&[&job.offer]).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            assert_eq!(api.view(id).await?.state, RequestState::Active);
            hand.finish(job, hand.rendered(20).await?).await?;
            let night = hand.next(JobKind::Render).await?;
            hand.finish(night, hand.rendered(21).await?).await?;
            let look = hand.next(JobKind::Critique).await?;
            let passed = hand.reviewed(&[Answer::Pass; 2]).await?;
            hand.finish(look, passed).await?;
            let view = api.succeeded(id, Duration::from_secs(5)).await?;
            assert_eq!((view.round, view.outcome), (2, Some(OutcomeMark::Accepted)));
            continue;
        }
        let view = api.succeeded(id, Duration::from_secs(10)).await?;
        assert!(begun.elapsed() > Duration::from_secs(3));
        assert_eq!(view.image, best);
        let Some(OutcomeMark::BestSoFar { reason }) = &view.outcome else {
            panic!("{view:?}")
        };
        assert!(reason.contains("its 3 s are over"), "{reason}");
        let trace = api.trace(id).await?;
        let actions = trace.decisions.iter().map(|decision| decision.action);
        assert_eq!(actions.collect::<Vec<_>>(), [Action::Redraw, Action::Stop]);
        let second = trace.jobs.iter().filter(|job| job.round == 2);
        assert!(second.clone().count() > 0 && second.clone().all(|job| job.state == "canceled"));
        // Its message is not in the stream any more.
        hand.nothing(JobKind::Render, Duration::from_secs(1))
            .await?;
    }
    Ok(())
}
