//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What is measured, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests of one throughput run.
    pub requests: usize,
    /// Requests of the latency run, one at a time.
    pub latency: usize,
    /// Finished requests in the database beside each throughput run, ascending.
    pub finished: Vec<u64>,
    /// Requests that wait without any worker while the coordinator's memory is looked at.
    pub waiting: usize,
    /// File for the numbers as JSON.
    pub json: Option<PathBuf>,
}

impl Options {
    /// Reads `--flag value` pairs.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            requests: 5_000,
            latency: 300,
            finished: vec![0, 100_000, 1_000_000],
            waiting: 100_000,
            json: None,
        };
        while let Some(flag) = arguments.next() {
            let value = arguments
                .next()
                .with_context(|| format!("{flag} needs a value"))?;
            let number = || value.parse().with_context(|| format!("{flag} {value}"));
            match flag.as_str() {
                "--requests" => options.requests = number()?,
                "--latency" => options.latency = number()?,
                "--waiting" => options.waiting = number()?,
                "--finished" => options.finished = list(&value)?,
                "--json" => options.json = Some(value.into()),
                _ => bail!(
                    "unknown option {flag}; there are --requests N, --latency N, --finished N,N, --waiting N, --json FILE"
                ),
            }
        }
        Ok(options)
    }
}

fn list(value: &str) -> Result<Vec<u64>> {
    let numbers = value.split(',').filter(|number| !number.is_empty());
    let mut list: Vec<u64> = numbers
        .map(|number| {
            number
                .parse()
                .with_context(|| format!("--finished {value}"))
        })
        .collect::<Result<_>>()?;
    list.sort_unstable();
    Ok(list)
}
