//! `atelier watch`: follow a request to its end.

use std::process::ExitCode;

use anyhow::Result;
use atelier_proto::http::RequestState;

use super::{
    follow,
    request::{RequestOfFarm, describe},
};
use crate::{
    exit,
    show::{self, Board, PreviewArgs},
};

/// Follow a request to its end
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    request: RequestOfFarm,
    #[command(flatten)]
    preview: PreviewArgs,
}

/// Shows progress, then how the request ended. Exit status 1 unless there is a picture.
pub async fn run(args: Args) -> Result<ExitCode> {
    let (client, found) = args.request.find().await?;
    let id = found.id;
    let json = args.request.output.is_json();
    let mut lane = Board::new(json).with_previews(args.preview).lane(None);
    let goes_on = format!("; the request goes on: 'atelier cancel {id}' stops it");
    let work = follow::to_the_end(&client, found, &mut lane);
    let view = follow::unless_interrupted(work, &goes_on).await;
    lane.finish("");
    let view = view?;
    if json {
        args.request.output.print(&view)?;
    } else {
        show::print(&describe(&view))?;
    }
    if view.state == RequestState::Succeeded {
        return Ok(ExitCode::SUCCESS);
    }
    show::error(&format!(
        "there is no picture: the request is {}",
        view.state.as_str()
    ));
    Ok(ExitCode::from(exit::FAILED))
}
