//! `atelier list`: requests, newest first, page by page.

use std::process::ExitCode;

use anyhow::Result;
use atelier_proto::{
    RequestId,
    http::{RequestList, RequestState, RequestSummary},
};
use clap::ValueEnum;

use crate::{
    client::{FarmArgs, LONGEST_PAGE, Wanted},
    show::{self, OutputArgs, Table},
};

/// List requests, newest first
#[derive(clap::Args)]
pub struct Args {
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Only those before this one: where the last page ended
    #[arg(long, value_name = "ID", value_parser = whole_id)]
    before: Option<RequestId>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// [`RequestState`] as a word of the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// Being worked on
    Active,
    /// A picture was made
    Succeeded,
    /// It could not be done
    Failed,
    /// The user stopped it
    Canceled,
}

impl From<State> for RequestState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Canceled => Self::Canceled,
        }
    }
}

fn whole_id(text: &str) -> Result<RequestId, String> {
    text.parse()
        .map_err(|_| "give a whole id, as 'atelier list' prints it".into())
}

/// Prints as many pages as it takes.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = args.farm.client()?;
    let state = args.state.map(RequestState::from);
    let mut left = if args.all { u32::MAX } else { args.limit };
    let mut list = RequestList {
        requests: Vec::new(),
        next: args.before,
    };
    while left > 0 {
        let page = client
            .list(Wanted {
                state,
                before: list.next,
                limit: left.min(LONGEST_PAGE),
            })
            .await?;
        left = left.saturating_sub(u32::try_from(page.requests.len()).unwrap_or(u32::MAX));
        list.requests.extend(page.requests);
        list.next = page.next;
        if list.next.is_none() {
            break;
        }
    }
    if args.output.is_json() {
        args.output.print(&list)?;
        return Ok(ExitCode::SUCCESS);
    }
    let none = state.map(|state| format!("no requests that are {}\n", state.as_str()));
    match none {
        Some(none) if list.requests.is_empty() => show::print(&none)?,
        _ => show::print(&table(&list.requests))?,
    }
    if let Some(next) = list.next {
        let state = state.map(|state| format!(" --state {}", state.as_str()));
        show::note(&format!(
            "there are more: atelier list{} --before {next}",
            state.unwrap_or_default()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The requests as a table, or a word about there being none.
pub fn table(requests: &[RequestSummary]) -> String {
    if requests.is_empty() {
        return "no requests: atelier submit \"an orange cat on the moon\"\n".into();
    }
    let now = jiff::Timestamp::now();
    let mut table = Table::new(&["REQUEST", "STATE", "AGE", "PROMPT"]);
    for request in requests {
        let (id, age) = (request.id.to_string(), show::ago(&request.created_at, now));
        table
            .row(&[&id, request.state.as_str(), &age, &request.prompt])
            .colour(1, show::state(request.state));
    }
    table.text()
}
