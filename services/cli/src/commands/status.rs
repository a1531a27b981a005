//! `atelier status`: where the farm and its requests stand.

use std::process::ExitCode;

use anyhow::Result;

use super::{list, request::describe, workers};
use crate::{
    client::{FarmArgs, Wanted},
    show::{self, OutputArgs},
};

/// Show the farm, its workers and newest requests; or one request
#[derive(clap::Args)]
pub struct Args {
    /// Id of a request, its first or last characters (4 or more), or `last`; without it, the whole farm
    id: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// How many requests are listed.
const NEWEST: u32 = 10;

/// Prints one request, or the overview.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = args.farm.client()?;
    if let Some(id) = &args.id {
        let view = client.find(id).await?;
        match args.output.is_json() {
            true => args.output.print(&view)?,
            false => show::print(&describe(&view))?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let workers = client.workers().await?;
    let wanted = Wanted {
        limit: NEWEST,
        ..Wanted::default()
    };
    let requests = client.list(wanted).await?.requests;
    let url = &client.place().url;
    if args.output.is_json() {
        args.output
            .print(&serde_json::json!({ "url": url, "workers": workers, "requests": requests }))?;
    } else {
        show::print(&format!(
            "{}\n\n{}\n{}",
            show::bold(&format!("Farm at {url}")),
            workers::table(&workers),
            list::table(&requests)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
