//! `atelier up`: a farm on this machine, watched over until it is told to stop.

mod detach;
mod say;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use rustix::process::setsid;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    client::DataArgs,
    exit::Usage,
    farm::{DataDir, Farm, FarmOptions},
    servers::Parts,
    show::OutputArgs,
};
use say::{say, tell};

/// Start a farm on this machine: queue, database, coordinators and workers
#[derive(clap::Args)]
pub struct Args {
    /// Return once the farm is ready, print its address and where its key is; `atelier down` stops it
    #[arg(long)]
    detach: bool,
    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Coordinator processes: each serves the API on a port of its own, and any of them may die
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    coordinators: u32,
    /// Port of the API on 127.0.0.1; without it, the same as last time, or a free one
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Take other ports where those of the last time are not free any more
    #[arg(long)]
    free_ports: bool,
    /// What workers compute on: auto, cpu, cuda:0, ..
    #[arg(long, default_value = "auto")]
    device: String,
    /// Folder of the model, or of a FLUX.2 klein or Z-Image pipeline; without it, the one that is shipped
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Language model of the planner (GGUF); without it, the one that deploy/setup fetched
    #[arg(long, value_name = "FILE")]
    language: Option<PathBuf>,
    /// Folder of a Qwen3-VL that answers checks in words; a FLUX.2 klein or Z-Image pipeline cannot look at pictures without one
    #[arg(long, value_name = "DIR")]
    critic: Option<PathBuf>,
    /// Library of pictures that things are drawn from (index.json and one picture a thing); without it, the model's own
    #[arg(long, value_name = "DIR")]
    props: Option<PathBuf>,
    /// Folder that deploy/setup filled; without it, the one of this checkout
    #[arg(long, value_name = "DIR", env = "ATELIER_DEPS", hide_env_values = true)]
    deps: Option<PathBuf>,
    /// What workers draw with: torch, or double, which stands in for the networks in tests
    #[arg(
        long,
        env = "ATELIER_ENGINE",
        hide_env_values = true,
        default_value = "torch",
        hide_short_help = true
    )]
    engine: String,
    /// This process is the one that stays: its stdout is read until the farm is ready.
    #[arg(long, hide = true, conflicts_with = "detach")]
    stay: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    data: DataArgs,
}

/// The line on stdout by which a farm that stays says that it is ready.
const READY: &str = "READY";
/// Allows the engine that draws no pictures.
const ALLOW_DOUBLE: &str = "ATELIER_ALLOW_TEST_DOUBLE";

/// Starts the farm; with --detach another process does.
pub async fn run(args: Args) -> Result<ExitCode> {
    check_engine(&args.engine)?;
    let data = DataDir::at(&args.data.data)?;
    data.create()?;
    if args.detach {
        return detach::run(&data, args.output).await;
    }
    if args.stay {
        say::to_log();
        setsid().context("cannot leave the terminal")?;
    }
    let stays = args.stay;
    let result = stay(args, &data).await;
    if let (true, Err(error)) = (stays, &result) {
        tell(&format!("{error:#}"));
    }
    result
}

/// The double is for tests: nobody gets it by accident.
fn check_engine(engine: &str) -> Result<(), Usage> {
    let allowed = std::env::var(ALLOW_DOUBLE).is_ok_and(|value| value == "1");
    match engine {
        "torch" => Ok(()),
        "double" if allowed => Ok(()),
        "double" => Err(Usage(format!(
            "--engine double stands in for the networks in tests and draws nothing that was asked for: set {ALLOW_DOUBLE}=1 to use it all the same"
        ))),
        other => Err(Usage(format!(
            "--engine {other}: there is torch, and double for tests"
        ))),
    }
}

/// Runs the farm until SIGINT or SIGTERM.
async fn stay(args: Args, data: &DataDir) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    stop_on_signal(&stop)?;
    let Some(_lock) = data.lock()? else {
        bail!(runs_already(data)?);
    };
    let options = FarmOptions {
        coordinators: args.coordinators,
        workers: args.workers,
        port: args.port,
        free_ports: args.free_ports,
        device: args.device,
        engine: args.engine,
        model: args.model.map(std::path::absolute).transpose()?,
        language: args.language.map(std::path::absolute).transpose()?,
        critic: args.critic.map(std::path::absolute).transpose()?,
        props: args.props.map(std::path::absolute).transpose()?,
    };
    let parts = Parts::find(args.deps.as_deref());
    let (farm, info) = Farm::start(data, &parts, &options, &stop, say).await?;
    if args.stay {
        tell(READY);
    } else {
        let key = data.key_file();
        say(format!(
            "API at {}, key in {}; Ctrl-C stops the farm",
            info.url,
            key.display()
        ));
    }
    stop.cancelled().await;
    say("stopping".into());
    drop(farm);
    Ok(ExitCode::SUCCESS)
}

/// The sentence that refuses a second farm in one folder.
fn runs_already(data: &DataDir) -> Result<String> {
    let folder = data.folder().display();
    Ok(match (data.running()?, data.runner()?) {
        (Some(info), _) => format!(
            "a farm runs in {folder} already, at {} (process {}, ready since {}): 'atelier down' stops it, --data DIR puts another one elsewhere",
            info.url, info.pid, info.ready_at
        ),
        (None, Some(pid)) => format!(
            "a farm is being started in {folder} just now (process {pid}): 'atelier down' stops it, --data DIR puts another one elsewhere"
        ),
        (None, None) => format!("a farm in {folder} has just been stopped: try again"),
    })
}

fn stop_on_signal(stop: &CancellationToken) -> Result<()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
