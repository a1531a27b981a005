//! `atelier replay`: does again what a trace tells, and compares.

mod compare;
mod tell;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use atelier_proto::{
    http::{RequestState, SubmitRequest, UploadedReference},
    trace::Trace,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use self::compare::{Comparison, Side};
use super::{follow, request::RequestOfFarm};
use crate::{
    client::{Client, patiently},
    exit,
    random::random_word,
    show::{self, Board},
};

/// Draw a request again from its trace and compare
///
/// The same prompt, seed, options and pictures are submitted as a new request that uses nothing which was kept from before. Then both
/// pictures are compared, byte by byte and pixel by pixel, and what differed on the way is told: model files, devices, programs, drawings
/// made at once. Exit status 1 unless the pictures are the same.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    request: RequestOfFarm,
}

/// Draws again, waits, compares.
pub async fn run(args: Args) -> Result<ExitCode> {
    let (client, view) = args.request.find().await?;
    let (id, json) = (view.id, args.request.output.is_json());
    if view.state != RequestState::Succeeded || view.image.is_none() {
        let state = view.state.as_str();
        bail!("request {id} is {state}: there is no picture to compare with");
    }
    let before = side(&client, id).await?;
    let body = again(&client, &before.trace).await?;
    let submitted = client.submit(&body, &random_word()?).await?;
    let mut lane = Board::new(json).lane(None);
    lane.say(&format!("request {}", submitted.id));
    let goes_on = format!(
        "; the request goes on: 'atelier cancel {}' stops it",
        submitted.id
    );
    let work = follow::to_the_end(&client, submitted, &mut lane);
    let ended = follow::unless_interrupted(work, &goes_on).await;
    lane.finish("");
    let ended = ended?;
    if ended.state != RequestState::Succeeded {
        let reason = ended.reason.unwrap_or_default();
        show::error(&format!(
            "drawn again it {}: {}\n'atelier trace {}' tells what happened",
            ended.state.as_str(),
            show::line(&reason),
            ended.id
        ));
        return Ok(ExitCode::from(exit::FAILED));
    }
    let after = side(&client, ended.id).await?;
    let comparison = Comparison::of(&before, &after)?;
    if json {
        args.request.output.print(&comparison)?;
    } else {
        show::print(&tell::tell(&comparison))?;
    }
    let code = if comparison.is_same() {
        0
    } else {
        exit::FAILED
    };
    Ok(ExitCode::from(code))
}

async fn side(client: &Client, id: atelier_proto::RequestId) -> Result<Side> {
    let document = patiently(|| client.trace(id)).await?;
    let trace = serde_json::from_slice(&document)
        .context("the trace is of another version; see it with 'atelier trace --json'")?;
    let picture = patiently(|| client.image(id)).await?;
    Ok(Side { trace, picture })
}

/// What was submitted, with the seed that was chosen and the pictures that were brought.
async fn again(client: &Client, trace: &Trace) -> Result<SubmitRequest> {
    let mut references = Vec::with_capacity(trace.pictures.len());
    for named in &trace.pictures {
        let digest = named.picture.sha256;
        let file = client.artifact(trace.request, digest).await;
        let file = file.with_context(|| format!("the picture of {:?}", named.name))?;
        references.push(UploadedReference {
            name: named.name.clone(),
            data: STANDARD.encode(file),
        });
    }
    if references.len() < trace.submitted.references.len() {
        bail!("the trace is from before it told which pictures were brought");
    }
    let brought = trace.plan_was_given();
    Ok(SubmitRequest {
        seed: Some(trace.seed),
        references,
        plan: trace.plan.clone().filter(|_| brought).map(Box::new),
        cache: Some(false),
        ..trace.submitted.clone()
    })
}
