//! From accepted requests to files: what `submit` and `retry` have in common.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use atelier_proto::{
    http::{RequestState, RequestView},
    review::OutcomeMark,
};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    files::{PictureArgs, default_picture, numbered, trace_beside, write_whole},
    follow,
};
use crate::{
    client::{Client, patiently},
    exit::{self, Usage},
    show::{self, Board, Lane, OutputArgs, PreviewArgs, Table},
};

/// What happens once the farm has accepted a request.
#[derive(clap::Args, Clone, Debug)]
pub struct DeliveryArgs {
    /// Where the picture goes, - is stdout; without it, atelier-XXXXXXXX.png in this folder. The trace goes beside it,
    /// as NAME.trace.json. Several pictures are NAME-1.png, NAME-2.png, .. A name that ends in .jpg or .webp gets such a
    /// file, without what the PNG says of itself
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    picture: PictureArgs,
    #[command(flatten)]
    preview: PreviewArgs,
    /// Return as soon as the request is accepted: `atelier watch ID` follows it, `atelier download ID` gets the picture
    #[arg(long, conflicts_with = "out")]
    detach: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// A request that ended, or that nobody waits for, and what was saved of it.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    view: RequestView,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_file: Option<PathBuf>,
}

impl DeliveryArgs {
    /// Refuses what makes no sense for so many pictures, before anything is submitted.
    pub fn check(&self, pictures: usize) -> Result<()> {
        if pictures > 1 && self.to_stdout() {
            let message = "one picture only goes to stdout: name a file with --out";
            return Err(Usage(message.into()).into());
        }
        let folder = self.out.as_deref().and_then(Path::parent);
        match folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            Some(folder) => {
                Err(Usage(format!("--out: there is no folder {}", folder.display())).into())
            }
            None => Ok(()),
        }
    }

    /// Whether people follow it.
    pub fn is_shown(&self) -> bool {
        !self.output.is_json() && !self.detach
    }

    fn to_stdout(&self) -> bool {
        self.out.as_deref() == Some(Path::new("-"))
    }

    /// Where the picture of the request with this number goes, of so many.
    fn place(&self, view: &RequestView, number: usize, of: usize) -> PathBuf {
        match &self.out {
            Some(out) if of > 1 => numbered(out, number),
            Some(out) => out.clone(),
            None => default_picture(view.id),
        }
    }
}

/// Follows the requests to their end and saves the pictures; or only says which they are.
pub async fn deliver(
    client: &Client,
    views: Vec<RequestView>,
    args: &DeliveryArgs,
) -> Result<ExitCode> {
    if args.detach {
        return detach(views, args.output);
    }
    let goes_on = match &views[..] {
        [one] => format!(
            "; the request goes on: 'atelier watch {0}' follows it again, 'atelier cancel {0}' stops it",
            one.id
        ),
        _ => {
            "; the requests go on: 'atelier list' shows them, 'atelier cancel ID' stops one".into()
        }
    };
    let work = follow_all(client, views, args);
    let outcomes = follow::unless_interrupted(work, &goes_on).await?;
    let good = |outcome: &Outcome| outcome.view.state == RequestState::Succeeded;
    let code = if outcomes.iter().all(good) {
        0
    } else {
        exit::FAILED
    };
    match (&outcomes[..], args.output.is_json()) {
        _ if args.to_stdout() => outcomes.iter().for_each(complain),
        ([one], true) => args.output.print(one)?,
        ([one], false) => tell(one, args.preview)?,
        (all, true) => args.output.print(&serde_json::json!({ "requests": all }))?,
        (all, false) => tell_all(all)?,
    }
    Ok(ExitCode::from(code))
}

fn detach(views: Vec<RequestView>, output: OutputArgs) -> Result<ExitCode> {
    let outcome = |view| Outcome {
        view,
        picture_file: None,
        trace_file: None,
    };
    if !output.is_json() {
        let board = Board::new(false);
        for view in &views {
            board.lane(None).missing(view);
            show::print(&format!("{}\n", view.id))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut outcomes: Vec<Outcome> = views.into_iter().map(outcome).collect();
    match outcomes.len() {
        1 => output.print(&outcomes.remove(0))?,
        _ => output.print(&serde_json::json!({ "requests": outcomes }))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn follow_all(
    client: &Client,
    views: Vec<RequestView>,
    args: &DeliveryArgs,
) -> Result<Vec<Outcome>> {
    let board = Board::new(args.output.is_json()).with_previews(args.preview);
    let of = views.len();
    let mut running = JoinSet::new();
    for (index, view) in views.into_iter().enumerate() {
        let name = (of > 1).then(|| format!("{} of {of}", index + 1));
        let mut lane = board.lane(name);
        lane.say(&format!("request {}", view.id));
        let (client, args) = (client.clone(), args.clone());
        running.spawn(async move {
            let place = args.place(&view, index + 1, of);
            let outcome = one(&client, view, &mut lane, &place, args.picture).await;
            let words = match &outcome {
                Ok(outcome) => brief(outcome),
                Err(error) => show::line(&format!("{error:#}")),
            };
            lane.finish(&words);
            (index, outcome)
        });
    }
    let mut ended = Vec::with_capacity(of);
    while let Some(result) = running.join_next().await {
        ended.push(result.context("a request was not followed to its end")?);
    }
    ended.sort_by_key(|(index, _)| *index);
    ended.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Follows one request and saves what it made.
async fn one(
    client: &Client,
    view: RequestView,
    lane: &mut Lane,
    place: &Path,
    saved: PictureArgs,
) -> Result<Outcome> {
    let view = follow::to_the_end(client, view, lane).await?;
    let mut outcome = Outcome {
        view,
        picture_file: None,
        trace_file: None,
    };
    if outcome.view.state != RequestState::Succeeded {
        return Ok(outcome);
    }
    let id = outcome.view.id;
    let picture = patiently(|| client.image_to_keep(id)).await?;
    if place == Path::new("-") {
        show::print_raw(&picture)?;
        return Ok(outcome);
    }
    write_whole(place, &saved.file(place, picture)?)?;
    outcome.picture_file = Some(place.to_owned());
    let beside = trace_beside(place);
    write_whole(&beside, &patiently(|| client.trace(id)).await?)?;
    outcome.trace_file = Some(beside);
    Ok(outcome)
}

fn brief(outcome: &Outcome) -> String {
    let state = outcome.view.state.as_str();
    match (&outcome.picture_file, &outcome.view.reason) {
        (Some(file), _) => format!("{state}, {}", file.display()),
        (None, Some(reason)) => format!("{state}: {}", show::line(reason)),
        (None, None) => state.to_owned(),
    }
}

fn tell(outcome: &Outcome, preview: PreviewArgs) -> Result<()> {
    let (Some(picture), Some(trace)) = (&outcome.picture_file, &outcome.trace_file) else {
        complain(outcome);
        return Ok(());
    };
    if let Ok(bytes) = std::fs::read(picture) {
        show::picture(&bytes, preview.of_picture());
    }
    let view = &outcome.view;
    let checks = checks(view).map(|text| format!("checks    {text} passed\n"));
    let short = short_of_it(view).map(|text| format!("{text}\n"));
    show::print(&format!(
        "picture   {}\ntrace     {}\nrequest   {}, seed {}\n{}{}",
        picture.display(),
        trace.display(),
        view.id,
        view.seed,
        checks.unwrap_or_default(),
        short.unwrap_or_default()
    ))?;
    Ok(())
}

/// Says of a picture that did not pass that it is the best there was.
pub fn short_of_it(view: &RequestView) -> Option<String> {
    match view.outcome.as_ref()? {
        OutcomeMark::Accepted => None,
        OutcomeMark::BestSoFar { reason } => {
            Some(format!("the best so far: {}", show::line(reason)))
        }
    }
}

fn tell_all(outcomes: &[Outcome]) -> Result<()> {
    let mut table = Table::new(&["#", "STATE", "CHECKS", "SEED", "ID", "PICTURE"]);
    for (index, outcome) in outcomes.iter().enumerate() {
        let view = &outcome.view;
        let file = outcome.picture_file.as_ref();
        let last = file.map(|file| file.display().to_string());
        table.row(&[
            &(index + 1).to_string(),
            view.state.as_str(),
            &checks(view).unwrap_or_default(),
            &view.seed.to_string(),
            &view.id.to_string(),
            &last.or_else(|| view.reason.clone()).unwrap_or_default(),
        ]);
        table.colour(1, show::state(view.state));
    }
    show::print(&table.text())?;
    Ok(())
}

fn checks(view: &RequestView) -> Option<String> {
    let score = view.score?;
    let asked = score.pass + score.fail + score.unknown;
    Some(format!("{} of {asked}", score.pass))
}

/// Says on stderr why there is no picture.
fn complain(outcome: &Outcome) {
    let view = &outcome.view;
    let past = match view.state {
        RequestState::Canceled => "was canceled",
        RequestState::Failed => "failed",
        RequestState::Active => "is still being worked on",
        RequestState::Succeeded => return,
    };
    let reason = view.reason.as_deref();
    let reason = reason.map(|reason| format!(": {}", show::line(reason)));
    show::error(&format!(
        "the request {past}{}\n'atelier trace {id}' tells what happened, 'atelier retry {id}' tries again",
        reason.unwrap_or_default(),
        id = view.id
    ));
}
