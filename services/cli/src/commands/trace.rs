//! `atelier trace`: how a picture came about.

use std::process::ExitCode;

use anyhow::{Context, Result};
use atelier_proto::trace::Trace;

use super::request::RequestOfFarm;
use crate::show;

/// Tell how a picture came about: thought, plan, stages, checks, rounds, end
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    request: RequestOfFarm,
}

/// Tells the story, or prints the document as it is.
pub async fn run(args: Args) -> Result<ExitCode> {
    let (client, view) = args.request.find().await?;
    let document = client.trace(view.id).await?;
    if args.request.output.is_json() {
        let value: serde_json::Value =
            serde_json::from_slice(&document).context("the trace is no JSON")?;
        show::json(&value)?;
    } else {
        let trace: Trace = serde_json::from_slice(&document)
            .context("the trace is of another version; see it with --json")?;
        show::print(&show::story(&trace))?;
    }
    Ok(ExitCode::SUCCESS)
}
