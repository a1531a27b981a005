//! Liveness: heartbeats and progress extend leases and say what is on a device, many in one statement. One coordinator of the group hears each.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use atelier_proto::{
    JobId, WorkerId, decode, encode,
    signal::{Cancel, Heartbeat, Progress},
};
use futures::StreamExt;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::LONGEST_TURN;
use crate::{
    farm::Farm,
    store::{Extension, Phase, StoreError},
};

/// Signs of life are gathered this long.
const GATHER: Duration = Duration::from_millis(250);

/// Runs until `stop`.
pub async fn run(farm: Farm, stop: CancellationToken) -> anyhow::Result<()> {
    let names = farm.bus.names();
    let group = Some(names.coordinators());
    let mut heartbeats = farm
        .bus
        .subscribe(names.all_heartbeats(), group.clone())
        .await?;
    let mut progress = farm.bus.subscribe(names.all_progress(), group).await?;
    let pulse = farm.pulses.watch("liveness", LONGEST_TURN);
    let mut alive = Alive::default();
    let mut tick = tokio::time::interval(GATHER);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(message) = heartbeats.next() => match decode::<Heartbeat>(&message.payload) {
                Ok(heartbeat) => alive.heartbeat(heartbeat.body),
                Err(_) => farm.metrics.malformed.with_label_values(&["heartbeat"]).inc(),
            },
            Some(message) = progress.next() => match decode::<Progress>(&message.payload) {
                Ok(progress) => alive.progress(progress.body),
                Err(_) => farm.metrics.malformed.with_label_values(&["progress"]).inc(),
            },
            _ = tick.tick() => {
                pulse.beat();
                alive.0.retain(|job, sign| !farm.reported.has(*job, sign.attempt));
                farm.reported.forget_old();
                if alive.0.is_empty() {
                    continue;
                }
                if let Err(error) = write(&farm, &mut alive).await {
                    tracing::warn!(%error, "leases were not extended");
                }
            }
        }
    }
}

/// Extends leases, and tells workers once more to drop what was canceled: they may not have heard it the first time. What could not be written
/// of jobs on a device is kept: a worker that began a job and died at once says it only this once.
async fn write(farm: &Farm, alive: &mut Alive) -> Result<(), StoreError> {
    let mut gathered = std::mem::take(&mut alive.0);
    let batch: Vec<_> = gathered.values().copied().collect();
    let extended = match farm.store.extend(&batch, farm.policy.lease_ms).await {
        Ok(extended) => extended,
        Err(error) => {
            let begun = batch.into_iter().filter(|one| one.phase > Phase::Held);
            begun.for_each(|extension| alive.add(extension));
            return Err(error);
        }
    };
    if extended.written > 0 {
        // A job that left the queue makes room in it.
        farm.ready.notify_one();
    }
    let missed = extended.missed.iter();
    let again = missed.filter_map(|job| gathered.remove(job));
    again.for_each(|extension| alive.add(extension));
    for request in farm.store.canceled_among(&batch).await? {
        let message = encode(&Cancel { request }, None);
        if let Err(error) = farm.bus.publish(farm.bus.names().cancel(), message).await {
            tracing::debug!(%request, %error, "workers were not told to stop");
        }
    }
    Ok(())
}

/// Signs of life since the last tick, one a job.
#[derive(Default)]
struct Alive(HashMap<JobId, Extension>);

impl Alive {
    fn heartbeat(&mut self, heartbeat: Heartbeat) {
        let worker = heartbeat.worker;
        self.add_all(worker, &heartbeat.holding, Phase::Held);
        self.add_all(worker, &heartbeat.on_device, Phase::Begun);
        self.add_all(worker, &heartbeat.computed, Phase::Computed);
    }

    fn progress(&mut self, progress: Progress) {
        let worker = progress.worker;
        self.add(Extension {
            job: progress.job,
            request: Some(progress.request),
            attempt: progress.attempt,
            worker,
            phase: Phase::Begun,
        });
        self.add_all(worker, &progress.computed, Phase::Computed);
    }

    fn add_all(&mut self, worker: WorkerId, jobs: &[(JobId, u32)], phase: Phase) {
        for &(job, attempt) in jobs {
            self.add(Extension {
                job,
                request: None,
                attempt,
                worker,
                phase,
            });
        }
    }

    /// Keeps the sign of the latest attempt, and of that one how far it is at most: signs overtake each other.
    fn add(&mut self, extension: Extension) {
        match self.0.entry(extension.job) {
            Entry::Vacant(place) => {
                place.insert(extension);
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.attempt > extension.attempt {
                    return;
                }
                let mut phase = extension.phase;
                if known.attempt == extension.attempt {
                    if known.worker == extension.worker {
                        phase = phase.max(known.phase);
                    } else if known.phase == Phase::Begun {
                        return;
                    }
                }
                *known = Extension {
                    phase,
                    request: extension.request.or(known.request),
                    ..extension
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(attempt: u32, worker: u8, phase: Phase) -> Extension {
        Extension {
            job: JobId::at(1, [1; 10]),
            request: None,
            attempt,
            worker: WorkerId::at(1, [worker; 10]),
            phase,
        }
    }

    #[test]
    fn the_latest_attempt_counts_and_nothing_goes_back_to_the_device() {
        let mut alive = Alive::default();
        for (said, kept) in [
            (sign(1, 1, Phase::Held), sign(1, 1, Phase::Held)),
            (sign(1, 1, Phase::Computed), sign(1, 1, Phase::Computed)),
            (sign(1, 1, Phase::Begun), sign(1, 1, Phase::Computed)),
            (sign(2, 2, Phase::Held), sign(2, 2, Phase::Held)),
            (sign(1, 1, Phase::Begun), sign(2, 2, Phase::Held)),
            (sign(2, 2, Phase::Begun), sign(2, 2, Phase::Begun)),
            (sign(2, 3, Phase::Held), sign(2, 2, Phase::Begun)),
        ] {
            alive.add(said);
            assert_eq!(alive.0.get(&said.job), Some(&kept));
        }
    }
}
