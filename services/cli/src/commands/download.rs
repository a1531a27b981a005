//! `atelier download`: the picture of a request, and its trace.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use super::files::{default_picture, trace_beside, write_whole};
use crate::{
    client::{Client, ServerArgs},
    show,
};

/// Save the picture of a request
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Id of the request, or `last`.
    id: String,
    /// Where the picture goes; without it, atelier-XXXXXXXX.png in this folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Save the trace beside it as well.
    #[arg(long)]
    trace: bool,
}

/// Saves the picture and says where it is.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = Client::new(args.server.place()?)?;
    let id = client.resolve(&args.id).await?;
    let picture = client.image(id).await?;
    let out = args.out.unwrap_or_else(|| default_picture(id));
    write_whole(&out, &picture)?;
    show::print(&format!("{}\n", out.display()))?;
    if args.trace {
        let trace = trace_beside(&out);
        write_whole(&trace, &client.trace(id).await?)?;
        show::print(&format!("{}\n", trace.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
