//! The suite of `atelier eval`: prompts with what a right picture shows, by a rule from a seed. Nouns are those that the world can draw and that have one
//! meaning; pairs of them never stood in one prompt of the planner's training, and neither did any of the phrasings.

mod kinds;
mod phrases;
mod words;

use std::{fs, path::PathBuf};

use anyhow::Context;
use atelier_proto::judging::Case;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::composer::{Entry, later, spoken_of};
use words::Words;

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    /// File of the suite.
    #[arg(long, value_name = "JSONL", default_value = "tests/prompts/eval.jsonl")]
    out: PathBuf,
    /// File of some of its cases, for a quick look.
    #[arg(
        long,
        value_name = "JSONL",
        default_value = "tests/prompts/eval-smoke.jsonl"
    )]
    smoke: PathBuf,
    /// Another seed makes a suite to develop with, so that the shipped one stays held out.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// A suite of the things that came after the planner was trained, which it knows no word of.
    #[arg(long)]
    later: bool,
}

/// Seed of the suite that is shipped.
const SEED: u64 = 2_026;

/// Writes both files.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let entries = if args.later { later() } else { spoken_of() };
    let cases = cases(&entries, args.seed);
    for (path, text) in [
        (&args.out, lines(&cases)?),
        (&args.smoke, lines(&some(&cases))?),
    ] {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{} cases", cases.len());
    Ok(())
}

/// Every case.
fn cases(entries: &[Entry], seed: u64) -> Vec<Case> {
    let words = Words::of(entries);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut cases: Vec<Case> = Vec::new();
    for (category, number, make) in kinds::ALL {
        let first = cases.len();
        while cases.len() < first + number {
            let (prompt, truth) = make(&words, cases.len() - first, &mut rng);
            let known = cases.iter().any(|case| case.prompt == prompt);
            if known || words.was_taught(&prompt) {
                continue;
            }
            cases.push(Case {
                id: format!("{category}-{:02}", cases.len() - first + 1),
                category: category.to_owned(),
                k: truth.atoms(),
                prompt,
                truth,
            });
        }
    }
    cases
}

/// The first case of each kind, and two more of the last but one.
fn some(cases: &[Case]) -> Vec<Case> {
    let first = |case: &&Case| {
        case.id.ends_with("-01") || ["complex-10", "complex-20"].contains(&case.id.as_str())
    };
    cases.iter().filter(first).cloned().collect()
}

fn lines(cases: &[Case]) -> anyhow::Result<String> {
    let mut text = String::new();
    for case in cases {
        text += &serde_json::to_string(case)?;
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::planner::taught;

    #[test]
    fn the_shipped_files_are_what_the_rule_makes() {
        let prompts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/prompts");
        let cases = cases(&spoken_of(), SEED);
        for (name, cases) in [
            ("eval.jsonl", cases.clone()),
            ("eval-smoke.jsonl", some(&cases)),
        ] {
            let shipped = fs::read_to_string(prompts.join(name)).unwrap();
            assert!(
                shipped == lines(&cases).unwrap(),
                "{name}: `atelier-train suite` writes it anew"
            );
        }
    }

    #[test]
    fn cases_are_whole_many_and_of_every_kind() {
        let cases = cases(&spoken_of(), SEED);
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for case in &cases {
            *kinds.entry(&case.category).or_default() += 1;
            assert_eq!(case.truth.check(), Ok(()), "{}", case.prompt);
            // Every thing has its number of too many.
            for thing in &case.truth.things {
                assert!(
                    case.truth
                        .exclude
                        .iter()
                        .any(|many| many.noun == thing.noun && many.count == thing.count + 1)
                );
                assert!(
                    case.prompt.to_lowercase().contains(&thing.noun[..3]),
                    "{}: {}",
                    thing.noun,
                    case.prompt
                );
            }
        }
        assert!(cases.len() >= 300 && kinds.len() == 8, "{kinds:?}");
        assert!(cases.iter().any(|case| case.k >= 8));
        assert_eq!(some(&cases).len(), 10);
    }

    #[test]
    fn no_pair_and_no_prompt_was_taught() {
        let taught = taught();
        assert!(taught.prompts.len() > 2_000 && taught.pairs.len() > 5_000);
        for case in cases(&spoken_of(), SEED) {
            assert!(
                !taught.prompts.contains(&case.prompt.to_lowercase()),
                "{}",
                case.prompt
            );
            for a in &case.truth.things {
                for b in case.truth.things.iter().filter(|b| b.noun != a.noun) {
                    assert!(
                        !taught.pairs.contains(&(a.noun.clone(), b.noun.clone())),
                        "{} and {}",
                        a.noun,
                        b.noun
                    );
                }
            }
        }
    }
}
