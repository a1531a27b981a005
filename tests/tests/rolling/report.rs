//! What people felt of it, as a table and as JSON.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use crate::{load::Served, options::Options};

/// When a request was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Everything is old.
    Before,
    /// Programs are being restarted.
    During,
    /// Everything is new.
    After,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];

    /// The phase that was stored as a number.
    pub fn of(number: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|phase| *phase as u8 == number)
            .unwrap_or(Self::After)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }
}

/// The figures of a run.
pub struct Report {
    old: String,
    rate: u32,
    rows: Vec<Row>,
}

struct Row {
    phase: Phase,
    requests: usize,
    repeated: u32,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Report {
    /// Counts what the users saw.
    pub fn new(options: &Options, served: &[Served]) -> Self {
        let rows = Phase::ALL.map(|phase| {
            let of_phase = served.iter().filter(|one| one.phase == phase);
            let mut took: Vec<Duration> = of_phase.clone().map(|one| one.took).collect();
            took.sort_unstable();
            let at = |q: f64| {
                let index = (q * took.len() as f64).ceil() as usize;
                let found = took.get(index.saturating_sub(1).min(took.len().saturating_sub(1)));
                found.map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
            };
            Row {
                phase,
                requests: took.len(),
                repeated: of_phase.map(|one| one.repeated).sum(),
                p50_ms: at(0.5),
                p99_ms: at(0.99),
                max_ms: at(1.0),
            }
        });
        Self {
            old: options.old.as_ref().map_or_else(
                || "this version".to_owned(),
                |old| old.display().to_string(),
            ),
            rate: options.rate,
            rows: rows.into(),
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("from {}, {} requests a second\n", self.old, self.rate);
        let _ = writeln!(
            text,
            "{:<8} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "phase", "requests", "repeated", "p50 ms", "p99 ms", "max ms"
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:<8} {:>9} {:>9} {:>9.0} {:>9.0} {:>9.0}",
                row.phase.name(),
                row.requests,
                row.repeated,
                row.p50_ms,
                row.p99_ms,
                row.max_ms
            );
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let figures = json!({
                "requests": row.requests, "repeated": row.repeated, "p50_ms": row.p50_ms, "p99_ms": row.p99_ms, "max_ms": row.max_ms,
            });
            (row.phase.name().to_owned(), figures)
        });
        json!({ "rate": self.rate, "phases": rows.collect::<serde_json::Map<_, _>>() })
    }
}
