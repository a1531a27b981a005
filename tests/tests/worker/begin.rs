//! What a worker says of its device: whoever dies of a job has told before which one it was.

use anyhow::Result;
use atelier_proto::job::JobKind;
use atelier_tests::{Sandbox, in_time};

use crate::desk::{Desk, PATIENCE, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn a_begin_is_told_before_the_device_can_die_of_it() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let mut worker = sandbox.worker("worker", &["--heartbeat-ms", "60000"])?;
    for _ in 0..5 {
        // The process is gone within microseconds after it began.
        let deadly = offer(plan_work("a cat [abort:plan]"));
        desk.offer(&deadly).await?;
        let begin = desk.progress().await?;
        assert_eq!((begin.job, begin.attempt, begin.step), (deadly.job, 1, 0));
        in_time("it dies", PATIENCE, async || {
            Ok(!worker.program.is_running())
        })
        .await?;
        desk.forget_jobs().await?;
        worker.restart_dead()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_tell_the_device_from_what_lies_beside_it() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let _worker = sandbox.worker("worker", &["--heartbeat-ms", "50"])?;
    let first = desk.render("a cat [slow:200]", 8).await?;
    let second = desk.render("a dog [slow:200]", 8).await?;
    desk.offer(&first).await?;
    desk.offer(&second).await?;
    let (one, two) = ((first.job, 1), (second.job, 1));
    let both = [one, two];
    let beside = desk
        .heartbeat_that(|beat| both.iter().all(|pair| beat.holding.contains(pair)))
        .await?;
    assert_eq!(beside.on_device, [one]);
    assert!(!beside.computed.contains(&two));
    // Its report is not answered yet when the second begins.
    let (_, reply) = desk.unanswered().await?;
    let begin = desk.progress_that(|step| step.job == second.job).await?;
    assert_eq!((begin.step, begin.kind), (0, JobKind::Render));
    assert_eq!(begin.computed, [one]);
    let after = desk.heartbeat_that(|beat| beat.on_device == [two]).await?;
    assert_eq!(after.computed, [one]);
    desk.answer(reply, atelier_proto::report::ReportAnswer::Committed)
        .await?;
    desk.report().await?;
    desk.empty().await
}
