use std::time::Duration;

use anyhow::Result;
use atelier_proto::{
    JobId, RequestId,
    job::{JobKind, Think},
    report::{Outcome, ReportAnswer},
};
use atelier_tests::{Sandbox, prompt};

use atelier_tests::hand::Hand;

#[tokio::test(flavor = "multi_thread")]
async fn late_wrong_and_unreadable_reports_change_nothing() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let mut wanted = prompt("a cat");
    wanted.think = Think::Off;
    let request = coordinator.api.submit(&wanted).await?;
    let job = hand.next(JobKind::Render).await?;
    let before = coordinator.api.view(request.id).await?;

    let mut late = job.offer.clone();
    late.attempt = 0;
    assert_eq!(
        hand.report(&late, hand.rendered(1).await?).await?,
        ReportAnswer::Superseded
    );
    late.attempt = 2;
    assert_eq!(
        hand.report(&late, hand.rendered(1).await?).await?,
        ReportAnswer::Superseded
    );
    let wrong = hand.reviewed(&[]).await?;
    assert_eq!(hand.report(&job.offer, wrong).await?, ReportAnswer::Refused);
    let mut unknown = job.offer.clone();
    unknown.request = RequestId::at(1, [1; 10]);
    assert_eq!(
        hand.report(&unknown, hand.rendered(1).await?).await?,
        ReportAnswer::Refused
    );
    unknown.request = request.id;
    unknown.job = JobId::at(1, [1; 10]);
    assert_eq!(
        hand.report(&unknown, hand.rendered(1).await?).await?,
        ReportAnswer::Refused
    );
    assert_eq!(
        hand.send(JobKind::Render, &"rubbish").await?,
        ReportAnswer::Refused
    );
    assert_eq!(coordinator.api.view(request.id).await?, before);

    // The same report many times at once: one is committed.
    let outcome = hand.rendered(1).await?;
    let all = (0..20).map(|_| hand.report(&job.offer, outcome.clone()));
    let answers = futures::future::try_join_all(all).await?;
    let committed = answers
        .iter()
        .filter(|answer| **answer == ReportAnswer::Committed);
    assert_eq!(committed.count(), 1);
    let after = coordinator
        .api
        .succeeded(request.id, Duration::from_secs(5))
        .await?;
    assert_eq!(
        hand.report(&job.offer, hand.rendered(2).await?).await?,
        ReportAnswer::Superseded
    );
    let failed = Outcome::Failed {
        reason: "late".into(),
        retry: false,
    };
    assert_eq!(
        hand.report(&job.offer, failed).await?,
        ReportAnswer::Superseded
    );
    assert_eq!(coordinator.api.view(request.id).await?, after);
    Ok(())
}
