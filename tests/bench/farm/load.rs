//! Clients of the farm: many requests at once, one at a time, and a pile that nobody works on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use atelier_proto::http::{Event, RequestState, RequestView, SubmitRequest};
use atelier_tests::Api;
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, future::try_join_all};

use crate::{farm::Farm, usage};

/// Submits under way at once.
const IN_FLIGHT: usize = 32;
/// Characters of a prompt: the payload of the plan job.
const PAYLOAD: usize = 2_000;
/// How often the number of requests that ended is asked for.
const POLL: Duration = Duration::from_millis(20);
/// How long nothing may end before a run is given up.
const STALLED: Duration = Duration::from_secs(60);

/// One throughput run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Requests.
    pub requests: usize,
    /// From the first submit to the last end.
    pub elapsed: Duration,
    /// Processor seconds by part.
    pub cpu: Vec<(&'static str, f64)>,
    /// Load average of the machine before it.
    pub load: f64,
}

impl Run {
    /// Requests per second.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Processor seconds per 1,000 requests, all parts.
    pub fn cpu_per_1000(&self) -> f64 {
        let sum: f64 = self.cpu.iter().map(|(_, seconds)| seconds).sum();
        sum / self.requests as f64 * 1_000.0
    }
}

/// A client of the farm's API as users have one.
#[derive(Clone)]
struct User(Api);

impl User {
    fn of(farm: &Farm) -> Result<Self> {
        Api::patient(&farm.server, Some(&farm.key), STALLED).map(Self)
    }

    async fn submit(&self) -> Result<RequestView> {
        self.0.submit(&request()).await
    }

    /// Follows the events of a request up to its end, as `atelier submit` does.
    async fn follow(&self, view: RequestView) -> Result<RequestState> {
        let answer = self.0.events(view.id).await?.error_for_status()?;
        let mut body = answer.bytes_stream();
        let mut text = String::new();
        while let Some(chunk) = body.next().await {
            text.push_str(&String::from_utf8_lossy(&chunk?));
            while let Some(end) = text.find('\n') {
                let line: String = text.drain(..=end).collect();
                let Some(data) = line.strip_prefix("data:") else {
                    continue;
                };
                if let Event::Request { request } = serde_json::from_str(data)?
                    && request.state.is_terminal()
                {
                    return Ok(request.state);
                }
            }
        }
        bail!("the events of {} ended before it did", view.id)
    }

    /// Requests that ended so far: all, and those with a picture.
    async fn ended(&self) -> Result<(usize, usize)> {
        let answer = self.0.get("/metrics").await?;
        let text = answer.error_for_status()?.text().await?;
        let (mut all, mut good) = (0, 0);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.rsplit_once(' ')
                && name.contains("requests_ended_total")
            {
                let count = value.parse::<f64>()? as usize;
                all += count;
                good += if name.contains("succeeded") { count } else { 0 };
            }
        }
        Ok((all, good))
    }
}

/// A request for the graph, with a payload that no compression makes smaller.
fn request() -> SubmitRequest {
    let mut random = [0_u8; PAYLOAD];
    rand::fill(&mut random);
    let mut prompt = format!(
        "[blend] [bytes:{PAYLOAD}] {}",
        BASE64_STANDARD.encode(random)
    );
    prompt.truncate(PAYLOAD);
    atelier_tests::prompt(&prompt)
}

/// Submits `requests`, [`IN_FLIGHT`] at once, and waits for the end of all.
pub async fn throughput(farm: &Farm, requests: usize) -> Result<Run> {
    let user = User::of(farm)?;
    let (before, good_before) = user.ended().await?;
    let load = usage::load_average();
    let cpu_before = farm.cpu();
    let started = Instant::now();
    submit_all(&user, requests).await?;
    let (mut last, mut moved) = (before, Instant::now());
    let good = loop {
        let (ended, good) = user.ended().await?;
        if ended >= before + requests {
            break good - good_before;
        }
        if ended > last {
            (last, moved) = (ended, Instant::now());
        }
        ensure!(
            moved.elapsed() < STALLED,
            "{} of {requests} requests ended, then nothing for {STALLED:?}",
            ended - before
        );
        tokio::time::sleep(POLL).await;
    };
    let elapsed = started.elapsed();
    ensure!(good == requests, "{good} of {requests} requests succeeded");
    let cpu = farm
        .cpu()
        .into_iter()
        .zip(cpu_before)
        .map(|((part, after), (_, before))| (part, after - before))
        .collect();
    Ok(Run {
        requests,
        elapsed,
        cpu,
        load,
    })
}

/// Milliseconds from submit to the notice of the end, one request at a time, sorted.
pub async fn latency(farm: &Farm, requests: usize) -> Result<Vec<f64>> {
    let user = User::of(farm)?;
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        let started = Instant::now();
        let state = user.follow(user.submit().await?).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(
            state == RequestState::Succeeded,
            "a request ended {}",
            state.as_str()
        );
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Submits `requests` to a farm without workers.
pub async fn pile_up(farm: &Farm, requests: usize) -> Result<()> {
    submit_all(&User::of(farm)?, requests)
        .await
        .context("piling up")
}

async fn submit_all(user: &User, requests: usize) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let lanes = (0..IN_FLIGHT).map(|_| {
        let (user, next) = (user.clone(), next.clone());
        async move {
            while next.fetch_add(1, Ordering::Relaxed) < requests {
                user.submit().await?;
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    try_join_all(lanes).await.map(drop)
}
