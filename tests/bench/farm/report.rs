//! The numbers as a table for people and as JSON for programs.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::load::Run;

/// A throughput run beside finished requests.
#[derive(Clone, Debug)]
pub struct Row {
    /// Finished requests in the database.
    pub finished: u64,
    /// The run.
    pub run: Run,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default)]
pub struct Report {
    requests: usize,
    /// What the parts below do at most, per second.
    pub floors: Vec<(&'static str, f64)>,
    /// Milliseconds of single requests, sorted.
    pub latency: Option<Vec<f64>>,
    /// Throughput, the first row without or with the fewest finished requests.
    pub rows: Vec<Row>,
    /// Most memory of the coordinator over all runs, MB.
    pub coordinator_peak_mb: f64,
    /// Requests that waited without a worker, and the coordinator's peak with them, MB.
    pub waiting: Option<(usize, f64)>,
}

impl Report {
    /// Nothing measured yet.
    pub fn new(requests: usize) -> Self {
        Self {
            requests,
            ..Self::default()
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let floors: Map<String, Value> = self
            .floors
            .iter()
            .map(|(name, rate)| ((*name).to_owned(), json!(rate.round())))
            .collect();
        let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
        let first = self.rows.first().map(|row| &row.run);
        json!({
            "requests": self.requests,
            "requests_per_s": first.map(|run| rounded(run.per_second())),
            "cpu_s_per_1000": first.map(|run| rounded(run.cpu_per_1000())),
            "p50_ms": self.percentile(0.5).map(rounded),
            "p99_ms": self.percentile(0.99).map(rounded),
            "coordinator_peak_mb": rounded(self.coordinator_peak_mb),
            "waiting": self.waiting.map(|(requests, _)| requests),
            "coordinator_peak_mb_waiting": self.waiting.map(|(_, peak)| rounded(peak)),
            "finished": rows,
            "floors": floors,
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let mut line = |text: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{text}");
        };
        line("| finished before | requests/s | CPU s/1,000 | of it by part | load |".into());
        line("|---|---|---|---|---|".into());
        for Row { finished, run } in &self.rows {
            let share = |(part, seconds): &(&str, f64)| {
                format!("{part} {:.2}", seconds / run.requests as f64 * 1e3)
            };
            let parts: Vec<String> = run.cpu.iter().map(share).collect();
            line(format!(
                "| {finished} | {:.0} | {:.2} | {} | {:.1} |",
                run.per_second(),
                run.cpu_per_1000(),
                parts.join(", "),
                run.load
            ));
        }
        if let (Some(p50), Some(p99)) = (self.percentile(0.5), self.percentile(0.99)) {
            line(format!("\none at a time: p50 {p50:.1} ms, p99 {p99:.1} ms"));
        }
        line(format!(
            "coordinator: at most {:.0} MB",
            self.coordinator_peak_mb
        ));
        if let Some((requests, peak)) = self.waiting {
            line(format!(
                "coordinator with {requests} requests waiting: at most {peak:.0} MB"
            ));
        }
        for (name, rate) in &self.floors {
            line(format!("floor {name}: {rate:.0}"));
        }
        out
    }

    fn percentile(&self, share: f64) -> Option<f64> {
        let times = self.latency.as_ref()?;
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().checked_sub(1)?)).copied()
    }
}

fn row_json(row: &Row) -> Value {
    let Row { finished, run } = row;
    let parts: Map<String, Value> = run
        .cpu
        .iter()
        .map(|(part, seconds)| {
            (
                (*part).to_owned(),
                json!(rounded(seconds / run.requests as f64 * 1e3)),
            )
        })
        .collect();
    json!({
        "finished": finished,
        "requests_per_s": rounded(run.per_second()),
        "cpu_s_per_1000": rounded(run.cpu_per_1000()),
        "cpu_s_per_1000_by_part": parts,
        "load_average": run.load,
    })
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
