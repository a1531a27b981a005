//! What the coordinators' statements cost with 100,000 finished requests behind them (a million: `deploy/test plans -- --ignored`).
//!
//! Two coordinators and a worker do all that a farm does, and PostgreSQL logs how it carried out every statement (auto_explain): the very
//! statements with the very plans, settings and parameters, none copied here.

mod cost;
mod load;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use atelier_tests::{Sandbox, finished};
use cost::{Costs, Verdict};
use load::Farm;

/// Different statements that the farm must have been seen to use, so that what is compared is most of what there is.
const STATEMENTS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_grows_with_100_000_finished_requests() -> Result<()> {
    check(&[0, 100_000]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills tables with a million requests and five million jobs"]
async fn no_statement_grows_with_1_000_000_finished_requests() -> Result<()> {
    check(&[0, 100_000, 1_000_000]).await
}

async fn check(finished: &[u64]) -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut database = sandbox.database().await?;
    cost::log_plans(&mut database, &sandbox.prefix).await?;
    let mut farm = Farm::start(&sandbox)?;
    let mut measured: BTreeMap<u64, Costs> = BTreeMap::new();
    let mut before = 0;
    for &count in finished {
        let started = std::time::Instant::now();
        finished::insert(&mut database, count - before, 5).await?;
        println!("{count} finished requests after {:.0?}", started.elapsed());
        before = count;
        // Plans are made anew with what is there now, as after an update of the farm.
        farm.restart()?;
        let log = cost::Log::from_now(&sandbox)?;
        farm.work(&mut database).await?;
        farm.stop()?;
        measured.insert(count, log.costs()?);
    }
    let (first, rest) = (&measured[&finished[0]], &finished[1..]);
    for count in rest {
        let verdict = Verdict::of(first, &measured[count]);
        println!("{count} finished requests:\n{}", verdict.table());
        ensure!(
            verdict.compared >= STATEMENTS,
            "only {} statements were seen with and without",
            verdict.compared
        );
        ensure!(verdict.wrong.is_empty(), "{}", verdict.wrong.join("\n"));
    }

    // The same judgement on statements that do read finished work.
    let log = cost::Log::from_now(&sandbox)?;
    cost::read_finished_work(&sandbox).await?;
    let wrong = Verdict::of(first, &log.costs()?).wrong;
    ensure!(wrong.len() >= 2, "nothing was found wrong: {wrong:?}");
    Ok(())
}
