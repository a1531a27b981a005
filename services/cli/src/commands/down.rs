//! `atelier down`: stop the farm on this machine.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{client::DataArgs, farm::DataDir};

/// Stop the farm on this machine; its data stays
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
}

/// Longer than the patience that the farm has with all of its processes together.
const PATIENCE: Duration = Duration::from_secs(150);

/// Ends the process that watches over the farm, which ends all others, and waits until it is gone.
pub async fn run(args: Args) -> Result<ExitCode> {
    let data = DataDir::at(&args.data.data)?;
    let before = Instant::now();
    let Some(pid) = runner(&data).await? else {
        eprintln!("atelier: no farm runs in {}", data.folder().display());
        return Ok(ExitCode::SUCCESS);
    };
    kill_process(pid, Signal::TERM).context("cannot stop the farm (did another user start it?)")?;
    while data.runner()?.is_some() {
        if before.elapsed() > PATIENCE {
            // Its children are told by the kernel.
            kill_process(pid, Signal::KILL)?;
            bail!(
                "the farm did not stop after {} s and was killed",
                PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    eprintln!(
        "atelier: farm stopped in {:.1} s",
        before.elapsed().as_secs_f64()
    );
    Ok(ExitCode::SUCCESS)
}

/// The process that holds the folder; it writes its id right after it took the lock.
async fn runner(data: &DataDir) -> Result<Option<Pid>> {
    for _ in 0..100 {
        match data.runner()? {
            None => return Ok(None),
            Some(0) => tokio::time::sleep(Duration::from_millis(10)).await,
            Some(pid) => return Ok(Pid::from_raw(pid.cast_signed())),
        }
    }
    bail!(
        "{} is locked by a process that does not say who it is",
        data.folder().display()
    )
}
