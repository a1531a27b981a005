//! `atelier cancel`: stop a request.

use std::process::ExitCode;

use anyhow::Result;
use atelier_proto::http::RequestState;

use crate::{
    client::{Client, ServerArgs},
    exit, show,
};

/// Stop a request
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Id of the request, or `last`.
    id: String,
}

/// Cancels the request. What ended before stays as it ended: exit status 1.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = Client::new(args.server.place()?)?;
    let id = client.resolve(&args.id).await?;
    let view = client.cancel(id).await?;
    show::print(&format!("{id} {}\n", view.state.as_str()))?;
    Ok(match view.state {
        RequestState::Succeeded | RequestState::Failed => ExitCode::from(exit::FAILED),
        RequestState::Active | RequestState::Canceled => ExitCode::SUCCESS,
    })
}
