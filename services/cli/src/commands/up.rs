//! `atelier up`: a farm on this machine, watched over until it is told to stop.

use std::{
    env,
    fs::File,
    io::Write,
    path::PathBuf,
    process::{ExitCode, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, setsid};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::DataArgs,
    exit::{FAILED, Interrupted},
    farm::{DataDir, Farm, FarmInfo, FarmOptions},
    servers::Parts,
};

/// Start a farm on this machine: queue, database, coordinator and workers
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Return once the farm is ready and leave it running; `atelier down` stops it.
    #[arg(long)]
    detach: bool,
    /// Worker processes.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Port of the API on 127.0.0.1; without it, the same as last time, or a free one.
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// What workers compute on: auto, cpu, cuda:0, ..
    #[arg(long, default_value = "auto")]
    device: String,
    /// Folder of the model; without it, the one that is shipped.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Language model of the planner (GGUF); without it, the one that deploy/setup fetched.
    #[arg(long, value_name = "FILE")]
    language: Option<PathBuf>,
    /// Folder that deploy/setup filled; without it, the one of this checkout.
    #[arg(long, value_name = "DIR", env = "ATELIER_DEPS")]
    deps: Option<PathBuf>,
    /// What workers draw with: `double` is for tests.
    #[arg(long, env = "ATELIER_ENGINE", default_value = "torch", hide = true)]
    engine: String,
    /// This process is the one that stays: its stdout is read until the farm is ready.
    #[arg(long, hide = true, conflicts_with = "detach")]
    stay: bool,
}

/// The line on stdout by which a farm that stays says that it is ready.
const READY: &str = "READY ";

/// Starts the farm; with --detach another process does.
pub async fn run(args: Args) -> Result<ExitCode> {
    let data = DataDir::at(&args.data.data)?;
    data.create()?;
    if args.detach {
        return detach(&data).await;
    }
    STAYS.store(args.stay, Ordering::Relaxed);
    if args.stay {
        setsid().context("cannot leave the terminal")?;
    }
    let result = stay(args, &data).await;
    if let (true, Err(error)) = (STAYS.load(Ordering::Relaxed), &result) {
        tell(&format!("{error:#}"));
    }
    result
}

/// Runs the farm until SIGINT or SIGTERM.
async fn stay(args: Args, data: &DataDir) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    stop_on_signal(&stop)?;
    let Some(_lock) = data.lock()? else {
        say(format!(
            "a farm runs in {} already",
            data.folder().display()
        ));
        return Ok(ExitCode::from(FAILED));
    };
    let options = FarmOptions {
        workers: args.workers,
        port: args.port,
        device: args.device,
        engine: args.engine,
        model: args.model.map(std::path::absolute).transpose()?,
        language: args.language.map(std::path::absolute).transpose()?,
    };
    let parts = Parts::find(args.deps.as_deref());
    let (farm, info) = Farm::start(data, &parts, &options, &stop, say).await?;
    if args.stay {
        tell(&format!("{READY}{}", info.server));
    } else {
        say(format!("API at {}; Ctrl-C stops the farm", info.server));
    }
    stop.cancelled().await;
    say("stopping".into());
    drop(farm);
    Ok(ExitCode::SUCCESS)
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

/// Whether somebody reads stdout until the farm is ready.
static STAYS: AtomicBool = AtomicBool::new(false);

/// Tells a step of the farm: to the terminal, or to the log and whoever waits for the farm.
fn say(step: String) {
    let step = crate::show::multiline(&step);
    if STAYS.load(Ordering::Relaxed) {
        eprintln!("{} {step}", jiff::Timestamp::now());
        tell(&step);
    } else {
        eprintln!("atelier: {step}");
    }
}

/// Writes to stdout; after the start nobody reads it any more, and that is fine.
fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Starts this program again with --stay and waits until its farm is ready.
async fn detach(data: &DataDir) -> Result<ExitCode> {
    if data.runner()?.is_some() {
        let info = wait_for_other(data).await?;
        eprintln!("atelier: a farm runs already, at {}", info.server);
        return Ok(ExitCode::SUCCESS);
    }
    let log = data.logs().join("farm.log");
    let errors = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot open {}", log.display()))?;
    let mut command = tokio::process::Command::new(env::current_exe()?);
    command
        .args(
            env::args_os()
                .skip(1)
                .filter(|argument| argument != "--detach"),
        )
        .arg("--stay")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors);
    let mut child = command.spawn().context("cannot start the farm's process")?;
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    let output = child.stdout.take().context("its stdout is a pipe")?;
    let mut lines = BufReader::new(output).lines();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => match line.strip_prefix(READY) {
                    Some(server) => {
                        eprintln!("atelier: API at {server}; 'atelier down' stops the farm");
                        return Ok(ExitCode::SUCCESS);
                    }
                    None => eprintln!("atelier: {line}"),
                },
                None => {
                    let status = child.wait().await?;
                    bail!("the farm did not start ({status}); see also {}", data.logs().display());
                }
            },
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    if let Some(pid) = pid {
        kill_process(pid, Signal::TERM)?;
    }
    child.wait().await?;
    Err(Interrupted("; the farm was stopped again".into()).into())
}

/// Waits until the farm that another process is starting is ready.
async fn wait_for_other(data: &DataDir) -> Result<FarmInfo> {
    while let Some(pid) = data.runner()? {
        if let Some(info) = data.info().filter(|info| info.pid == pid) {
            return Ok(info);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(anyhow!(
        "another process was starting a farm here and gave up; see {}",
        data.logs().display()
    ))
}
