//! `atelier submit`: draw a picture and watch it come about.

mod follow;
mod options;

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use atelier_proto::http::{RequestState, RequestView};

use super::files::{default_picture, trace_beside, write_whole};
use crate::{
    client::{Client, ServerArgs},
    exit, show,
};

/// Draw a picture
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    request: options::RequestArgs,
    /// Where the picture goes (- is stdout); without it, atelier-XXXXXXXX.png in this folder. The trace goes beside it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Wait for the picture. This is the default.
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Return as soon as the request is accepted; `atelier download ID` gets the picture later.
    #[arg(long, conflicts_with = "out")]
    no_wait: bool,
    /// Print the outcome as JSON, and no progress.
    #[arg(long)]
    json: bool,
}

/// Submits, follows, saves.
pub async fn run(args: Args) -> Result<ExitCode> {
    let body = args.request.body()?;
    let client = Client::new(args.server.place()?)?;
    let key = options::fresh_key()?;
    let view = client.submit(&body, &key).await?;
    if args.no_wait {
        let text = if args.json {
            json(&view, None)?
        } else {
            format!("{}\n", view.id)
        };
        show::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let view = follow::to_the_end(&client, view, args.json).await?;
    match view.state {
        RequestState::Succeeded => save(&client, &view, &args).await,
        _ => {
            if args.json {
                show::print(&json(&view, None)?)?;
            }
            let reason = view
                .reason
                .as_deref()
                .map(|reason| format!(": {}", show::line(reason)));
            eprintln!(
                "error: the request {}{}",
                past(view.state),
                reason.unwrap_or_default()
            );
            eprintln!("'atelier trace {}' tells what happened", view.id);
            Ok(ExitCode::from(exit::FAILED))
        }
    }
}

async fn save(client: &Client, view: &RequestView, args: &Args) -> Result<ExitCode> {
    let picture = patient(|| client.image(view.id)).await?;
    let out = args.out.clone().unwrap_or_else(|| default_picture(view.id));
    if out.as_os_str() == "-" {
        std::io::stdout().lock().write_all(&picture)?;
        return Ok(ExitCode::SUCCESS);
    }
    write_whole(&out, &picture)?;
    let trace = trace_beside(&out);
    write_whole(&trace, &patient(|| client.trace(view.id)).await?)?;
    if args.json {
        show::print(&json(view, Some((&out, &trace)))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    show::picture(&picture);
    let checks = view.score.map(|score| {
        let asked = score.pass + score.fail + score.unknown;
        format!("checks    {} of {asked} passed\n", score.pass)
    });
    show::print(&format!(
        "picture   {}\ntrace     {}\nrequest   {}, seed {}\n{}",
        out.display(),
        trace.display(),
        view.id,
        view.seed,
        checks.unwrap_or_default()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks again for a while: the farm may restart just now.
async fn patient<F: Future<Output = Result<Vec<u8>>>>(ask: impl Fn() -> F) -> Result<Vec<u8>> {
    for _ in 0..20 {
        match ask().await {
            Ok(bytes) => return Ok(bytes),
            Err(error) if error.is::<exit::Unreachable>() => {
                tokio::time::sleep(Duration::from_millis(500)).await
            }
            Err(error) => return Err(error),
        }
    }
    ask().await
}

fn json(view: &RequestView, files: Option<(&PathBuf, &PathBuf)>) -> Result<String> {
    let mut value = serde_json::to_value(view)?;
    let object = value.as_object_mut().context("a request is an object")?;
    if let Some((picture, trace)) = files {
        object.insert("picture_file".into(), picture.display().to_string().into());
        object.insert("trace_file".into(), trace.display().to_string().into());
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

const fn past(state: RequestState) -> &'static str {
    match state {
        RequestState::Canceled => "was canceled",
        RequestState::Failed => "failed",
        RequestState::Active => "is still being worked on",
        RequestState::Succeeded => "succeeded",
    }
}
