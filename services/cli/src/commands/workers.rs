//! `atelier workers`: who draws.

use std::process::ExitCode;

use anyhow::Result;
use atelier_proto::{http::WorkerView, job::JobKind};

use crate::{
    client::FarmArgs,
    show::{self, OutputArgs, Table},
};

/// List the workers of the farm
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// Prints who was heard in the last seconds.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = args.farm.client()?;
    let workers = client.workers().await?;
    match args.output.is_json() {
        true => args
            .output
            .print(&serde_json::json!({ "workers": workers }))?,
        false => show::print(&table(&workers))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The workers as a table, or a word about there being none.
pub fn table(workers: &[WorkerView]) -> String {
    if workers.is_empty() {
        return "no workers: requests wait until one comes\n".into();
    }
    let mut table = Table::new(&["WORKER", "MODEL", "DEVICE", "IN HAND", "HEARD", "DOES"]);
    for worker in workers {
        let role = |role: &JobKind| match worker.kept_from.contains(role) {
            true => format!("{} (not now: it keeps failing)", role.as_str()),
            false => role.as_str().to_owned(),
        };
        let roles: Vec<String> = worker.roles.iter().map(role).collect();
        table.row(&[
            &worker.name,
            &worker.model,
            &worker.device,
            &worker.busy.to_string(),
            &format!("{:.1} s ago", worker.seen_ms_ago as f64 / 1_000.0),
            &roles.join(", "),
        ]);
    }
    table.text()
}
