//! The parts of the model farm, and what each operation does to them.

mod coordinator;
mod worker;

use std::collections::BTreeMap;

use atelier_domain::{Event, Millis, Outcome, Policy, Request, State};
use atelier_proto::{JobId, RequestId, WorkerId, job::JobKind};

use super::{Answer, Broken, Op, Publish, promises::Promises, stream::Stream};
use crate::shapes::Shape;

/// Milliseconds between two turns of everybody once the faults stop.
const TURN_MS: u64 = 2_500;
/// Turns after which a request that has not ended never will.
const TURNS: u32 = 400;

/// Precautions of the farm that tests switch off, to see that they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// Leases are looked at, and messages of streams that are gone are made up for.
    pub sweep: bool,
    /// A role for which nothing waits in the stream has read all of it, whatever number it was given last.
    pub empty_is_read: bool,
}

impl Default for Care {
    fn default() -> Self {
        Self {
            sweep: true,
            empty_is_read: true,
        }
    }
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    epoch: u64,
    sequence: u64,
}

/// All that survives: requests with their jobs, and where messages of jobs are.
#[derive(Clone, Debug, Default)]
struct Database {
    requests: BTreeMap<RequestId, Request>,
    places: BTreeMap<JobId, Place>,
}

/// A job that a coordinator has marked and is about to publish.
#[derive(Clone, Copy, Debug)]
struct Claim {
    request: RequestId,
    job: JobId,
    kind: JobKind,
    attempt: u32,
    epoch: u64,
}

/// What a coordinator keeps in memory.
#[derive(Clone, Debug, Default)]
struct Coordinator {
    /// Epoch of the stream as it last saw it, 0 before it did.
    epoch: u64,
    claims: Vec<Claim>,
    posted: BTreeMap<JobId, (u32, Place)>,
}

/// A job in a worker's hands.
#[derive(Clone, Debug)]
struct Held {
    request: RequestId,
    job: JobId,
    attempt: u32,
    place: Place,
    /// Its report, once it is done.
    outcome: Option<Outcome>,
}

#[derive(Clone, Debug)]
struct Worker {
    id: WorkerId,
    held: Vec<Held>,
}

/// A report under way.
#[derive(Clone, Debug)]
struct Report {
    worker: WorkerId,
    request: RequestId,
    job: JobId,
    attempt: u32,
    outcome: Outcome,
}

/// The farm.
#[derive(Clone, Debug)]
pub struct Farm {
    care: Care,
    policy: Policy,
    now: Millis,
    /// Counts up; everything that needs a name of its own takes one.
    names: u64,
    shapes: [Shape; 5],
    shape_of: BTreeMap<RequestId, usize>,
    database: Database,
    stream: Option<Stream>,
    coordinators: [Coordinator; 2],
    workers: [Worker; 3],
    reports: Vec<Report>,
    promises: Promises,
}

fn pick<T>(from: &[T], number: usize) -> Option<usize> {
    (!from.is_empty()).then(|| number % from.len())
}

fn random_part(number: u64) -> [u8; 10] {
    let mut part = [0; 10];
    part[2..].copy_from_slice(&number.to_be_bytes());
    part
}

impl Farm {
    /// A farm without requests.
    pub fn new(care: Care) -> Self {
        let mut farm = Self {
            care,
            policy: Policy::default(),
            now: 1_000_000,
            names: 0,
            shapes: [
                Shape::prompt(),
                Shape::picture(0, 1),
                Shape::picture(2, 2),
                Shape::blended(1, 3),
                Shape::picture(2, 3).with_candidates(2),
            ],
            shape_of: BTreeMap::new(),
            database: Database::default(),
            stream: None,
            coordinators: Default::default(),
            workers: [0; 3].map(|_| Worker {
                id: WorkerId::at(0, [0; 10]),
                held: Vec::new(),
            }),
            reports: Vec::new(),
            promises: Promises::default(),
        };
        for worker in 0..farm.workers.len() {
            farm.kill_worker(worker);
        }
        farm
    }

    /// Does `op`, and checks every promise after it.
    pub fn step(&mut self, op: Op) -> Result<(), Broken> {
        match op {
            Op::Wait { ms } => self.now += ms,
            Op::Submit { shape } => self.submit(shape % self.shapes.len()),
            Op::Cancel { request } => {
                let ids: Vec<_> = self.database.requests.keys().copied().collect();
                if let Some(index) = pick(&ids, request) {
                    let reason = "by the user".to_owned();
                    self.settle_event(0, ids[index], Event::Canceled { reason })?;
                }
            }
            Op::Claim { coordinator, job } => self.claim(coordinator % 2, job)?,
            Op::Publish {
                coordinator,
                claim,
                how,
            } => self.publish(coordinator % 2, claim, how)?,
            Op::Look { coordinator } => self.look(coordinator % 2)?,
            Op::Reconcile { coordinator } => self.reconcile(coordinator % 2)?,
            Op::RestartCoordinator { coordinator } => {
                self.coordinators[coordinator % 2] = Coordinator::default();
            }
            Op::Deliver { worker, message } => {
                let messages = self.stream.as_ref().map_or(&[][..], Stream::messages);
                if let Some(index) = pick(messages, message) {
                    let sequence = messages[index].sequence;
                    self.deliver(worker % 3, sequence);
                }
            }
            Op::Heartbeat { worker, device } => self.heartbeat(worker % 3, device)?,
            Op::Finish { worker, job, ends } => self.finish(worker % 3, job, ends),
            Op::Repeat { worker, job } => {
                let worker = &self.workers[worker % 3];
                if let Some(index) = pick(&worker.held, job) {
                    self.reports.extend(worker.held[index].report(worker.id));
                }
            }
            Op::Report { report, answer } => {
                if let Some(index) = pick(&self.reports, report) {
                    let report = self.reports.remove(index);
                    self.report(report, answer)?;
                }
            }
            Op::KillWorker { worker } => self.kill_worker(worker % 3),
            Op::DropMessage { message } => {
                if let Some(stream) = &mut self.stream
                    && let Some(index) = pick(stream.messages(), message)
                {
                    let sequence = stream.messages()[index].sequence;
                    stream.remove(sequence);
                }
            }
            Op::WipeStream => self.stream = None,
        }
        self.promises.check(&self.database.requests)
    }

    /// From now on everybody works as they should: every request must end.
    pub fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..TURNS {
            self.now += TURN_MS;
            for coordinator in 0..2 {
                self.look(coordinator)?;
                self.reconcile(coordinator)?;
                while self.claim_first(coordinator)? {}
                while !self.coordinators[coordinator].claims.is_empty() {
                    self.publish(coordinator, 0, Publish::Done)?;
                }
            }
            for worker in 0..3 {
                self.deliver_all(worker);
                self.heartbeat(worker, 0)?;
                while self.workers[worker]
                    .held
                    .iter()
                    .any(|held| held.outcome.is_none())
                {
                    self.finish_next(worker);
                }
            }
            for report in std::mem::take(&mut self.reports) {
                self.report(report, Answer::Heard)?;
            }
            for worker in 0..3 {
                for held in self.workers[worker].held.clone() {
                    self.reports.extend(held.report(self.workers[worker].id));
                }
            }
            self.promises.check(&self.database.requests)?;
            if self.active().next().is_none() {
                return Ok(());
            }
        }
        let (id, request) = self.active().next().expect("it would have returned above");
        Err(Broken::Stuck(*id, format!("{:?}", request.jobs)))
    }

    /// How many requests there are, and how many of them are active.
    pub fn count(&self) -> (usize, usize) {
        (self.database.requests.len(), self.active().count())
    }

    fn active(&self) -> impl Iterator<Item = (&RequestId, &Request)> {
        self.database
            .requests
            .iter()
            .filter(|(_, request)| request.state == State::Active)
    }

    fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }
}

impl Held {
    fn report(&self, worker: WorkerId) -> Option<Report> {
        Some(Report {
            worker,
            request: self.request,
            job: self.job,
            attempt: self.attempt,
            outcome: self.outcome.clone()?,
        })
    }
}
