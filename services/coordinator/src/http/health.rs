//! Whether the process lives, whether it can work, and what it counted.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

use atelier_platform::{pulse, telemetry::metrics::CONTENT_TYPE};
use atelier_proto::http::{Health, LoopHealth, PartReadiness, PartState, Readiness};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

use super::Api;
use crate::farm::Farm;

/// A part that takes longer than this is not ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET /healthz`: every loop turns. It does not ask others, since a restart would not mend them.
pub async fn live(State(api): State<Api>) -> (StatusCode, Json<Health>) {
    told(&api.farm.pulses.read())
}

/// What is said of loops that do so.
fn told(readings: &[pulse::Reading]) -> (StatusCode, Json<Health>) {
    let health = Health {
        ok: !readings.iter().any(pulse::Reading::is_late),
        loops: readings.iter().map(shown).collect(),
    };
    (status(health.ok), Json(health))
}

/// `GET /readyz`: database, NATS, the stream of jobs and the object store answer.
pub async fn ready(State(api): State<Api>) -> (StatusCode, Json<Readiness>) {
    let farm = &api.farm;
    let instance = format!("coordinator-{}", std::process::id());
    let parts: [PartReadiness; 4] = tokio::join!(
        part("database", farm.store.ping()),
        part("nats", connected(farm)),
        part("stream", farm.bus.jobs_stream()),
        part("store", farm.artifacts.probe(&instance)),
    )
    .into();
    let stopping = api.stop.is_cancelled();
    let ready = Readiness {
        ready: !stopping && parts.iter().all(|part| part.state == PartState::Ok),
        stopping,
        parts: parts.into(),
    };
    (status(ready.ready), Json(ready))
}

/// `GET /metrics`: Prometheus text.
pub async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, CONTENT_TYPE)],
        api.registry.render(),
    )
}

fn shown(reading: &pulse::Reading) -> LoopHealth {
    LoopHealth {
        name: reading.name.to_owned(),
        age_s: reading.age.as_secs_f64(),
        limit_s: reading.longest.as_secs_f64(),
    }
}

async fn connected(farm: &Farm) -> Result<(), &'static str> {
    if farm.bus.is_connected() {
        Ok(())
    } else {
        Err("the connection is down")
    }
}

/// Asks one part; why it fails is logged and not told, as with every error.
async fn part<T, E: Display>(
    name: &'static str,
    answer: impl Future<Output = Result<T, E>>,
) -> PartReadiness {
    let started = Instant::now();
    let state = match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(_)) => PartState::Ok,
        Ok(Err(error)) => {
            tracing::warn!(part = name, %error, "not ready");
            PartState::Failed
        }
        Err(_) => {
            tracing::warn!(part = name, "not ready: no answer");
            PartState::Silent
        }
    };
    PartReadiness {
        name: name.to_owned(),
        state,
        ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

fn status(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loop_that_hangs_is_enough_to_be_started_anew() {
        let longest = Duration::from_secs(90);
        let of_age = |name, age| pulse::Reading {
            name,
            age: Duration::from_secs(age),
            longest,
        };
        let told = |ages: [u64; 2]| {
            let [dispatch, collect] = ages;
            told(&[of_age("dispatch", dispatch), of_age("collect", collect)])
        };
        // As long as a turn may take is not too long.
        let (status, Json(health)) = told([0, 90]);
        assert_eq!((status, health.ok), (StatusCode::OK, true));
        let (status, Json(health)) = told([0, 91]);
        assert_eq!(
            (status, health.ok),
            (StatusCode::SERVICE_UNAVAILABLE, false)
        );
        // Whoever looks sees which.
        let hangs: Vec<_> = health
            .loops
            .iter()
            .filter(|one| one.age_s > one.limit_s)
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(hangs, ["collect"]);
    }
}
