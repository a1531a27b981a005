//! `atelier status`: where requests stand.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Result;
use atelier_proto::http::{RequestList, RequestView, WorkerView};

use crate::{
    client::{Client, ServerArgs},
    show,
};

/// Show the newest requests and the workers, or one request
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Id of a request, or `last`; without it, the newest requests and the workers.
    id: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// How many requests are listed.
const NEWEST: u32 = 20;

/// Prints one request, or the overview.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = Client::new(args.server.place()?)?;
    let text = if let Some(id) = &args.id {
        let view = client.view(client.resolve(id).await?).await?;
        if args.json { json(&view)? } else { one(&view) }
    } else {
        let list = client.list(NEWEST).await?;
        let workers = client.workers().await?;
        if args.json {
            json(&serde_json::json!({"requests": list.requests, "workers": workers}))?
        } else {
            overview(client.server(), &list, &workers)
        }
    };
    show::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn one(view: &RequestView) -> String {
    let mut text = String::new();
    let state = view.state.as_str();
    let _ = writeln!(
        text,
        "{}  {state}, round {}, seed {}",
        view.id, view.round, view.seed
    );
    let _ = writeln!(text, "  {}", show::line(&view.prompt));
    if let Some(reason) = &view.reason {
        let _ = writeln!(text, "  because {}", show::line(reason));
    }
    if let Some(score) = &view.score {
        let (pass, fail, unknown) = (score.pass, score.fail, score.unknown);
        let _ = writeln!(
            text,
            "  checks: {pass} right, {fail} wrong, {unknown} undecided"
        );
    }
    for job in &view.jobs {
        let stage = job
            .stage
            .as_deref()
            .map(|stage| format!(" {}", show::line(stage)));
        let (kind, stage) = (job.kind.as_str(), stage.unwrap_or_default());
        let (round, state, attempt) = (job.round, show::line(&job.state), job.attempt);
        let reason = job
            .reason
            .as_deref()
            .map(|reason| format!(": {}", show::line(reason)));
        let reason = reason.unwrap_or_default();
        let _ = writeln!(
            text,
            "  round {round}  {kind}{stage}  {state} (attempt {attempt}){reason}"
        );
    }
    text
}

fn overview(server: &str, list: &RequestList, workers: &[WorkerView]) -> String {
    let mut text = format!("Farm at {server}\n\nWorkers\n");
    if workers.is_empty() {
        text.push_str("  none: requests wait until one comes\n");
    }
    for worker in workers {
        let roles: Vec<&str> = worker.roles.iter().map(|role| role.as_str()).collect();
        let _ = writeln!(
            text,
            "  {}  {} on {}  {}  {} in hand",
            show::line(&worker.name),
            show::line(&worker.model),
            show::line(&worker.device),
            roles.join(","),
            worker.busy
        );
    }
    text.push_str("\nRequests, newest first\n");
    if list.requests.is_empty() {
        text.push_str("  none yet: atelier submit \"an orange cat on the moon\"\n");
    }
    for request in &list.requests {
        let (state, prompt) = (request.state.as_str(), show::short(&request.prompt, 60));
        let _ = writeln!(text, "  {}  {state:9}  {prompt}", request.id);
    }
    text
}
