//! A farm is brought to another version while people use it: every coordinator and every worker ends by SIGTERM and comes back as the new one,
//! one after the other, so that old and new work side by side meanwhile. Nothing may be lost, refused for good or counted as failed, and the
//! table says what people feel of it.
//!
//! `deploy/test rolling [--old FOLDER] [--rate N] [--phase-s N] [--json FILE]`

mod load;
mod options;
mod report;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
use atelier_tests::{Coordinator, Program, Sandbox, Worker};
use clap::Parser;
use load::Load;
use options::Options;
use report::{Phase, Report};
use sqlx::Row;

/// Coordinators, and workers.
const EACH: (usize, usize) = (2, 3);
/// How long a program may take to end.
const END: Duration = Duration::from_secs(30);
/// Between two restarts, so that old and new share the work for a while.
const SIDE_BY_SIDE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(()) => {
            println!("test result: ok. 1 passed; 0 failed; 0 ignored");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rolling: {error:#}");
            println!("test result: FAILED. 0 passed; 1 failed; 0 ignored");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let sandbox = Sandbox::start().await?;
    sandbox.use_programs_of(options.old.clone());
    let mut coordinators = (1..=EACH.0)
        .map(|number| {
            sandbox.coordinator(&format!("coordinator-{number}"), &["--lease-ms", "3000"])
        })
        .collect::<Result<Vec<_>>>()?;
    let mut workers = (1..=EACH.1)
        .map(|number| sandbox.worker(&format!("worker-{number}"), &["--double-step-ms", "10"]))
        .collect::<Result<Vec<_>>>()?;
    sandbox.use_programs_of(None);

    let apis = coordinators.iter().map(|it| it.api.clone()).collect();
    let load = Load::start(apis, options.rate);
    let calm = Duration::from_secs(options.phase_s);
    tokio::time::sleep(calm).await;
    load.enter(Phase::During);
    roll(&sandbox, &mut coordinators, &mut workers).await?;
    load.enter(Phase::After);
    tokio::time::sleep(calm).await;
    let done = load.stop().await?;

    let report = Report::new(options, &done);
    print!("{}", report.table());
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report.json())?)
            .with_context(|| format!("write {}", file.display()))?;
    }
    let accepted = done.len() as i64;
    let mut database = sandbox.database().await?;
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM requests) AS requests,
                (SELECT count(*) FROM requests WHERE state = 'succeeded') AS succeeded,
                (SELECT coalesce(sum(failures), 0)::bigint FROM jobs) AS failures",
    )
    .fetch_one(&mut database)
    .await?;
    let (requests, succeeded, failures): (i64, i64, i64) = (
        row.get("requests"),
        row.get("succeeded"),
        row.get("failures"),
    );
    println!(
        "accepted {accepted}, in the database {requests}, succeeded {succeeded}, attempts counted as failed {failures}"
    );
    ensure!(accepted > 0, "nothing was accepted");
    ensure!(
        requests == accepted,
        "lost or doubled: {requests} rows for {accepted} submits"
    );
    ensure!(
        succeeded == accepted,
        "{} requests did not succeed",
        accepted - succeeded
    );
    ensure!(failures == 0, "{failures} attempts were counted as failed");
    Ok(())
}

/// Coordinators first: they bring the schema up to date, and the chart's order is the same.
async fn roll(
    sandbox: &Sandbox,
    coordinators: &mut [Coordinator],
    workers: &mut [Worker],
) -> Result<()> {
    for coordinator in coordinators {
        renew(
            &mut coordinator.program,
            sandbox.binary("atelier-coordinator")?,
        )?;
        tokio::task::block_in_place(|| coordinator.restart())?;
        tokio::time::sleep(SIDE_BY_SIDE).await;
    }
    for worker in workers {
        renew(&mut worker.program, sandbox.binary("atelier-worker")?)?;
        tokio::task::block_in_place(|| worker.restart())?;
        tokio::time::sleep(SIDE_BY_SIDE).await;
    }
    Ok(())
}

fn renew(program: &mut Program, binary: std::path::PathBuf) -> Result<()> {
    let status = tokio::task::block_in_place(|| program.terminate(END))?;
    ensure!(
        status.success(),
        "{} ended with {status}:\n{}",
        program.name(),
        program.log_tail()
    );
    program.become_binary(binary);
    Ok(())
}
