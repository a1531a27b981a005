//! How fast the farm is, and what it costs: the graph plan -> {render, render} -> blend -> critique on the engine's test double, with 2 KB of
//! incompressible payload a job, everything on this machine and every commit synchronous. Floors of the same machine are measured in the same run.
//!
//! `deploy/test bench farm [--requests N] [--finished 0,100000] [--waiting N] [--latency N] [--json FILE]`

mod farm;
mod floors;
mod load;
mod options;
mod report;
mod usage;

use anyhow::Result;
use clap::Parser;
use farm::Farm;
use options::Options;
use report::{Report, Row};

/// Worker processes.
const WORKERS: usize = 2;
/// Requests that nobody measures: connections, statements and caches get warm.
const WARM_UP: usize = 200;

#[tokio::main]
async fn main() -> Result<()> {
    let mut options = Options::parse();
    options.finished.sort_unstable();
    let mut report = Report::new(options.requests);
    let farm = Farm::start(WORKERS).await?;
    if !options.no_floors {
        report.floors = floors::measure(&farm).await?;
    }
    load::throughput(&farm, WARM_UP).await?;
    if options.latency > 0 {
        report.latency = Some(load::latency(&farm, options.latency).await?);
    }
    let mut there = 0;
    for &finished in &options.finished {
        let missing = finished.saturating_sub(there);
        if missing > 0 {
            eprintln!("bench: writing {missing} finished requests");
            atelier_tests::finished::insert(&mut farm.database().await?, missing, 5).await?;
            there = finished;
        }
        eprintln!(
            "bench: {} requests beside {finished} finished ones",
            options.requests
        );
        let run = load::throughput(&farm, options.requests).await?;
        report.rows.push(Row { finished, run });
    }
    report.coordinator_peak_mb = farm.coordinator_peak_mb()?;
    drop(farm);
    if options.waiting > 0 {
        eprintln!("bench: {} requests that wait", options.waiting);
        let farm = Farm::start(0).await?;
        load::pile_up(&farm, options.waiting).await?;
        report.waiting = Some((options.waiting, farm.coordinator_peak_mb()?));
    }
    print!("{}", report.table());
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report.json())?)?;
    }
    Ok(())
}
