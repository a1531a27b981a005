//! `up --detach`: starts this program again as the process that stays, and waits until its farm is ready.

use std::{
    env,
    fs::File,
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use super::{READY, runs_already};
use crate::{
    exit::Interrupted,
    farm::DataDir,
    show::{self, OutputArgs},
};

/// Starts the farm and prints where it is.
pub async fn run(data: &DataDir, output: OutputArgs) -> Result<ExitCode> {
    if data.runner()?.is_some() {
        bail!(runs_already(data)?);
    }
    let mut child = start(data)?;
    let out = child.stdout.take().context("its stdout is a pipe")?;
    let mut lines = BufReader::new(out).lines();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line?,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        match line {
            Some(line) if line == READY => return ready(data, output),
            Some(line) => show::note(&format!("atelier: {line}")),
            None => {
                let (status, logs) = (child.wait().await?, data.logs());
                bail!(
                    "the farm did not start ({status}); its logs are in {}",
                    logs.display()
                );
            }
        }
    }
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        kill_process(pid, Signal::TERM)?;
    }
    child.wait().await?;
    Err(Interrupted("; the farm was stopped again".into()).into())
}

/// The same command line, without --detach; what it says on stderr is its log.
fn start(data: &DataDir) -> Result<Child> {
    let log = data.logs().join("farm.log");
    let errors = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot open {}", log.display()))?;
    let arguments = env::args_os().skip(1);
    Command::new(env::current_exe()?)
        .args(arguments.filter(|argument| argument != "--detach"))
        .arg("--stay")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .context("cannot start the farm's process")
}

fn ready(data: &DataDir, output: OutputArgs) -> Result<ExitCode> {
    let info = data.info().context("the farm left no farm.json")?;
    let key = data.key_file();
    if output.is_json() {
        output.print(&serde_json::json!({
            "url": info.url,
            "key_file": key,
            "data": data.folder(),
            "pid": info.pid,
        }))?;
    } else {
        show::print(&format!("url  {}\nkey  {}\n", info.url, key.display()))?;
        show::note("atelier: 'atelier down' stops the farm");
    }
    Ok(ExitCode::SUCCESS)
}
