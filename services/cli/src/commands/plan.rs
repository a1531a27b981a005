//! `atelier plan`: only the plan of a prompt, to be read, edited and given to `submit --plan`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use atelier_proto::{
    http::{RequestState, RequestView, SubmitRequest},
    job::MAX_THINK_TOKENS,
    plan::Plan,
    trace::Trace,
};
use serde::Serialize;

use super::{
    files::write_whole,
    follow,
    options::{Thinking, Urgency, prompt_of, references_of},
};
use crate::{
    client::{Client, FarmArgs, patiently},
    exit,
    random::random_word,
    show::{self, Board, OutputArgs},
};

/// Make only the plan of a picture: read it, edit it, draw it with `submit --plan`
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to plan; - reads it from stdin
    prompt: String,
    /// Where the plan goes; without it, to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The same seed makes the same plan
    #[arg(long)]
    seed: Option<u64>,
    /// A picture of a thing of the prompt, as in cat=my-cat.png; may be given up to 8 times
    #[arg(long = "ref", value_name = "NAME=FILE")]
    references: Vec<String>,
    /// How much to think
    #[arg(long, value_enum, default_value = "fast")]
    think: Thinking,
    /// Most tokens of the free thought of --think full, 1 to 4096; without it, as many as the planner likes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_THINK_TOKENS)))]
    think_tokens: Option<u32>,
    /// How urgent it is
    #[arg(long, value_enum, default_value = "interactive")]
    priority: Urgency,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

const EXAMPLES: &str = "\
Examples:
  atelier plan --out plan.json \"a cat left of a radio on the moon\"
  atelier submit --plan plan.json                    # draws it, edited or not
  atelier plan \"a cat\" | jq .elements";

/// A plan and where it comes from, for programs.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    view: &'a RequestView,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a Plan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_file: Option<&'a PathBuf>,
}

/// Asks for the plan, waits for it, prints it.
pub async fn run(args: Args) -> Result<ExitCode> {
    let body = SubmitRequest {
        prompt: prompt_of(&args.prompt)?,
        seed: args.seed,
        think: args.think.into(),
        think_tokens: args.think_tokens,
        priority: args.priority.into(),
        references: references_of(&args.references)?,
        plan_only: true,
        ..SubmitRequest::default()
    };
    let client = args.farm.client()?;
    let view = client.submit(&body, &random_word()?).await?;
    let json = args.output.is_json();
    let mut lane = Board::new(json).lane(None);
    let goes_on = format!(
        "; the request goes on: 'atelier cancel {}' stops it",
        view.id
    );
    let work = follow::to_the_end(&client, view, &mut lane);
    let view = follow::unless_interrupted(work, &goes_on).await;
    lane.finish("");
    let view = view?;
    let trace = match view.state {
        RequestState::Succeeded => Some(trace(&client, &view).await?),
        _ => None,
    };
    let plan = trace.as_ref().and_then(|trace| trace.plan.as_ref());
    let written = write(&args, plan)?;
    if json {
        let plan_file = written.then_some(args.out.as_ref()).flatten();
        args.output.print(&Made {
            view: &view,
            plan,
            plan_file,
        })?;
    } else if let (Some(trace), Some(plan)) = (&trace, plan) {
        show::note(&summary(trace, plan));
    }
    if plan.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    let reason = view.reason.as_deref().map(show::line).unwrap_or_default();
    show::error(&format!(
        "there is no plan: the request {} {reason}",
        view.state.as_str()
    ));
    Ok(ExitCode::from(exit::FAILED))
}

async fn trace(client: &Client, view: &RequestView) -> Result<Trace> {
    let document = patiently(|| client.trace(view.id)).await?;
    serde_json::from_slice(&document).context("the trace is of another version")
}

/// Puts the plan where it goes; programs that read JSON get it in their document.
fn write(args: &Args, plan: Option<&Plan>) -> Result<bool> {
    let Some(plan) = plan else { return Ok(false) };
    match &args.out {
        Some(file) => {
            let text = serde_json::to_string_pretty(plan)? + "\n";
            write_whole(file, text.as_bytes())?;
            Ok(true)
        }
        None if args.output.is_json() => Ok(false),
        None => {
            show::json(plan)?;
            Ok(false)
        }
    }
}

/// What is in the plan and what is not, in a few lines.
fn summary(trace: &Trace, plan: &Plan) -> String {
    let things: Vec<&str> = plan.elements.iter().map(|one| one.id.as_str()).collect();
    let stages: Vec<String> = plan
        .stages
        .iter()
        .map(|stage| format!("{} ({})", stage.id, stage.op.name()))
        .collect();
    let mut text = format!(
        "{} things: {}\non {} by {}\nstages: {}; {} checks",
        things.len(),
        things.join(", "),
        plan.background,
        plan.lighting,
        stages.join(", "),
        plan.checks.len()
    );
    for note in trace.thought.iter().flat_map(|thought| &thought.notes) {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}
