//! The farm: its parts, and what every happening does to them.

mod dispatch;
mod faults;
mod records;
mod work;

use std::collections::{HashMap, VecDeque};

use atelier_domain::{
    Event, Millis, Policy, Request,
    fair::{self, Lane, Tag},
};
use atelier_proto::job::Priority;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    Config,
    agenda::{Agenda, Happening, Key},
    arrivals::{Arrivals, Submit},
    fairness::Fairness,
    histogram::Histogram,
    rates::{Loop, Of, Rates},
    stream::Stream,
    tally::Tally,
    workers::Workers,
};

/// Between two looks of a coordinator's loops.
const TICK_MS: Millis = 1_000;
/// What a worker needs to notice that a job is to stop.
const STEP_MS: Millis = 500;
/// After which a report is sent again that was not answered.
const REPEAT_MS: Millis = 1_000;
/// How long a dead worker takes to start again.
const RESTART_MS: Millis = 60_000;
/// How long a hanging worker hangs, at least and at most.
const HANG_MS: std::ops::Range<Millis> = 15_000..60_000;
/// How long requests that ended are remembered, so that what comes late finds them.
const MEMORY_MS: Millis = 120_000;
/// Once nothing at all happened for this long, nothing ever will.
const STILL_MS: Millis = 3_600_000;
/// Most jobs of a kind that are published ahead for each worker, and the work that is, in milliseconds.
const MOST_AHEAD: f64 = 256.0;
const AHEAD_MS: f64 = 2_000.0;
/// Shares are compared over a 144th of the day, but at least over this.
const WINDOW_MS: Millis = 60_000;
/// Groups of tenants in tables.
const GROUPS: usize = Arrivals::GROUPS.len();

/// Where the current attempt of a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// There is none.
    Nowhere,
    /// In the stream.
    Queued,
    /// It was published and is not in the stream any more, although nobody got it.
    Vanished,
    /// In a worker's hands.
    Worker(u32),
    /// It went down with its worker.
    Silent,
}

/// A request as long as anything may still come for it.
#[derive(Debug)]
struct Live {
    request: Request,
    submit: Submit,
    accepted: Millis,
    tag: Tag,
    begun: bool,
    places: Vec<Where>,
}

impl Live {
    fn place(&mut self, index: u32) -> &mut Where {
        let index = index as usize;
        if self.places.len() <= index {
            self.places
                .resize(self.request.jobs.len().max(index + 1), Where::Nowhere);
        }
        &mut self.places[index]
    }

    fn job(&self, key: Key) -> &atelier_domain::Job {
        &self.request.jobs[key.index as usize]
    }
}

/// The whole farm.
pub struct Farm {
    config: Config,
    policy: Policy,
    now: Millis,
    agenda: Agenda,
    arrivals: Arrivals,
    rng: ChaCha8Rng,
    live: HashMap<u32, Box<Live>>,
    ended: VecDeque<(Millis, u32)>,
    submitted: u32,
    active: u32,
    shares: fair::Shares<u32>,
    ready: [Lane<Key>; 3],
    stream: Stream,
    /// Jobs of each kind that are dispatched and in nobody's hands.
    queued: [u32; 3],
    /// Jobs whose messages went down with the stream.
    orphans: Vec<Key>,
    workers: Workers,
    /// Workers whose reports nobody hears at the moment, with their runs.
    unheard: Vec<(u32, u32)>,
    broker_up: bool,
    /// Since when the coordinators hear workers without a break.
    heard_since: Millis,
    last_progress: Millis,
    /// What is counted.
    pub tally: Tally,
    /// Rates of database, stream and store.
    pub rates: Rates,
    /// Who gets what.
    pub fairness: Fairness,
    /// From submit to the first worker, by class and group of tenants.
    pub waits: [[Histogram; GROUPS]; 3],
    /// From submit to success, by class.
    pub totals: [Histogram; 3],
    /// Busy and living workers, summed up over the seconds of the day.
    pub busy: (u64, u64),
}

impl Farm {
    /// The farm on the morning of the day.
    pub fn new(config: &Config) -> Self {
        let arrivals = Arrivals::new(config);
        let day = arrivals.day();
        let request_ms = arrivals.seconds_a_request(config) * 1_000.0;
        let mut agenda = Agenda::default();
        agenda.at(0, Happening::Usual);
        if let Some(time) = arrivals.burst_at() {
            agenda.at(time, Happening::Burst);
        }
        if config.outage_s > 0 {
            agenda.at(day * 3 / 5, Happening::BrokerDown);
        }
        agenda.at(TICK_MS, Happening::Tick);
        let mut farm = Self {
            config: config.clone(),
            policy: Policy::default(),
            now: 0,
            agenda,
            arrivals,
            rng: ChaCha8Rng::seed_from_u64(config.seed ^ 0x5eed),
            live: HashMap::new(),
            ended: VecDeque::new(),
            submitted: 0,
            active: 0,
            shares: fair::Shares::default(),
            ready: Default::default(),
            stream: Stream::default(),
            queued: [0; 3],
            orphans: Vec::new(),
            workers: Workers::new(config.workers),
            unheard: Vec::new(),
            broker_up: true,
            heard_since: 0,
            last_progress: 0,
            tally: Tally::default(),
            rates: Rates::default(),
            fairness: Fairness::new(
                config.tenants,
                config.starved_after_s * 1_000,
                (day / 144).max(WINDOW_MS),
                request_ms,
            ),
            waits: Default::default(),
            totals: Default::default(),
            busy: (0, 0),
        };
        farm.plan_fault(config.deaths, Happening::Death);
        farm.plan_fault(config.hangs, Happening::Hang);
        farm
    }

    /// Lets everything happen until nothing is left to do; `watch` hears the time now and then.
    pub fn run(&mut self, mut watch: impl FnMut(&Self)) {
        let mut next_watch = 0;
        while let Some((time, what)) = self.agenda.next() {
            self.now = time;
            if what == Happening::Tick {
                if self.is_over() {
                    break;
                }
                if time >= next_watch {
                    watch(self);
                    next_watch = time + self.day() / 10;
                }
            }
            self.happen(what);
            self.dispatch();
        }
        self.tally.stuck = u64::from(self.active);
        self.tally.accepted = u64::from(self.submitted);
        self.tally.happenings = self.agenda.added();
    }

    /// The time, in milliseconds after the day began.
    pub const fn now(&self) -> Millis {
        self.now
    }

    /// Length of the day, in milliseconds.
    pub const fn day(&self) -> Millis {
        self.arrivals.day()
    }

    /// How many requests were accepted, and how many of them are active.
    pub const fn requests(&self) -> (u32, u32) {
        (self.submitted, self.active)
    }

    /// Mean time of a worker that a request needs, in seconds.
    pub fn seconds_a_request(&self) -> f64 {
        self.arrivals.seconds_a_request(&self.config)
    }

    fn is_over(&self) -> bool {
        self.submitted == self.config.requests
            && (self.active == 0 || self.now - self.last_progress > STILL_MS)
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Usual => {
                let (submit, next) = self.arrivals.usual();
                self.submit(submit);
                if let Some(time) = next {
                    self.agenda.at(time, Happening::Usual);
                }
            }
            Happening::Burst => {
                let (submit, next) = self.arrivals.burst();
                self.submit(submit);
                if let Some(time) = next {
                    self.agenda.at(time, Happening::Burst);
                }
            }
            Happening::Cancel(number) => {
                let reason = "by the user".to_owned();
                self.change(number, Event::Canceled { reason }, Loop::Reconcile);
            }
            Happening::Ready(key) => self.offer(key),
            Happening::Done { worker, run } => self.done(worker, run),
            Happening::Killed { worker, run } => {
                if self.workers.get(worker).run == run {
                    self.kill(worker);
                }
            }
            Happening::Lease(key) => self.lease(key),
            Happening::Death => {
                let worker = self.rng.random_range(0..self.config.workers);
                if self.workers.get(worker).alive {
                    self.kill(worker);
                }
                self.plan_fault(self.config.deaths, Happening::Death);
            }
            Happening::Hang => {
                self.hang();
                self.plan_fault(self.config.hangs, Happening::Hang);
            }
            Happening::Start(worker) => self.workers.start(worker),
            Happening::BrokerDown => self.broker_down(),
            Happening::BrokerUp => self.broker_up(),
            Happening::Tick => self.tick(),
        }
    }

    fn tick(&mut self) {
        self.agenda.at(self.now + TICK_MS, Happening::Tick);
        if self.broker_up && !self.config.without_sweep {
            for key in std::mem::take(&mut self.orphans) {
                self.recover(key);
            }
        }
        let queued: u32 = self.queued.iter().sum();
        if self.broker_up && queued > 0 {
            self.rates.add(self.now, Of::Rows, queued as usize);
            let kinds = self.queued.iter().filter(|&&queued| queued > 0).count();
            self.rates.add(self.now, Of::Commits, kinds);
        }
        if self.broker_up && self.workers.busy > 0 {
            // Heartbeats are gathered for a quarter of a second.
            self.rates.add(self.now, Of::Commits, 4);
        }
        while let Some(&(time, number)) = self.ended.front()
            && time + MEMORY_MS < self.now
        {
            self.ended.pop_front();
            self.live.remove(&number);
        }
        self.fairness.look(self.now);
        self.tally.most_active = self.tally.most_active.max(self.active);
        if self.now <= self.day() {
            self.busy.0 += u64::from(self.workers.busy);
            self.busy.1 += u64::from(self.workers.alive);
        }
    }

    /// The priority class with this index.
    pub const fn class(index: usize) -> Priority {
        Priority::ALL[index]
    }
}
