//! A thousand requests while everything is killed, hung, cut, wiped and poisoned by a seeded schedule: nothing is lost, doubled or stuck.

mod draw;
mod farm;
mod ledger;
mod load;
mod options;
mod report;
mod schedule;
mod servers;
mod strike;
mod supervisor;
mod tap;
mod verdict;
mod wishes;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Parser;
use tokio::sync::watch;

use crate::{
    farm::Farm,
    load::Users,
    options::Options,
    schedule::{Fault, Kind},
    strike::Striker,
    supervisor::Supervisor,
    tap::Tap,
    verdict::{judge, settle},
    wishes::wishes,
};

/// Users may go on trying this long after the last fault.
const LAST_TRIES: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed;
    match run(&options, seed).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: seed {seed}: {error:?}");
            ExitCode::FAILURE
        }
    }
}

/// A whole run; says whether all went well.
async fn run(options: &Options, seed: u64) -> Result<bool> {
    let kinds = if options.only.is_empty() {
        Kind::ALL
    } else {
        &options.only
    };
    let faults = schedule::draw(seed, options.faults, kinds);
    println!(
        "chaos: seed {seed}, {} requests, {} faults",
        options.requests, options.faults
    );
    if options.schedule {
        faults.iter().for_each(|fault| println!("{fault}"));
        return Ok(true);
    }
    let folder = own_folder(seed)?;
    let good = in_folder(options, seed, faults, &folder).await;
    if options.keep || !matches!(good, Ok(true)) {
        println!(
            "chaos: logs are in {}; repeat with --seed {seed}",
            folder.display()
        );
    } else {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    good
}

async fn in_folder(
    options: &Options,
    seed: u64,
    faults: Vec<Fault>,
    folder: &Path,
) -> Result<bool> {
    let began = Instant::now();
    let farm = Arc::new(Farm::start(folder, options.without_reconcile).await?);
    let client = async_nats::ConnectOptions::new()
        .max_reconnects(None)
        .connect(&farm.nats_url)
        .await?;
    let tap = Tap::start(&client, &farm.names).await?;
    let (over, give_up) = watch::channel(false);
    let users = Users::new(farm.apis.clone(), give_up);
    let supervisor = Supervisor::default();
    let supervising = tokio::spawn(supervisor.clone().run(farm.clone()));
    let striker = Striker::new(farm.clone(), users.clone(), tap.clone(), client);

    let start = Instant::now();
    let time = schedule::load_time(options.faults);
    let loading = {
        let (users, wishes) = (users.clone(), wishes(seed, options.requests, time));
        tokio::spawn(async move { users.run(start, wishes).await })
    };
    let done = striker.run(start, faults).await;
    eprintln!(
        "chaos: {:.1} s: the last fault is over",
        start.elapsed().as_secs_f64()
    );
    tokio::time::sleep_until((start + time).into()).await;
    let calm = Instant::now();
    let patience = Duration::from_secs(options.settle_s);
    // Users give up before the farm does: what was never acknowledged is no promise, but a complaint.
    let giving_up = tokio::spawn(async move {
        tokio::time::sleep(LAST_TRIES.min(patience)).await;
        over.send_replace(true);
    });
    loading.await?;
    let stuck = settle(&farm, patience.saturating_sub(calm.elapsed())).await?;
    eprintln!(
        "chaos: {:.1} s after the load ended {stuck} requests are active",
        calm.elapsed().as_secs_f64()
    );
    giving_up.abort();
    supervising.abort();
    let deaths = supervisor.deaths();
    let verdict = judge(options, &farm, &users.ledger, &tap, &done, &deaths).await?;
    report::print(seed, began.elapsed(), &done, &verdict, deaths.len());
    if let Some(file) = &options.json {
        report::write(file, seed, began.elapsed(), &done, &verdict)?;
    }
    Ok(verdict.is_good())
}

/// A folder of this run; others may walk through it, since PostgreSQL may run as somebody else.
fn own_folder(seed: u64) -> Result<PathBuf> {
    let name = format!("atelier-chaos-{seed}-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}
