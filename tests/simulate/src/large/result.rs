//! What came of the day: a table for people, and the same as JSON.

use std::{fmt, time::Instant};

use serde::Serialize;

use super::{Arrivals, Config, Demand, Farm, Histogram, Percentiles, Rate, Shares, Tally};

/// Durations of one class, and of one group of tenants or all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    /// The class.
    pub class: &'static str,
    /// The tenants.
    pub tenants: &'static str,
    /// Their durations.
    #[serde(flatten)]
    pub percentiles: Percentiles,
}

/// The day.
#[derive(Debug, Serialize)]
pub struct Day {
    /// What was simulated.
    pub config: Config,
    /// How long submits came, in hours.
    pub day_hours: f64,
    /// When the last request had ended, in hours.
    pub end_hours: f64,
    /// Mean time of a worker that a request needs, in seconds.
    pub seconds_a_request: f64,
    /// Part of the living workers' time that was worked, while submits came.
    pub utilisation: f64,
    /// Counts.
    pub tally: Tally,
    /// From submit to the first worker.
    pub queue: Vec<Wait>,
    /// From submit to success.
    pub total: Vec<Wait>,
    /// Whether tenants got their shares.
    pub shares: Shares,
    /// Submits.
    pub submits: Rate,
    /// What would saturate, first at the front.
    pub demands: Vec<Demand>,
    /// Time that the simulation took, in seconds.
    pub wall_s: f64,
    /// Most memory of this process, in megabytes; 0 where the system does not say.
    pub memory_mb: u64,
}

/// Simulates the day; `watch` hears of the farm now and then.
pub fn simulate(config: &Config, watch: impl FnMut(&Farm)) -> Day {
    let started = Instant::now();
    let mut farm = Farm::new(config);
    farm.run(watch);
    let hours = |ms: u64| ms as f64 / 3_600_000.0;
    let mut queue = Vec::new();
    let mut total = Vec::new();
    for (index, of_class) in farm.waits.iter().enumerate() {
        let class = Farm::class(index).as_str();
        let mut all = Histogram::default();
        for (tenants, histogram) in Arrivals::GROUPS.into_iter().zip(of_class) {
            all.merge(histogram);
            let told = wait(class, tenants, histogram);
            // A small farm has nobody in some groups.
            queue.extend((told.percentiles.count > 0).then_some(told));
        }
        queue.push(wait(class, "all", &all));
        total.push(wait(class, "all", &farm.totals[index]));
    }
    let mut tally = std::mem::take(&mut farm.tally);
    tally.close();
    Day {
        config: config.clone(),
        day_hours: hours(farm.day()),
        end_hours: hours(farm.now()),
        seconds_a_request: farm.seconds_a_request(),
        utilisation: farm.busy.0 as f64 / farm.busy.1.max(1) as f64,
        tally,
        queue,
        total,
        shares: farm.fairness.told(farm.now()),
        submits: farm.rates.submits(),
        demands: farm.rates.demands(&config.floors),
        wall_s: started.elapsed().as_secs_f64(),
        memory_mb: memory_mb(),
    }
}

fn wait(class: &'static str, tenants: &'static str, histogram: &Histogram) -> Wait {
    Wait {
        class,
        tenants,
        percentiles: histogram.percentiles(),
    }
}

fn memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}

impl Day {
    /// Whether every promise was kept.
    pub const fn is_sound(&self) -> bool {
        let tally = &self.tally;
        tally.lost + tally.duplicated + tally.stuck + tally.violations + self.shares.starved == 0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, tally, .. } = self;
        writeln!(
            f,
            "{} workers, {} requests of {} tenants in {:.1} h (all ended after {:.1} h), seed {}; {:.0} s of a worker a request, {:.0} % of their time worked",
            config.workers,
            tally.accepted,
            config.tenants,
            self.day_hours,
            self.end_hours,
            config.seed,
            self.seconds_a_request,
            self.utilisation * 100.0
        )?;
        writeln!(
            f,
            "ended: {} succeeded, {} failed, {} canceled; at most {} active at once",
            tally.succeeded, tally.failed, tally.canceled, tally.most_active
        )?;
        writeln!(
            f,
            "faults: {} workers died, {} hung, {} attempts failed, {} messages vanished, {} wiped, {} things came twice, {} reports lost; {} leases ran out, {} reports came too late",
            tally.deaths,
            tally.hangs,
            tally.failures,
            tally.vanished,
            tally.wiped,
            tally.doubled,
            tally.reports_lost,
            tally.leases,
            tally.late
        )?;
        writeln!(
            f,
            "lost {}, duplicated {}, stuck {}, starved {}; {} broken invariants in {} checks",
            tally.lost,
            tally.duplicated,
            tally.stuck,
            self.shares.starved,
            tally.violations,
            tally.checks
        )?;
        if let Some(violation) = &tally.first_violation {
            writeln!(f, "the first: {violation}")?;
        }
        writeln!(f)?;
        self.write_waits(f, "from submit to the first worker", &self.queue)?;
        self.write_waits(f, "from submit to success", &self.total)?;
        let shares = &self.shares;
        writeln!(
            f,
            "fair shares: Jain's index {:.3} (lowest {:.3}) over {} windows of {:.0} s with {:.1} flows waiting; at longest {:.0} s passed over",
            shares.jain,
            shares.worst,
            shares.windows,
            shares.window_s,
            shares.flows,
            shares.longest_s
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "{:28} {:>10} {:>10} {:>10} {:>10} {:>9}",
            "a second", "mean", "minute", "second", "floor", "headroom"
        )?;
        for demand in &self.demands {
            let Rate {
                mean,
                minute,
                second,
                ..
            } = demand.rate;
            writeln!(
                f,
                "{:28} {mean:>10.1} {minute:>10.1} {second:>10.0} {:>10.0} {:>8.1}x",
                demand.name, demand.floor, demand.headroom
            )?;
        }
        if let Some(first) = self.demands.first() {
            writeln!(
                f,
                "saturates first: {}, at {:.1} times the busiest minute ({:.1} submits a second there)",
                first.name, first.headroom, self.submits.minute
            )?;
        }
        write!(
            f,
            "simulated in {:.1} s, {} happenings, {} MB",
            self.wall_s, tally.happenings, self.memory_mb
        )
    }
}

impl Day {
    fn write_waits(&self, f: &mut fmt::Formatter<'_>, title: &str, waits: &[Wait]) -> fmt::Result {
        writeln!(
            f,
            "{title:32} {:>9} {:>10} {:>10} {:>10} {:>10}",
            "requests", "p50", "p90", "p99", "longest"
        )?;
        for wait in waits {
            let told = wait.percentiles;
            writeln!(
                f,
                "{:13} {:18} {:>9} {:>8.1} s {:>8.1} s {:>8.1} s {:>8.1} s",
                wait.class,
                wait.tenants,
                told.count,
                told.p50_s,
                told.p90_s,
                told.p99_s,
                told.max_s
            )?;
        }
        writeln!(f)
    }
}
