//! Who submits what, and when.

use atelier_domain::{Millis, fair::Weight};
use atelier_proto::job::{JobKind, Priority};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Config;
use crate::shapes::Shape;

/// Exponent of Zipf's law over tenants.
const ZIPF: f64 = 1.1;
/// By how much the busiest hour is above the day's mean.
const SWING: f64 = 0.25;
/// When the burst begins and how long it takes, as parts of the day.
const BURST_AT: f64 = 0.45;
const BURST_LENGTH: f64 = 1.0 / 200.0;
/// Chance that a critique finds something wrong.
pub const POOR: f64 = 0.3;

/// One submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submit {
    /// Rank of the tenant by how much it submits, from 0.
    pub tenant: u32,
    /// How urgent.
    pub priority: Priority,
    /// Index of the shape.
    pub shape: usize,
    /// Whether it kills the workers that draw it.
    pub poisonous: bool,
    /// When it is canceled, in milliseconds after it was accepted.
    pub canceled_after: Option<Millis>,
}

/// All submits of the day, made one after another.
#[derive(Debug)]
pub struct Arrivals {
    rng: ChaCha8Rng,
    /// Tenants' parts of the submits, added up; ends in 1.
    shares: Vec<f64>,
    shapes: Vec<(f64, Shape)>,
    /// Submits still to come, and how many there are in all.
    usual: (u32, u32),
    burst: (u32, u32),
    /// When the next one comes, in milliseconds after the day began. Not rounded, since many may come within one.
    usual_at: f64,
    burst_at: f64,
    day: f64,
    poison: f64,
    cancels: f64,
    tenants: u32,
}

impl Arrivals {
    /// The submits that `config` wants.
    pub fn new(config: &Config) -> Self {
        let weights = (1..=config.tenants).map(|rank| f64::from(rank).powf(-ZIPF));
        let all: f64 = weights.clone().sum();
        let shares = weights
            .scan(0.0, |sum, weight| {
                *sum += weight / all;
                Some(*sum)
            })
            .collect();
        let burst = (f64::from(config.requests) * config.burst.clamp(0.0, 1.0)).round() as u32;
        let mut arrivals = Self {
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            shares,
            shapes: vec![
                (0.25, Shape::prompt()),
                (0.50, Shape::picture(3, 2)),
                (0.15, Shape::edited(3, 2)),
                (0.10, Shape::blended(3, 2)),
            ],
            usual: (config.requests - burst, config.requests - burst),
            burst: (burst, burst),
            usual_at: 0.0,
            burst_at: 0.0,
            day: 0.0,
            poison: config.poison,
            cancels: config.cancels,
            tenants: config.tenants,
        };
        let worker_seconds = arrivals.seconds_a_request(config) * f64::from(config.requests);
        arrivals.day = worker_seconds / (f64::from(config.workers) * config.load) * 1_000.0;
        arrivals.burst_at = arrivals.day * BURST_AT;
        arrivals
    }

    /// Mean time of a worker that a request needs, in seconds.
    pub fn seconds_a_request(&self, config: &Config) -> f64 {
        let of = |shape: &Shape| {
            let stages = shape.graph.stages().len() as f64 * config.mean_s(JobKind::Render);
            if shape.jobs == 1 {
                return stages;
            }
            let round = stages + config.mean_s(JobKind::Critique);
            config.mean_s(JobKind::Plan) + round * (1.0 + POOR)
        };
        self.shapes
            .iter()
            .map(|(part, shape)| part * of(shape))
            .sum()
    }

    /// Length of the day, in milliseconds.
    pub const fn day(&self) -> Millis {
        self.day as Millis
    }

    /// The shape with this index.
    pub fn shape(&self, index: usize) -> &Shape {
        &self.shapes[index].1
    }

    /// A tenant's share, whatever it submits: one of ten has four times, three of ten have twice as much as the others.
    pub fn weight(tenant: u32) -> Weight {
        let weight = match tenant % 10 {
            3 => 4,
            1 | 5 | 8 => 2,
            _ => 1,
        };
        Weight::new(weight).expect("the numbers above are weights")
    }

    /// Groups of tenants in tables.
    pub const GROUPS: [&str; 4] = ["top 1 %", "next 9 %", "the others", "the burst"];

    /// The group that a tenant belongs to.
    pub fn group(&self, tenant: u32) -> usize {
        let part = f64::from(tenant) / f64::from(self.tenants);
        if tenant == self.burst_tenant() {
            3
        } else if part < 0.01 || tenant == 0 {
            0
        } else {
            1 + usize::from(part >= 0.1)
        }
    }

    /// The tenant that the burst comes from: a small one.
    pub const fn burst_tenant(&self) -> u32 {
        self.tenants / 2
    }

    /// When the first submit of the burst comes, in milliseconds after the day began; none without a burst.
    pub fn burst_at(&self) -> Option<Millis> {
        (self.burst.0 > 0).then_some(self.burst_at as Millis)
    }

    /// The next submit of the usual stream, and when the one after it comes.
    pub fn usual(&mut self) -> (Submit, Option<Millis>) {
        let draw: f64 = self.rng.random();
        let tenant = self.shares.partition_point(|&share| share < draw) as u32;
        let priority = match self.rng.random_range(0..10) {
            0..3 => Priority::Interactive,
            3..8 => Priority::Normal,
            _ => Priority::Batch,
        };
        let submit = self.submit(tenant.min(self.tenants - 1), priority);
        let phase = self.usual_at / self.day * std::f64::consts::TAU;
        let rate = f64::from(self.usual.1) / self.day * (1.0 - SWING * phase.cos());
        self.usual_at += self.gap(1.0 / rate);
        self.usual.0 -= 1;
        (
            submit,
            (self.usual.0 > 0).then_some(self.usual_at as Millis),
        )
    }

    /// The next submit of the burst, and when the one after it comes.
    pub fn burst(&mut self) -> (Submit, Option<Millis>) {
        let submit = self.submit(self.burst_tenant(), Priority::Normal);
        self.burst_at += self.gap(self.day * BURST_LENGTH / f64::from(self.burst.1));
        self.burst.0 -= 1;
        (
            submit,
            (self.burst.0 > 0).then_some(self.burst_at as Millis),
        )
    }

    /// An exponential time with this mean, in milliseconds.
    fn gap(&mut self, mean: f64) -> f64 {
        let draw: f64 = self.rng.random();
        -(1.0 - draw).ln() * mean
    }

    fn submit(&mut self, tenant: u32, priority: Priority) -> Submit {
        let mut draw: f64 = self.rng.random();
        let mut shape = 0;
        while shape + 1 < self.shapes.len() && draw >= self.shapes[shape].0 {
            draw -= self.shapes[shape].0;
            shape += 1;
        }
        let canceled = self.rng.random_bool(self.cancels);
        let poisonous = self.rng.random_bool(self.poison);
        Submit {
            tenant,
            priority,
            shape,
            poisonous,
            canceled_after: canceled.then(|| self.gap(60_000.0) as Millis),
        }
    }
}
