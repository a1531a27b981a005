use std::time::Duration;

use anyhow::{Context, Result};
use atelier_proto::{
    http::{Event, RequestState},
    job::{JobKind, Think},
};
use atelier_tests::{Sandbox, in_time, prompt};
use futures::StreamExt;
use reqwest::{Method, StatusCode};

use atelier_tests::hand::Hand;

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

/// The first block of a stream.
async fn first_block(answer: &mut reqwest::Response) -> Result<String> {
    let mut text = String::new();
    while !text.contains("\n\n") {
        let chunk = answer.chunk().await?.context("the stream ended")?;
        text.push_str(std::str::from_utf8(&chunk)?);
    }
    Ok(text)
}

fn field<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    let lines = block.lines();
    lines
        .filter_map(|line| line.strip_prefix(name))
        .map(str::trim)
        .next()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_again_is_told_the_state_anew_until_it_has_the_last() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let request = coordinator.api.submit(&prompt("a cat")).await?;
    let path = format!("/v1/requests/{}/events", request.id);
    let read = async |last: Option<&str>| {
        let mut call = coordinator.api.call(Method::GET, &path);
        if let Some(last) = last {
            call = call.header("last-event-id", last);
        }
        anyhow::Ok(call.send().await?)
    };
    let block = first_block(&mut read(None).await?).await?;
    assert_eq!(field(&block, "retry:"), Some("1000"));
    let active = field(&block, "id:")
        .context("a state has an id")?
        .to_owned();
    // What the reader knows may be old by the time it is back.
    let again = first_block(&mut read(Some(&active)).await?).await?;
    assert!(field(&again, "data:").is_some());

    coordinator.api.cancel(request.id).await?;
    let mut ended = read(Some(&active)).await?;
    assert_eq!(ended.status(), StatusCode::OK);
    let block = first_block(&mut ended).await?;
    let last = field(&block, "id:")
        .context("a state has an id")?
        .to_owned();
    assert_ne!(last, active);
    assert_eq!(ended.chunk().await?, None, "nothing follows the end");
    // Browsers come again until they hear this.
    assert_eq!(read(Some(&last)).await?.status(), StatusCode::NO_CONTENT);
    assert_eq!(read(Some("rubbish")).await?.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_leaves_nothing_behind() -> Result<()> {
    const READERS: usize = 20;
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let request = coordinator.api.submit(&prompt("a cat")).await?;
    let path = format!("/v1/requests/{}/events", request.id);
    let readers = async || {
        let text = coordinator.api.get("/metrics").await?.text().await?;
        let value = field(&text, "atelier_event_readers ").context("readers are counted")?;
        anyhow::Ok(value.parse::<usize>()?)
    };
    let until = async |wanted: usize| {
        in_time("readers are counted", Duration::from_secs(20), async || {
            Ok(readers().await? == wanted)
        })
        .await
    };
    let mut open = Vec::new();
    for _ in 0..READERS {
        let mut answer = coordinator.api.get(&path).await?;
        first_block(&mut answer).await?;
        open.push(answer);
    }
    until(READERS).await?;
    open.truncate(READERS / 2);
    until(READERS / 2).await?;
    open.clear();
    until(0).await?;
    // Those who come later are served as ever.
    let mut answer = coordinator.api.get(&path).await?;
    assert!(first_block(&mut answer).await?.contains("event: request"));
    Ok(())
}
