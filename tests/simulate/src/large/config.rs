//! What is simulated: the command line of `simulate`.

use std::path::PathBuf;

use atelier_proto::job::JobKind;
use clap::{Args, Parser, value_parser};
use serde::Serialize;

/// A large farm's day on a virtual clock, decided by the coordinator's own domain code: how long requests wait, whether tenants get their shares,
/// whether anything is lost, and what database, stream and store would have to take
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "simulate", bin_name = "deploy/test simulate")]
pub struct Config {
    /// Workers; each takes every kind of job, one at a time
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub workers: u32,

    /// Requests
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub requests: u32,

    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Tenants; how much each submits follows Zipf's law
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub tenants: u32,

    /// Part of the workers' time that the requests need; sets how long the day is
    #[arg(long, default_value_t = 0.8)]
    pub load: f64,

    /// Middle time of a plan job, in seconds
    #[arg(long, default_value_t = 12.0)]
    pub plan_s: f64,

    /// Middle time of a render job, in seconds
    #[arg(long, default_value_t = 60.0)]
    pub render_s: f64,

    /// Middle time of a critique job, in seconds
    #[arg(long, default_value_t = 8.0)]
    pub critique_s: f64,

    /// Spread of these times: sigma of their log-normal distribution
    #[arg(long, default_value_t = 0.5)]
    pub spread: f64,

    /// Part of all requests that one tenant submits within a two hundredth of the day
    #[arg(long, default_value_t = 0.05)]
    pub burst: f64,

    /// How long the broker is away, and its stream wiped, in seconds; 0 for never
    #[arg(long, default_value_t = 120)]
    pub outage_s: u64,

    /// How often a worker dies in the day, on average
    #[arg(long, default_value_t = 0.5)]
    pub deaths: f64,

    /// How often a worker hangs for longer than a lease in the day, on average
    #[arg(long, default_value_t = 0.2)]
    pub hangs: f64,

    /// Part of all attempts that fail
    #[arg(long, default_value_t = 0.005)]
    pub failures: f64,

    /// Part of all messages that get lost, of those that come twice, and of reports that get lost or come twice
    #[arg(long, default_value_t = 0.0002)]
    pub noise: f64,

    /// Part of all requests that kill every worker that draws them
    #[arg(long, default_value_t = 0.00002)]
    pub poison: f64,

    /// Part of all requests that are canceled
    #[arg(long, default_value_t = 0.01)]
    pub cancels: f64,

    /// Fewest jobs of a kind that are published ahead for each worker, beside those for idle ones
    #[arg(long, default_value_t = 0.0)]
    pub ahead: f64,

    /// A request is starved when it waits this long, in seconds, while nothing of its tenant and class begins
    #[arg(long, default_value_t = 1_800)]
    pub starved_after_s: u64,

    /// Take requests in the order in which they came, whoever's they are
    #[arg(long)]
    pub without_fairness: bool,

    /// Never look for lost jobs
    #[arg(long)]
    pub without_sweep: bool,

    /// What one machine was measured to take, for comparison
    #[command(flatten)]
    pub floors: Floors,

    /// File for the result as JSON
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub json: Option<PathBuf>,
}

/// Rates that one small machine reached, each alone: two cores, PostgreSQL 15 and NATS 2.15 on one virtual disk.
#[derive(Clone, Copy, Debug, Args, Serialize)]
pub struct Floors {
    /// Commits a second of eight connections
    #[arg(long, default_value_t = 14_867.0)]
    pub floor_commits: f64,

    /// Rows written a second, 32 in a statement
    #[arg(long, default_value_t = 80_894.0)]
    pub floor_rows: f64,

    /// Messages with an id published and acknowledged a second
    #[arg(long, default_value_t = 86_012.0)]
    pub floor_publishes: f64,

    /// Messages fetched and acknowledged twice a second
    #[arg(long, default_value_t = 49_267.0)]
    pub floor_acks: f64,

    /// Files of 64 kB written and synced a second
    #[arg(long, default_value_t = 6_773.0)]
    pub floor_puts: f64,

    /// Jobs a second through coordinator, database, stream and workers on two cores
    #[arg(long, default_value_t = 10_960.0)]
    pub floor_jobs: f64,
}

impl Config {
    /// What a command line without any flag says.
    pub fn plain() -> Self {
        Self::parse_from(["simulate"])
    }

    /// Middle time of a job of `kind`, in seconds.
    pub const fn middle_s(&self, kind: JobKind) -> f64 {
        match kind {
            JobKind::Plan => self.plan_s,
            JobKind::Render => self.render_s,
            JobKind::Critique => self.critique_s,
        }
    }

    /// Mean time of a job of `kind`, in seconds.
    pub fn mean_s(&self, kind: JobKind) -> f64 {
        self.middle_s(kind) * (self.spread * self.spread / 2.0).exp()
    }
}
