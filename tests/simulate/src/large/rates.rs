//! What database, stream and store would have to take, second by second.

use atelier_domain::Millis;
use serde::Serialize;

use super::Floors;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Requests submitted.
    Submits,
    /// Jobs that workers reported.
    Jobs,
    /// Commits. What a loop writes within a millisecond is one.
    Commits,
    /// Rows inserted or updated.
    Rows,
    /// Messages published.
    Publishes,
    /// Messages acknowledged.
    Acks,
    /// Artifacts stored.
    Puts,
}

const COLUMNS: usize = 7;
/// Seconds over which a busy time is averaged.
const MINUTE: usize = 60;

/// A loop of the coordinator that commits; each has at most one transaction open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// Submits.
    Intake,
    /// Claims.
    Dispatch,
    /// Reports.
    Collect,
    /// Leases, lost messages, cancels.
    Reconcile,
    /// Traces.
    Traces,
}

/// Counts for every second.
#[derive(Debug, Default)]
pub struct Rates {
    seconds: Vec<[u32; COLUMNS]>,
    last_commit: [Option<Millis>; 5],
}

/// One column, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rate {
    /// In all.
    pub total: u64,
    /// A second, over the day.
    pub mean: f64,
    /// A second, in the busiest minute.
    pub minute: f64,
    /// In the busiest second.
    pub second: f64,
}

/// One thing that may saturate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Demand {
    /// What.
    pub name: &'static str,
    /// How much of it.
    #[serde(flatten)]
    pub rate: Rate,
    /// What one small machine was measured to take, a second.
    pub floor: f64,
    /// How many times busier the busiest minute could be.
    pub headroom: f64,
}

impl Rates {
    /// Counts `count` things at `time`, which may lie in the past.
    pub fn add(&mut self, time: Millis, of: Of, count: usize) {
        let second = (time / 1_000) as usize;
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, [0; COLUMNS]);
        }
        self.seconds[second][of as usize] += count as u32;
    }

    /// A loop has written `rows`; they share a commit with what it wrote in the same millisecond.
    pub fn write(&mut self, time: Millis, by: Loop, rows: usize) {
        self.add(time, Of::Rows, rows);
        if self.last_commit[by as usize].replace(time) != Some(time) {
            self.add(time, Of::Commits, 1);
        }
    }

    fn rate(&self, of: Of) -> Rate {
        let column: Vec<u64> = self
            .seconds
            .iter()
            .map(|s| u64::from(s[of as usize]))
            .collect();
        let total: u64 = column.iter().sum();
        let minute = column.chunks(MINUTE).map(|m| m.iter().sum::<u64>()).max();
        Rate {
            total,
            mean: total as f64 / column.len().max(1) as f64,
            minute: minute.unwrap_or(0) as f64 / MINUTE as f64,
            second: column.iter().max().copied().unwrap_or(0) as f64,
        }
    }

    /// Submits of the day.
    pub fn submits(&self) -> Rate {
        self.rate(Of::Submits)
    }

    /// Everything that may saturate, what saturates first at the front.
    pub fn demands(&self, floors: &Floors) -> Vec<Demand> {
        let mut demands: Vec<_> = [
            ("jobs through the whole farm", Of::Jobs, floors.floor_jobs),
            ("database commits", Of::Commits, floors.floor_commits),
            ("database rows", Of::Rows, floors.floor_rows),
            ("stream publishes", Of::Publishes, floors.floor_publishes),
            ("stream acknowledgements", Of::Acks, floors.floor_acks),
            ("store PUTs", Of::Puts, floors.floor_puts),
        ]
        .into_iter()
        .map(|(name, of, floor)| {
            let rate = self.rate(of);
            Demand {
                name,
                rate,
                floor,
                headroom: floor / rate.minute.max(f64::MIN_POSITIVE),
            }
        })
        .collect();
        demands.sort_by(|a, b| a.headroom.total_cmp(&b.headroom));
        demands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_loop_writes_within_a_millisecond_is_one_commit() {
        let mut rates = Rates::default();
        for (time, by) in [
            (5, Loop::Intake),
            (5, Loop::Intake),
            (5, Loop::Collect),
            (6, Loop::Intake),
        ] {
            rates.write(time, by, 2);
        }
        assert_eq!(rates.rate(Of::Commits).total, 3);
        assert_eq!(rates.rate(Of::Rows).second, 8.0);
    }
}
