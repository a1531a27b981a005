//! The workers: one job at a time each, and the longest idle last.

use atelier_domain::Millis;
use atelier_proto::WorkerId;

use super::agenda::Key;

/// One worker.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// Its id, new at every start.
    pub id: WorkerId,
    /// Whether its process runs.
    pub alive: bool,
    /// What it works on.
    pub job: Option<Work>,
    /// Counts up with every job and death, so that what was planned for an earlier one is told apart.
    pub run: u32,
    /// It hangs until then.
    pub hangs_until: Millis,
}

/// A job in a worker's hands.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Which attempt.
    pub key: Key,
    /// When it began.
    pub since: Millis,
    /// When it is done.
    pub until: Millis,
    /// Whether it is stopped, and will be given back.
    pub stopped: bool,
}

/// All workers.
#[derive(Debug)]
pub struct Workers {
    all: Vec<Worker>,
    /// Workers without a job; some may have died or got one since.
    idle: Vec<u32>,
    /// How many are alive, and how many of those have a job.
    pub alive: u32,
    /// How many have a job.
    pub busy: u32,
    started: u64,
}

impl Workers {
    /// `count` idle workers.
    pub fn new(count: u32) -> Self {
        let nobody = Worker {
            id: WorkerId::at(0, [0; 10]),
            alive: false,
            job: None,
            run: 0,
            hangs_until: 0,
        };
        let mut workers = Self {
            all: vec![nobody; count as usize],
            idle: Vec::new(),
            alive: 0,
            busy: 0,
            started: 0,
        };
        for number in 0..count {
            workers.start(number);
        }
        workers
    }

    /// One of them.
    pub fn get(&mut self, number: u32) -> &mut Worker {
        &mut self.all[number as usize]
    }

    /// Starts a worker that is not alive, under a new id.
    pub fn start(&mut self, number: u32) {
        self.started += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.started.to_be_bytes());
        let worker = &mut self.all[number as usize];
        worker.id = WorkerId::at(0, random);
        worker.alive = true;
        worker.hangs_until = 0;
        self.alive += 1;
        self.idle.push(number);
    }

    /// An idle worker.
    pub fn take_idle(&mut self) -> Option<u32> {
        while let Some(number) = self.idle.pop() {
            let worker = &self.all[number as usize];
            if worker.alive && worker.job.is_none() {
                return Some(number);
            }
        }
        None
    }

    /// Puts back what [`Workers::take_idle`] gave.
    pub fn put_back(&mut self, number: u32) {
        self.idle.push(number);
    }

    /// Gives an idle worker a job; returns the number of its run.
    pub fn begin(&mut self, number: u32, work: Work) -> u32 {
        let worker = &mut self.all[number as usize];
        worker.job = Some(work);
        worker.run += 1;
        self.busy += 1;
        worker.run
    }

    /// The worker is idle again.
    pub fn free(&mut self, number: u32) {
        let worker = &mut self.all[number as usize];
        if worker.job.take().is_some() {
            self.busy -= 1;
            self.idle.push(number);
        }
    }

    /// The worker dies; returns what it worked on.
    pub fn kill(&mut self, number: u32) -> Option<Work> {
        let worker = &mut self.all[number as usize];
        worker.alive = false;
        worker.run += 1;
        self.alive -= 1;
        let work = worker.job.take();
        self.busy -= u32::from(work.is_some());
        work
    }
}
