//! What is published of jobs that waited: of requests in memory without a look at their rows, and the same as rows tell.

use std::time::Duration;

use anyhow::{Result, ensure};
use atelier_proto::{
    http::SubmitRequest,
    job::{JobKind, Think, Work},
};
use atelier_tests::{
    Api, Sandbox,
    hand::{Hand, Taken},
    prompt,
};
use sqlx::Executor;

/// More than queue where no worker is heard.
const MANY: usize = 12;

const SOON: Duration = Duration::from_secs(15);

/// How long a job may take to come that is not held up.
const NOW: Duration = Duration::from_secs(2);

/// What the rows of jobs' requests have to be read for.
const HIDE: &str = "ALTER TABLE requests RENAME COLUMN prompt TO hidden";
const SHOW: &str = "ALTER TABLE requests RENAME COLUMN hidden TO prompt";

/// How often it is tried whether the coordinator knows by now that it is alone; it looks every 5 s.
const TRIES: usize = 10;

async fn submit(api: &Api, request: &SubmitRequest) -> Result<()> {
    for _ in 0..MANY {
        api.submit(request).await?;
    }
    Ok(())
}

/// Takes at most so many jobs into the hand, each within `patience`; each that it says to have makes room for the next.
async fn take(hand: &Hand, kind: JobKind, most: usize, patience: Duration) -> Result<Vec<Taken>> {
    let mut taken: Vec<Taken> = Vec::new();
    while taken.len() < most
        && let Ok(next) = hand.take(kind, patience).await
    {
        taken.push(next);
        let offers: Vec<_> = taken.iter().map(|taken| &taken.offer).collect();
        hand.beat(&offers).await?;
    }
    Ok(taken)
}

/// The work of jobs that came while nobody could read what their requests ask for, and of as many others that were read.
async fn recalled_and_read(
    request: &SubmitRequest,
    kind: JobKind,
) -> Result<(Vec<Work>, Vec<Work>)> {
    let work = |taken: Vec<Taken>| -> Vec<Work> {
        let offers = taken.into_iter().map(|taken| taken.offer);
        offers.map(|offer| offer.work).collect()
    };
    let sandbox = Sandbox::start().await?;
    let mut coordinator = sandbox.coordinator("one", &[])?;
    let hand = Hand::new(&sandbox).await?;
    let mut database = sandbox.database().await?;
    let mut recalled = Vec::new();
    for _ in 0..TRIES {
        submit(&coordinator.api, request).await?;
        database.execute(HIDE).await?;
        recalled = take(&hand, kind, MANY, NOW).await?;
        database.execute(SHOW).await?;
        if recalled.len() == MANY {
            break;
        }
        take(&hand, kind, usize::MAX, NOW).await?;
    }
    ensure!(recalled.len() == MANY, "{} came", recalled.len());
    submit(&coordinator.api, request).await?;
    coordinator.program.kill()?;
    coordinator.restart()?;
    let read = take(&hand, kind, MANY, SOON).await?;
    ensure!(read.len() == MANY, "{} were read", read.len());
    Ok((work(recalled), work(read)))
}

fn all_are_one(recalled: &[Work], read: &[Work]) {
    for work in recalled.iter().chain(read) {
        assert_eq!(*work, recalled[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_waited_are_published_from_memory_as_rows_tell_them() -> Result<()> {
    let request = SubmitRequest {
        think: Think::Full,
        think_tokens: Some(100),
        ..prompt("a cat")
    };
    let (recalled, read) = recalled_and_read(&request, JobKind::Plan).await?;
    all_are_one(&recalled, &read);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn drawings_that_waited_are_published_from_memory_as_rows_tell_them() -> Result<()> {
    let request = SubmitRequest {
        think: Think::Off,
        steps: Some(3),
        cache: Some(false),
        ..prompt("a cat")
    };
    let (recalled, read) = recalled_and_read(&request, JobKind::Render).await?;
    all_are_one(&recalled, &read);
    Ok(())
}
