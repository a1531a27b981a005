//! The result, for people and for programs.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    schedule::Kind,
    strike::Done,
    verdict::{PROMISES, Verdict},
};

/// Most breaches of a promise that are printed.
const SHOWN: usize = 8;

/// How often each kind of fault happened.
pub fn count(faults: &[Done]) -> BTreeMap<&'static str, u32> {
    let mut counts = BTreeMap::new();
    for done in faults.iter().filter(|done| done.missed.is_none()) {
        *counts.entry(done.fault.kind.as_str()).or_default() += 1;
    }
    counts
}

/// How many faults happened.
pub fn injected(faults: &[Done]) -> u32 {
    count(faults).values().sum()
}

/// Prints the result, in the last line as the other suites do.
pub fn print(seed: u64, seconds: Duration, faults: &[Done], verdict: &Verdict, deaths: usize) {
    println!("\n{:20} {:>8}", "fault", "injected");
    for (kind, count) in count(faults) {
        println!("{kind:20} {count:8}");
    }
    let injected = injected(faults);
    println!("{:20} {injected:8}", "in all");
    let states: Vec<_> = verdict
        .states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    println!(
        "\n{} requests acknowledged: {}; {} attempts were repeated",
        verdict.requests,
        states.join(", "),
        verdict.repeated_attempts,
    );
    println!(
        "{} poisoned; {} programs died; {} parked because the run struck two of their workers; {} workers blamed while alive",
        verdict.poisoned,
        deaths,
        verdict.parked_by_the_run,
        verdict.blamed_while_alive.len(),
    );
    println!(
        "{} cancels of running requests, {} of them in a calm moment, the others held to the end of what disturbed them; {} artifacts read",
        verdict.cancels.0, verdict.cancels.1, verdict.artifacts
    );
    let [median, most, longest] = verdict.seconds;
    println!(
        "from acceptance to end: {median:.2} s in the middle, {most:.1} s for 99 of 100, {longest:.1} s at most"
    );
    for (number, (promise, broken)) in PROMISES.iter().zip(&verdict.broken).enumerate() {
        let word = if broken.is_empty() { "kept" } else { "BROKEN" };
        println!("promise {} {word:6} {promise}", number + 1);
        for what in broken.iter().take(SHOWN) {
            println!("    {what}");
        }
        if broken.len() > SHOWN {
            println!("    and {} more", broken.len() - SHOWN);
        }
    }
    for complaint in &verdict.complaints {
        println!("    {complaint}");
    }
    println!(
        "\nseed {seed}, {injected} faults, {:.0} s: lost {}, duplicated {}, stuck {}",
        seconds.as_secs_f64(),
        verdict.lost,
        verdict.duplicated,
        verdict.stuck
    );
    let kept = verdict.broken.iter().filter(|b| b.is_empty()).count();
    let broken = PROMISES.len() - kept + usize::from(!verdict.complaints.is_empty());
    let word = if verdict.is_good() { "ok" } else { "FAILED" };
    println!("test result: {word}. {kept} passed; {broken} failed; promises of the farm");
}

/// Writes the result as JSON.
pub fn write(
    file: &Path,
    seed: u64,
    seconds: Duration,
    faults: &[Done],
    verdict: &Verdict,
) -> Result<()> {
    let promises: BTreeMap<_, _> = PROMISES
        .iter()
        .zip(&verdict.broken)
        .map(|(promise, broken)| (*promise, broken))
        .collect();
    let missed: Vec<_> = faults
        .iter()
        .filter_map(|done| {
            let why = done.missed.as_ref()?;
            Some(format!("{}: {why}", done.fault.kind.as_str()))
        })
        .collect();
    // Every kind is there, so that a reader sees which did not happen.
    let mut injected: BTreeMap<_, u32> = Kind::ALL.iter().map(|kind| (kind.as_str(), 0)).collect();
    injected.extend(count(faults));
    let result = json!({
        "requests": verdict.requests,
        "faults": injected,
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "stuck": verdict.stuck,
        "seed": seed,
        "seconds": seconds.as_secs_f64(),
        "good": verdict.is_good(),
        "broken_promises": promises,
        "complaints": verdict.complaints,
        "states": verdict.states,
        "faults_missed": missed,
        "poisoned": verdict.poisoned,
        "parked_by_the_run": verdict.parked_by_the_run,
        "blamed_while_alive": verdict.blamed_while_alive,
        "cancels": verdict.cancels.0,
        "cancels_in_calm": verdict.cancels.1,
        "artifacts_read": verdict.artifacts,
        "seconds_p50": verdict.seconds[0],
        "seconds_p99": verdict.seconds[1],
        "seconds_max": verdict.seconds[2],
        "repeated_attempts": verdict.repeated_attempts,
    });
    fs::write(file, serde_json::to_vec_pretty(&result)?)
        .with_context(|| format!("write {}", file.display()))
}
