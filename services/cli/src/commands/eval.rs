//! `atelier eval`: does thinking pay? A suite of prompts whose truth is declared, drawn in several ways, graded by a judge that has no part in the farm.

mod arms;
mod draw;
pub mod judge;
mod planned;
mod report;
mod run;
mod sheet;
mod stats;
pub mod suite;
mod summary;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};

use super::{files::write_whole, follow::unless_interrupted};
use crate::{
    client::FarmArgs,
    exit::Usage,
    servers::Parts,
    show::{self, Board},
};
use arms::Arm;
use draw::Studio;
use run::Run;

/// Measure what planning and checking are worth, on prompts whose truth is known
///
/// FILE has one prompt a line with what a right picture shows: GenEval's form, or ours (tests/prompts/eval.jsonl). Every arm draws every prompt with the
/// same seed; a judge that the farm does not know grades the pictures. The same command again goes on where it was interrupted, and draws again
/// what failed; with another --out it draws everything anew. Prompts that the judge cannot tell are left out of all numbers.
#[derive(clap::Args)]
pub struct Args {
    /// The suite, one JSON document a line
    file: PathBuf,
    /// Folder of the pictures; without it, FILE without its ending and with -eval
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Ways of drawing to compare
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "off,best_of_n,fast,full"
    )]
    arms: Vec<Arm>,
    /// Draw only so many prompts, spread evenly over the suite
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Seed of the drawings and of the intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Denoise steps; without it, as many as the model likes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Most rounds of drawing and checking, 1 to 4; 1 checks and mends nothing
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4))]
    max_rounds: Option<u32>,
    /// Most requests that the farm has at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    in_flight: u32,
    /// Who grades: mini, the judge of --model, or a command that reads questions and writes answers
    #[arg(long, value_name = "JUDGE", default_value = judge::OWN)]
    judge: String,
    /// Who chooses among the drawings of best_of_n: mini, the critic of --model, or a command
    #[arg(long, value_name = "CRITIC", default_value = judge::OWN)]
    critic: String,
    /// Model whose judge and critic are meant: a name that is shipped, or a folder
    #[arg(long, value_name = "MODEL", default_value = "atelier-mini")]
    model: String,
    /// Write everything as one JSON document to this file; - is stdout, instead of the tables
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    farm: FarmArgs,
}

/// Draws, grades and tells.
pub async fn run(args: Args) -> Result<ExitCode> {
    let cases = suite::read(&args.file, args.limit.map(|limit| limit as usize))?;
    let arms = arms::complete(&args.arms);
    let folder = folder(&args)?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let run = Run {
        studio: Studio {
            client: args.farm.client()?,
            word: Studio::word(&folder)?,
            folder: folder.clone(),
            in_flight: args.in_flight as usize,
        },
        board: Board::new(args.json.as_deref() == Some(Path::new("-"))),
        parts: Parts::find(None),
        cases,
        args,
    };
    let goes_on = "; what was sent goes on: the same command again waits for it and draws the rest";
    let summary = unless_interrupted(run.all(&arms), goes_on).await?;
    let document = serde_json::json!({
        "suite": run.args.file, "seed": run.args.seed, "folder": folder, "summary": summary,
    });
    match &run.args.json {
        Some(file) if file == Path::new("-") => show::json(&document)?,
        json => {
            if let Some(file) = json {
                write_whole(file, &serde_json::to_vec_pretty(&document)?)?;
            }
            show::print(&report::text(&summary))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn folder(args: &Args) -> Result<PathBuf> {
    if let Some(out) = &args.out {
        return Ok(out.clone());
    }
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    if stem.is_empty() {
        return Err(Usage("name a folder for the pictures with --out".into()).into());
    }
    Ok(args.file.with_file_name(format!("{stem}-eval")))
}
