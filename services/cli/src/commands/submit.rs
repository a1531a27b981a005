//! `atelier submit`: draw a picture and watch it come about.

use std::process::ExitCode;

use anyhow::Result;
use atelier_proto::http::RequestView;

use super::{
    deliver::{DeliveryArgs, deliver},
    options::RequestArgs,
};
use crate::{client::FarmArgs, random::random_word};

/// Draw a picture and watch it come about
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    request: RequestArgs,
    /// Draw so many pictures, each with a seed of its own: SEED, SEED+1, .. if --seed is given
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    number: u32,
    /// The same word is the same request: it is drawn once, however often it is sent
    #[arg(long, value_name = "WORD")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

const EXAMPLES: &str = "\
Examples:
  atelier submit --out cat.png \"an orange cat left of a radio on the moon\"
  atelier submit --ref mug=my-mug.png \"my mug on a beach at sunset\"
  atelier submit --plan plan.json                          # made by 'atelier plan', edited
  atelier submit -n 4 --seed 1 --out cat.png \"a cat\"     # cat-1.png to cat-4.png
  atelier submit --detach --priority batch \"a cat\"       # prints the id";

/// Submits, follows, saves.
pub async fn run(args: Args) -> Result<ExitCode> {
    let body = args.request.body(&args.farm.defaults()?)?;
    args.delivery.check(args.number as usize)?;
    let client = args.farm.client()?;
    let word = match args.idempotency_key {
        Some(word) => word,
        // No other call uses it: a submit that is sent twice stays one request.
        None => random_word()?,
    };
    let mut views = Vec::new();
    for number in 0..args.number {
        let mut body = body.clone();
        body.seed = body.seed.map(|seed| seed.wrapping_add(number.into()));
        let key = match args.number {
            1 => word.clone(),
            _ => format!("{word}-{}", number + 1),
        };
        match client.submit(&body, &key).await {
            Ok(view) => views.push(view),
            Err(error) if views.is_empty() => return Err(error),
            Err(error) => return Err(error.context(accepted(&views))),
        }
    }
    deliver(&client, views, &args.delivery).await
}

/// What was accepted before a submit failed.
fn accepted(views: &[RequestView]) -> String {
    let ids: Vec<String> = views.iter().map(|view| view.id.to_string()).collect();
    format!(
        "these were accepted and go on: {}; the next was not",
        ids.join(", ")
    )
}
