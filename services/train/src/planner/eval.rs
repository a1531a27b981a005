//! Runs the planner on suites and prints what its drafts name.

use std::{path::Path, time::Instant};

use atelier_models::planner::{DraftOutput, Planner};

use super::suite::{self, Score};

/// Drafts every prompt of a suite; prints the shares, the speed and, if asked, what is wrong.
pub fn evaluate(planner: &mut Planner, path: &Path, verbose: bool) -> anyhow::Result<Score> {
    let cases = suite::read(path)?;
    let mut score = Score::default();
    let (mut sampled, mut forced, mut passes) = (0, 0, 0);
    let start = Instant::now();
    for case in &cases {
        let output: DraftOutput = planner.draft(&case.prompt, 0, &mut |_| true)?;
        sampled += output.tokens_sampled;
        forced += output.tokens_forced;
        passes += output.passes;
        let wrong = score.add(case, &output.draft);
        if verbose && !wrong.is_empty() {
            println!("{}\n  {}\n  {}", case.prompt, output.text, wrong.join(", "));
        }
    }
    let number = cases.len().max(1) as f64;
    println!(
        "{}: {} prompts, {:.2} s a draft, {:.1} tokens sampled, {:.1} forced, {:.1} passes",
        path.display(),
        cases.len(),
        start.elapsed().as_secs_f64() / number,
        f64::from(sampled) / number,
        f64::from(forced) / number,
        f64::from(passes) / number,
    );
    for (name, share) in score.shares() {
        println!(
            "  {name:<15} {:>4} of {:>4}  {:>5.1} %",
            share.right,
            share.asked,
            100.0 * share.value()
        );
    }
    Ok(score)
}
