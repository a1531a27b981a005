//! People who use the farm meanwhile: a submit at every tick, to one coordinator after the other; whoever is not answered asks the next one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use atelier_proto::{
    RequestId,
    http::{RequestState, RequestView},
};
use atelier_tests::{Api, prompt};
use reqwest::StatusCode;
use tokio::{sync::Notify, task::JoinSet};

use crate::report::Phase;

/// Whoever is not served after this long takes it for lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions of one user.
const LOOK: Duration = Duration::from_millis(20);

/// A request as its user saw it.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// When it was submitted.
    pub phase: Phase,
    /// From the first try to its end.
    pub took: Duration,
    /// Tries that nobody answered, or that were answered with "not now".
    pub repeated: u32,
}

/// The users.
pub struct Load {
    phase: Arc<AtomicU8>,
    stop: Arc<Notify>,
    users: tokio::task::JoinHandle<Result<Vec<Served>>>,
}

impl Load {
    /// Begins to submit `rate` requests a second.
    pub fn start(apis: Vec<Api>, rate: u32) -> Self {
        let phase = Arc::new(AtomicU8::new(Phase::Before as u8));
        let stop = Arc::new(Notify::new());
        let users = tokio::spawn(submit_all(apis, rate, phase.clone(), stop.clone()));
        Self { phase, stop, users }
    }

    /// What is submitted from now on belongs to `phase`.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Submits no more and waits for what is under way; fails when anybody was not served.
    pub async fn stop(self) -> Result<Vec<Served>> {
        self.stop.notify_one();
        self.users.await?
    }
}

async fn submit_all(
    apis: Vec<Api>,
    rate: u32,
    phase: Arc<AtomicU8>,
    stop: Arc<Notify>,
) -> Result<Vec<Served>> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut users = JoinSet::new();
    let mut number = 0_usize;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.notified() => break,
        }
        let mut apis = apis.clone();
        let first = number % apis.len();
        apis.rotate_left(first);
        let phase = Phase::of(phase.load(Ordering::Relaxed));
        users.spawn(async move {
            let one = serve(&apis, phase, number).await;
            one.with_context(|| format!("request {number}"))
        });
        number += 1;
    }
    let mut served = Vec::with_capacity(number);
    while let Some(one) = users.join_next().await {
        served.push(one??);
    }
    Ok(served)
}

/// One user: submits until it is accepted, then looks until it ended.
async fn serve(apis: &[Api], phase: Phase, number: usize) -> Result<Served> {
    let started = Instant::now();
    let mut repeated = 0;
    let mut turn = 0;
    let key = format!("rolling-{number}");
    let mut body = prompt("a cat and a red balloon");
    body.seed = Some(number as u64);
    let accepted: RequestView = loop {
        let answer = apis[turn % apis.len()]
            .post("/v1/requests", &body, Some(&key))
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => break answer.json().await?,
            Ok(answer) if answer.status() != StatusCode::SERVICE_UNAVAILABLE => {
                bail!("refused with {}: {}", answer.status(), answer.text().await?)
            }
            Ok(_) | Err(_) => {}
        }
        (turn, repeated) = (turn + 1, repeated + 1);
        wait(started).await?;
    };
    loop {
        match look(&apis[turn % apis.len()], accepted.id).await {
            Some(view) if view.state == RequestState::Succeeded => {
                return Ok(Served {
                    phase,
                    took: started.elapsed(),
                    repeated,
                });
            }
            Some(view) if view.state.is_terminal() => {
                bail!("ended {:?}: {:?}", view.state, view.reason)
            }
            Some(_) => {}
            None => turn += 1,
        }
        wait(started).await?;
    }
}

async fn look(api: &Api, id: RequestId) -> Option<RequestView> {
    let answer = api.get(&format!("/v1/requests/{id}")).await.ok()?;
    answer.json().await.ok()
}

async fn wait(started: Instant) -> Result<()> {
    if started.elapsed() > PATIENCE {
        bail!("not served within {PATIENCE:?}");
    }
    tokio::time::sleep(LOOK).await;
    Ok(())
}
