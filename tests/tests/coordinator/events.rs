use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    http::{Event, RequestState},
    job::{JobKind, Think},
};
use atelier_tests::{Sandbox, prompt};
use futures::StreamExt;

use crate::hand::Hand;

/// Reads server-sent events until the stream ends.
async fn read(
    answer: reqwest::Response,
    seen: tokio::sync::mpsc::UnboundedSender<Event>,
) -> Result<()> {
    let mut text = String::new();
    let mut bytes = answer.bytes_stream();
    while let Some(chunk) = bytes.next().await {
        text.push_str(std::str::from_utf8(&chunk?)?);
        while let Some(end) = text.find("\n\n") {
            let block: String = text.drain(..end + 2).collect();
            let line = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name).map(str::trim).map(str::to_owned))
            };
            let Some(data) = line("data:") else { continue };
            let event: Event = serde_json::from_str(&data)?;
            let word = match event {
                Event::Request { .. } => "request",
                Event::Progress { .. } => "progress",
            };
            assert_eq!(line("event:").as_deref(), Some(word));
            seen.send(event)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_state_progress_and_the_end_then_closes() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    // Another coordinator tells of what the first one commits.
    let watched = sandbox.coordinator("two", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let mut wanted = prompt("a cat");
    wanted.think = Think::Off;
    let request = coordinator.api.submit(&wanted).await?;
    let answer = watched
        .api
        .get(&format!("/v1/requests/{}/events", request.id))
        .await?;
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let reading = tokio::spawn(read(answer, sender));
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await?;
        event.context("the stream ended")
    };
    assert!(
        matches!(next().await?, Event::Request { request } if request.state == RequestState::Active)
    );

    let job = hand.next(JobKind::Render).await?;
    let progress = loop {
        // Until the subscription stands, progress is lost, as it may be.
        hand.progress(&job.offer, 3, 8).await?;
        if let Event::Progress {
            kind, step, total, ..
        } = next().await?
        {
            break (kind, step, total);
        }
    };
    assert_eq!(progress, (JobKind::Render, 3, 8));
    hand.finish(job, hand.rendered(1).await?).await?;
    let last = loop {
        if let Event::Request { request } = next().await?
            && request.state.is_terminal()
        {
            break request;
        }
    };
    assert_eq!(last.state, RequestState::Succeeded);
    assert!(last.image.is_some());
    tokio::time::timeout(Duration::from_secs(5), reading).await???;
    Ok(())
}
