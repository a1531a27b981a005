//! `atelier trace`: how a picture came about, in words, as JSON, or as a page for a browser.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use atelier_proto::{Sha256, job::JobKind, trace::Trace};
use atelier_story::{Pictures, page};

use super::{files::write_whole, request::RequestOfFarm};
use crate::{client::Client, show};

/// Most bytes of pictures on a page.
const MOST_BYTES: u64 = 128 << 20;

/// Tell how a picture came about: thought, plan, stages, checks, rounds, cost, end
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    request: RequestOfFarm,
    /// Write it as one page for a browser, with every picture in it and its boxes drawn over it; - is stdout
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

/// Tells the story, writes it as a page, or prints the document as it is.
pub async fn run(args: Args) -> Result<ExitCode> {
    let (client, view) = args.request.find().await?;
    let document = client.trace(view.id).await?;
    if args.request.output.is_json() {
        let value: serde_json::Value =
            serde_json::from_slice(&document).context("the trace is no JSON")?;
        args.request.output.print(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let trace: Trace = serde_json::from_slice(&document)
        .context("the trace is of another version; see it with --json")?;
    match args.html.as_deref() {
        None => show::print(&show::story(&trace))?,
        Some(file) => {
            let page = page(&trace, &pictures(&client, &trace).await);
            save(file, page.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn save(file: &Path, page: &[u8]) -> Result<()> {
    if file == Path::new("-") {
        return Ok(show::print_raw(page)?);
    }
    write_whole(file, page)?;
    Ok(show::print(&format!("{}\n", file.display()))?)
}

/// The result and what the stages drew, as far as the farm has them and there is room; the page tells of those that are missing.
async fn pictures(client: &Client, trace: &Trace) -> Pictures {
    let mut found = Pictures::new();
    let mut room = MOST_BYTES;
    for picture in wanted(trace) {
        let (digest, bytes) = picture;
        if found.contains_key(&digest) || bytes > room {
            continue;
        }
        match client.artifact(trace.request, digest).await {
            Ok(file) => {
                room = room.saturating_sub(file.len() as u64);
                found.insert(digest, file);
            }
            Err(error) => show::note(&format!("without the picture {digest}: {error:#}")),
        }
    }
    found
}

/// Digests and lengths, the result first.
fn wanted(trace: &Trace) -> impl Iterator<Item = (Sha256, u64)> {
    let drawn = trace
        .jobs
        .iter()
        .filter(|job| job.kind == JobKind::Render)
        .filter_map(|job| job.artifact);
    trace
        .image
        .into_iter()
        .chain(drawn)
        .map(|picture| (picture.sha256, picture.bytes))
}
