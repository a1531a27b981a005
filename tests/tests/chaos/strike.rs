//! Carries faults out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use async_nats::{Client, jetstream};
use atelier_proto::job::JobKind;
use atelier_tests::{Mood, Program};
use tokio::task::{JoinSet, block_in_place};

use crate::{
    farm::{Farm, MODEL, worker_id},
    load::Users,
    schedule::{Fault, Kind},
    tap::Tap,
    wishes::poison,
};

/// How long a fault waits for something that it can hit, for example a message in the stream.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(20);
/// A worker that holds a job over which another fell silent is spared this long: two lost in a row rightly park the job.
const SPARED: Duration = Duration::from_secs(3);
/// How long the end of a poisoned request is waited for.
const PARKED_WITHIN: Duration = Duration::from_secs(25);
/// How much later requests to a slow store arrive.
const SLOW: Duration = Duration::from_millis(150);

/// A fault that happened.
#[derive(Clone, Debug)]
pub struct Done {
    /// What was planned.
    pub fault: Fault,
    /// When it began and ended.
    pub during: (Instant, Instant),
    /// Why it could not be done, if so.
    pub missed: Option<String>,
}

/// Who carries faults out. Clones are the same.
#[derive(Clone)]
pub struct Striker {
    farm: Arc<Farm>,
    users: Users,
    tap: Tap,
    client: Client,
    poisons: Arc<AtomicU32>,
}

impl Striker {
    /// Strikes `farm`.
    pub fn new(farm: Arc<Farm>, users: Users, tap: Tap, client: Client) -> Self {
        Self {
            farm,
            users,
            tap,
            client,
            poisons: Arc::default(),
        }
    }

    /// Carries out every fault at its time since `start`; returns when the last is over.
    pub async fn run(&self, start: Instant, faults: Vec<Fault>) -> Vec<Done> {
        let mut under_way = JoinSet::new();
        for fault in faults {
            tokio::time::sleep_until((start + fault.at).into()).await;
            let striker = self.clone();
            under_way.spawn(async move {
                let began = Instant::now();
                let struck = striker.strike(&fault).await;
                let missed = struck.as_ref().err().map(|error| format!("{error:#}"));
                eprintln!(
                    "{fault}  {}",
                    struck.unwrap_or_else(|error| format!("NOT DONE: {error:#}"))
                );
                Done {
                    fault,
                    during: (began, Instant::now()),
                    missed,
                }
            });
        }
        under_way.join_all().await
    }

    /// Does it; says to whom.
    async fn strike(&self, fault: &Fault) -> Result<String> {
        let farm = &self.farm;
        let (victim, length) = (fault.victim, fault.length);
        match fault.kind {
            Kind::KillCoordinator => {
                let mut program = farm.coordinators[victim % farm.coordinators.len()]
                    .lock()
                    .await;
                kill(&mut program, length).await
            }
            Kind::KillWorker => {
                let mut program = farm.workers[victim % farm.workers.len()].lock().await;
                self.spare(&program).await;
                kill(&mut program, length).await
            }
            Kind::StopCoordinator => {
                let program = farm.coordinators[victim % farm.coordinators.len()]
                    .lock()
                    .await;
                stop(&program, length).await
            }
            Kind::StopWorker => {
                let program = farm.workers[victim % farm.workers.len()].lock().await;
                self.spare(&program).await;
                stop(&program, length).await
            }
            Kind::KillNats | Kind::WipeNats => self.end_nats(fault).await,
            Kind::KillPostgres => {
                let mut postgres = farm.postgres.lock().await;
                block_in_place(|| postgres.kill())?;
                tokio::time::sleep(length).await;
                block_in_place(|| postgres.start_again())?;
                Ok(String::new())
            }
            Kind::RestartPostgres => {
                let mut postgres = farm.postgres.lock().await;
                block_in_place(|| postgres.shut_down())?;
                tokio::time::sleep(length).await;
                block_in_place(|| postgres.start_again())?;
                Ok(String::new())
            }
            Kind::KillStore => {
                let mut seaweed = farm.seaweed.lock().await;
                seaweed.kill()?;
                tokio::time::sleep(length).await;
                let starting = Instant::now();
                seaweed.start_again().await?;
                let took = starting.elapsed().as_secs_f64();
                Ok(format!("it took {took:.1} s to come back"))
            }
            Kind::DeleteStream => self.delete_stream().await,
            Kind::DeleteConsumer => self.delete_consumer(JobKind::ALL[victim % 3]).await,
            Kind::DropMessages => self.drop_messages(victim).await,
            Kind::DuplicateJob => {
                let (subject, bytes) = self.heard(|| self.tap.job(victim)).await?;
                let shown = subject.to_string();
                self.client.publish(subject, bytes.into()).await?;
                self.client.flush().await?;
                Ok(shown)
            }
            Kind::DuplicateReport => {
                let (subject, bytes) = self.heard(|| self.tap.report(victim)).await?;
                let shown = subject.to_string();
                let inbox = self.client.new_inbox();
                // Whatever a coordinator answers, nobody reads it.
                self.client
                    .publish_with_reply(subject, inbox, bytes.into())
                    .await?;
                self.client.flush().await?;
                Ok(shown)
            }
            Kind::DelayResults => {
                let index = victim % farm.workers.len();
                // Held, so that nobody kills it meanwhile: then nothing would be late.
                let program = farm.workers[index].lock().await;
                self.spare(&program).await;
                farm.wires[index].hold();
                tokio::time::sleep(length).await;
                farm.wires[index].release();
                Ok(program.name().to_owned())
            }
            Kind::CutConnection => {
                let index = victim % farm.wires.len();
                farm.wires[index].cut();
                Ok(format!("worker-{}", index + 1))
            }
            Kind::StoreRefuses => self.store(Mood::Refuse(503, "SlowDown"), length).await,
            Kind::StoreFull => {
                self.store(Mood::Refuse(507, "InsufficientStorage"), length)
                    .await
            }
            Kind::StoreSlow => self.store(Mood::Slow(SLOW), length).await,
            Kind::StoreLosesAnswers => self.store(Mood::LoseAnswers, length).await,
            Kind::PoisonJob => {
                let number = self.poisons.fetch_add(1, Ordering::Relaxed);
                let wish = poison(number, victim);
                let shown = format!("number {}", wish.number);
                // Not for ever: whether it ended at all is judged at the end.
                let _ = tokio::time::timeout(PARKED_WITHIN, self.users.one(wish)).await;
                Ok(shown)
            }
        }
    }

    /// Waits until the worker holds no job over which another one fell silent, and remembers that this one was struck.
    async fn spare(&self, program: &Program) {
        // One that is just starting holds nothing.
        let Ok(worker) = worker_id(program) else {
            return;
        };
        let until = Instant::now() + SPARED;
        while Instant::now() < until && self.farm.holds_an_orphan(worker).await.unwrap_or(false) {
            tokio::time::sleep(LOOK).await;
        }
        self.farm.note_struck(worker);
    }

    async fn end_nats(&self, fault: &Fault) -> Result<String> {
        let mut nats = self.farm.nats.lock().await;
        block_in_place(|| nats.kill())?;
        if fault.kind == Kind::WipeNats {
            nats.wipe()?;
        }
        tokio::time::sleep(fault.length).await;
        block_in_place(|| nats.start_again())?;
        Ok(String::new())
    }

    async fn store(&self, mood: Mood, length: Duration) -> Result<String> {
        let gate = self.farm.gate.lock().await;
        let before = gate.disturbed();
        gate.set(mood);
        tokio::time::sleep(length).await;
        gate.set(Mood::Open);
        let disturbed = gate.disturbed() - before;
        ensure!(disturbed > 0, "nobody came to the store meanwhile");
        Ok(format!("{disturbed} requests"))
    }

    async fn delete_stream(&self) -> Result<String> {
        let name = self.farm.names.jobs_stream();
        eventually(|| async {
            let deleted = self.jetstream().delete_stream(&name).await?;
            ensure!(deleted.success, "{name} was not deleted");
            Ok(name.clone())
        })
        .await
    }

    async fn delete_consumer(&self, kind: JobKind) -> Result<String> {
        let names = &self.farm.names;
        let consumer = names.consumer(kind, MODEL);
        eventually(|| async {
            let stream = self.jetstream().get_stream(names.jobs_stream()).await?;
            stream.delete_consumer(&consumer).await?;
            Ok(consumer.clone())
        })
        .await
    }

    /// Takes out whatever there is of one role; of another one when there is none.
    async fn drop_messages(&self, victim: usize) -> Result<String> {
        let names = &self.farm.names;
        eventually(|| async {
            let stream = self.jetstream().get_stream(names.jobs_stream()).await?;
            for offset in 0..JobKind::ALL.len() {
                let kind = JobKind::ALL[(victim + offset) % JobKind::ALL.len()];
                let purged = stream.purge().filter(names.jobs_of(kind, MODEL)).await?;
                if purged.purged > 0 {
                    return Ok(format!("{} of {}", purged.purged, kind.as_str()));
                }
            }
            bail!("the stream is empty")
        })
        .await
    }

    /// A message, once there was one.
    async fn heard<T>(&self, message: impl Fn() -> Option<T>) -> Result<T> {
        eventually(|| std::future::ready(message().context("nothing was heard yet"))).await
    }

    fn jetstream(&self) -> jetstream::Context {
        let mut jetstream = jetstream::new(self.client.clone());
        jetstream.set_timeout(Duration::from_secs(2));
        jetstream
    }
}

async fn kill(program: &mut Program, down: Duration) -> Result<String> {
    // It may be dead already, of a poisoned job.
    if program.is_running() {
        program.kill()?;
    } else {
        program.reap()?;
    }
    tokio::time::sleep(down).await;
    program.launch(&[])?;
    Ok(program.name().to_owned())
}

async fn stop(program: &Program, length: Duration) -> Result<String> {
    program.freeze()?;
    tokio::time::sleep(length).await;
    program.resume()?;
    Ok(program.name().to_owned())
}

/// Tries until it works: what is struck may be away because of another fault.
async fn eventually<T, F: Future<Output = Result<T>>>(attempt: impl Fn() -> F) -> Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}
