//! `atelier batch`: a file of requests, drawn a few at a time; what was interrupted goes on where it stopped.

pub mod lines;
pub mod results;
mod run;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;

use super::{follow::unless_interrupted, options::Urgency};
use crate::{
    client::FarmArgs,
    exit::{self, Usage},
    show::{self, OutputArgs},
};
use results::{Results, Tally};
use run::Run;

/// Draw every line of a file
///
/// FILE has one JSON document a line: the body of a request, as in {"prompt": "a cat", "seed": 7}. Pictures go into a
/// folder, named by their lines (0007.png), with one line each in results.jsonl. The same command again goes on where
/// it was interrupted and draws nothing twice.
#[derive(clap::Args)]
pub struct Args {
    /// File of requests, one JSON document a line; - is stdin
    file: PathBuf,
    /// Folder of the pictures and results.jsonl; without it, FILE without its ending
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Most requests that the farm has of this file at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    in_flight: u32,
    /// How urgent lines are that do not say it themselves
    #[arg(long, value_enum, default_value = "batch")]
    priority: Urgency,
    /// Save traces beside the pictures as well
    #[arg(long)]
    traces: bool,
    /// Try lines again whose request failed or was canceled before
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// Draws the lines. Exit status 1 if one of them has no picture in the end.
pub async fn run(args: Args) -> Result<ExitCode> {
    let folder = folder(&args)?;
    let lines = lines::read(&args.file, args.priority.into())?;
    let client = args.farm.client()?;
    let mut results = Results::open(&folder)?;
    let total = lines.len();
    let run = Run {
        client,
        folder: folder.clone(),
        traces: args.traces,
        retry_failed: args.retry_failed,
        in_flight: args.in_flight as usize,
        quiet: args.output.is_json(),
    };
    let goes_on = "; what was sent goes on: the same command again waits for it and sends the rest";
    let tally = unless_interrupted(run.all(lines, &mut results), goes_on).await?;
    results.sort()?;
    tell(&tally, total, &folder, args.output)?;
    Ok(ExitCode::from(match tally.without.is_empty() {
        true => 0,
        false => exit::FAILED,
    }))
}

fn folder(args: &Args) -> Result<PathBuf> {
    if let Some(out) = &args.out {
        return Ok(out.clone());
    }
    if args.file == Path::new("-") {
        return Err(Usage("name a folder for the pictures with --out".into()).into());
    }
    let folder = args.file.with_extension("");
    if folder == args.file {
        let message = format!(
            "{} has no ending that could be left off: name a folder for the pictures with --out",
            args.file.display()
        );
        return Err(Usage(message).into());
    }
    Ok(folder)
}

fn tell(tally: &Tally, total: usize, folder: &Path, output: OutputArgs) -> Result<()> {
    let results = folder.join(results::NAME);
    if output.is_json() {
        return output.print(&serde_json::json!({
            "lines": total,
            "succeeded": tally.succeeded,
            "failed": tally.without.len(),
            "kept": tally.kept,
            "folder": folder,
            "results": results,
        }));
    }
    let kept = match tally.kept {
        0 => String::new(),
        kept => format!(", {kept} of them from before"),
    };
    show::print(&format!(
        "pictures  {} of {total} in {}{kept}\nresults   {}\n",
        tally.succeeded,
        folder.display(),
        results.display()
    ))?;
    if !tally.without.is_empty() {
        show::error(&format!(
            "{} without a picture: {}; --retry-failed tries them again",
            tally.without.len(),
            some(&tally.without)
        ));
    }
    Ok(())
}

/// The first few line numbers.
fn some(lines: &[usize]) -> String {
    const SHOWN: usize = 10;
    let numbers: Vec<String> = lines.iter().take(SHOWN).map(usize::to_string).collect();
    let more = if lines.len() > SHOWN { ", .." } else { "" };
    let word = if lines.len() == 1 { "line" } else { "lines" };
    format!("{word} {}{more}", numbers.join(", "))
}
