//! `atelier open`: the farm's page, or that of a request, in the browser.

use std::{
    env,
    process::{Command, ExitCode, Stdio},
};

use anyhow::Result;

use crate::{client::FarmArgs, show};

/// Show the farm, or a request, in the browser
///
/// Prints the address, too, so that it can be opened elsewhere. The page asks for an API key once.
#[derive(clap::Args)]
pub struct Args {
    /// Id of a request, its first or last characters (4 or more), or `last`; without it, the gallery
    id: Option<String>,
    /// Only print the address
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    farm: FarmArgs,
}

/// Opens the page and prints where it is.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = args.farm.client()?;
    let url = match &args.id {
        Some(id) => {
            let view = client.find(id).await?;
            format!("{}/requests/{}", client.place().url, view.id)
        }
        None => format!("{}/", client.place().url),
    };
    show::print(&format!("{url}\n"))?;
    let browser = browser().filter(|_| !args.print);
    if let Some(browser) = browser
        && let Err(error) = begin(&browser, &url)
    {
        show::note(&format!("cannot start {browser}: {error}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The program that opens addresses; none where nobody would see it.
fn browser() -> Option<String> {
    let named = |name| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(browser) = named("BROWSER") {
        // Several, separated by colons, are tried in turn elsewhere; the first is the one that is liked best.
        return browser.split(':').next().map(str::to_owned);
    }
    if cfg!(target_os = "macos") {
        return Some("open".into());
    }
    named("WAYLAND_DISPLAY").or_else(|| named("DISPLAY"))?;
    Some("xdg-open".into())
}

/// Starts it and leaves it alone.
fn begin(browser: &str, url: &str) -> std::io::Result<()> {
    let mut words = browser.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().map(drop)
}
