//! `atelier doctor`: what is there, what is missing, what to do about it.

mod farm;
mod machine;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use serde::Serialize;

use crate::{
    client::FarmArgs,
    exit,
    farm::DataDir,
    servers::Parts,
    show::{self, OutputArgs},
};

/// Check servers, programs, model, disk, key and the running farm, and say what to do
#[derive(clap::Args)]
pub struct Args {
    /// Folder that deploy/setup filled; without it, the one of this checkout
    #[arg(long, value_name = "DIR", env = "ATELIER_DEPS", hide_env_values = true)]
    deps: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    /// What was found; what is wrong and what to do if it is not as it should be.
    found: String,
}

impl Finding {
    fn new(what: &'static str, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        let found = result.unwrap_or_else(|wrong| wrong);
        Self { what, ok, found }
    }
}

/// Prints one line a finding. Exit status 1 if something on this machine is wrong, 3 if the farm does not run, 4 if it
/// wants another key.
pub async fn run(args: Args) -> Result<ExitCode> {
    let mut findings = vec![Finding::new(
        "atelier",
        Ok(env!("CARGO_PKG_VERSION").into()),
    )];
    // Where the farm is elsewhere, this machine needs nothing.
    if args.farm.url().is_none() {
        let parts = Parts::find(args.deps.as_deref());
        let data = DataDir::at(&args.farm.data.data)?;
        findings.extend(machine::look(&parts, &data));
    }
    let broken = findings.iter().any(|finding| !finding.ok);
    let (farm, status) = farm::look(&args.farm).await;
    findings.extend(farm);
    if args.output.is_json() {
        args.output
            .print(&serde_json::json!({ "findings": findings }))?;
    } else {
        let lines = findings.iter().map(|finding| {
            let mark = if finding.ok {
                show::good("ok ")
            } else {
                show::wrong("BAD")
            };
            // Lines that follow the first stand under it.
            let found = show::multiline(&finding.found).replace('\n', "\n                   ");
            format!("{mark}   {:12} {found}\n", finding.what)
        });
        show::print(&lines.collect::<String>())?;
    }
    Ok(ExitCode::from(if broken { exit::FAILED } else { status }))
}
