//! `simulate`: a large farm's day on a virtual clock, as a table and as JSON. Ends with 1 when anything was lost, doubled, stuck or starved.

use std::{fs, process::ExitCode};

use anyhow::Context;
use atelier_simulate::large::{Config, simulate};
use clap::Parser;

fn main() -> anyhow::Result<ExitCode> {
    let config = Config::parse();
    let day = simulate(&config, |farm| {
        let (accepted, active) = farm.requests();
        let hours = farm.now() as f64 / 3_600_000.0;
        eprintln!("{hours:6.2} h: {accepted} requests accepted, {active} active");
    });
    println!("{day}");
    if let Some(file) = &config.json {
        let json = serde_json::to_vec_pretty(&day)?;
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if day.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
