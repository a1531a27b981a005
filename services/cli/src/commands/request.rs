//! How commands are told which request is meant, and how one is described.

use std::fmt::Write as _;

use anyhow::Result;
use atelier_proto::http::RequestView;

use super::deliver::short_of_it;
use crate::{
    client::{Client, FarmArgs},
    show::{self, OutputArgs},
};

/// Which request.
#[derive(clap::Args, Clone, Debug)]
pub struct RequestId {
    /// Id of the request, its first or last characters (4 or more), or `last`
    pub id: String,
}

/// A request of a farm, for commands that have no further options.
#[derive(clap::Args, Clone, Debug)]
pub struct RequestOfFarm {
    #[command(flatten)]
    request: RequestId,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

impl RequestOfFarm {
    /// A client of the farm, and the request as it stands.
    pub async fn find(&self) -> Result<(Client, RequestView)> {
        let client = self.farm.client()?;
        let view = client.find(&self.request.id).await?;
        Ok((client, view))
    }
}

/// Where a request stands, in lines.
pub fn describe(view: &RequestView) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  {}, round {}, seed {}",
        show::bold(&view.id.to_string()),
        show::state(view.state),
        view.round,
        view.seed
    );
    let _ = writeln!(text, "  {}", show::line(&view.prompt));
    if let Some(reason) = &view.reason {
        let _ = writeln!(text, "  because {}", show::line(reason));
    }
    if !view.waiting_for.is_empty() {
        let kinds: Vec<&str> = view.waiting_for.iter().map(|kind| kind.as_str()).collect();
        let _ = writeln!(text, "  waits: no worker does {}", kinds.join(" and "));
    }
    if let Some(score) = &view.score {
        let (pass, fail, unknown) = (score.pass, score.fail, score.unknown);
        let _ = writeln!(
            text,
            "  checks: {pass} right, {fail} wrong, {unknown} undecided"
        );
    }
    if let Some(short) = short_of_it(view) {
        let _ = writeln!(text, "  {short}");
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
