//! `atelier trace`: how a picture came about.

use std::process::ExitCode;

use anyhow::{Context, Result};
use atelier_proto::trace::Trace;

use crate::{
    client::{Client, ServerArgs},
    show,
};

/// Tell how a picture came about: thought, plan, stages, checks, rounds, end
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Id of the request, or `last`.
    id: String,
    /// The whole trace as JSON.
    #[arg(long)]
    json: bool,
}

/// Tells the story, or prints the document as it is.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = Client::new(args.server.place()?)?;
    let id = client.resolve(&args.id).await?;
    let document = client.trace(id).await?;
    if args.json {
        let value: serde_json::Value =
            serde_json::from_slice(&document).context("the trace is no JSON")?;
        show::print(&format!("{}\n", serde_json::to_string_pretty(&value)?))?;
    } else {
        let trace: Trace = serde_json::from_slice(&document)
            .context("the trace is of another version; see it with --json")?;
        show::print(&show::story(&trace))?;
    }
    Ok(ExitCode::SUCCESS)
}
