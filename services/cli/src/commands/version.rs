//! `atelier version`: which version of what.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{
    servers::Parts,
    show::{self, OutputArgs},
};

/// Say which version this is and which programs it would start
#[derive(clap::Args)]
pub struct Args {
    /// Folder that deploy/setup filled; without it, the one of this checkout
    #[arg(long, value_name = "DIR", env = "ATELIER_DEPS", hide_env_values = true)]
    deps: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints it; what is missing is no error here ('atelier doctor' looks into that).
pub fn run(args: &Args) -> Result<ExitCode> {
    let parts = Parts::find(args.deps.as_deref());
    let programs = [
        ("coordinator", parts.program("atelier-coordinator")),
        ("worker", parts.program("atelier-worker")),
        ("nats", parts.nats()),
        ("postgres", parts.postgres()),
    ];
    let place =
        |found: &Result<PathBuf, _>| found.as_ref().ok().map(|path| path.display().to_string());
    let (version, messages) = (env!("CARGO_PKG_VERSION"), atelier_proto::envelope::VERSION);
    let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    if args.output.is_json() {
        let programs: serde_json::Map<String, serde_json::Value> = programs
            .iter()
            .map(|(name, found)| ((*name).to_owned(), place(found).into()))
            .collect();
        args.output.print(&serde_json::json!({
            "version": version,
            "messages": messages,
            "system": system,
            "programs": programs,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("atelier {version} ({system}), messages of version {messages}\n");
    for (name, found) in &programs {
        let found = place(found).unwrap_or_else(|| "not found".into());
        text.push_str(&format!("{name:12} {found}\n"));
    }
    show::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
