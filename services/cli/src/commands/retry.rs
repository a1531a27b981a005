//! `atelier retry`: the same again, as a new request.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    deliver::{DeliveryArgs, deliver},
    request::RequestId,
};
use crate::{client::FarmArgs, random::random_word, show};

/// Try a failed or canceled request again, as a new one
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    request: RequestId,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// Makes the new request, follows it, saves what it made.
pub async fn run(args: Args) -> Result<ExitCode> {
    args.delivery.check(1)?;
    let client = args.farm.client()?;
    let old = client.find(&args.request.id).await?;
    let view = client.retry(old.id, &random_word()?).await?;
    if args.delivery.is_shown() {
        show::note(&format!("request {} again", old.id));
    }
    deliver(&client, vec![view], &args.delivery).await
}
