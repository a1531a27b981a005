//! `atelier cancel`: stop a request.

use std::process::ExitCode;

use anyhow::Result;
use atelier_proto::http::RequestState;

use super::request::RequestOfFarm;
use crate::{exit, show};

/// Stop a request
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    request: RequestOfFarm,
}

/// Cancels the request. What ended before stays as it ended: exit status 1.
pub async fn run(args: Args) -> Result<ExitCode> {
    let (client, found) = args.request.find().await?;
    let view = client.cancel(found.id).await?;
    if args.request.output.is_json() {
        args.request.output.print(&view)?;
    } else {
        show::print(&format!("{} {}\n", view.id, show::state(view.state)))?;
    }
    Ok(match view.state {
        RequestState::Succeeded | RequestState::Failed => {
            show::error("the request had ended before, and stays as it ended");
            ExitCode::from(exit::FAILED)
        }
        RequestState::Active | RequestState::Canceled => ExitCode::SUCCESS,
    })
}
