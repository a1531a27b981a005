//! What the planner was taught on: its prompts follow from the seed, so that a suite can keep clear of them.

use std::collections::HashSet;

use super::{
    batch::{BATCH, SORTED, group_rng},
    prompts::{Nouns, Shares, sample},
};

/// A run of the recipe: seed, steps, and how its prompts were mixed.
type Run = (u64, u64, Shares);

/// The runs that the shipped adapter comes from, rather too long than too short.
const RUNS: [Run; 2] = [(0, 640, Shares::FIRST), (5, 1_040, Shares::NOW)];

/// Prompts and pairs of nouns that training saw.
pub struct Taught {
    /// Prompts, lower case.
    pub prompts: HashSet<String>,
    /// Nouns that one prompt names together, each pair in both orders.
    pub pairs: HashSet<(String, String)>,
}

/// Everything that the shipped adapter was taught on.
pub fn taught() -> Taught {
    let nouns = Nouns::new();
    let mut taught = Taught {
        prompts: HashSet::new(),
        pairs: HashSet::new(),
    };
    let groups = RUNS.iter().flat_map(|(seed, steps, shares)| {
        (0..steps.div_ceil(SORTED)).map(|group| (*seed, group, *shares))
    });
    for (seed, group, shares) in groups {
        let mut rng = group_rng(seed, group);
        for _ in 0..SORTED as usize * BATCH {
            let sample = sample(&nouns, shares, &mut rng);
            taught.prompts.insert(sample.prompt.to_lowercase());
            for a in &sample.draft.elements {
                for b in &sample.draft.elements {
                    taught.pairs.insert((a.noun.clone(), b.noun.clone()));
                }
            }
        }
    }
    taught
}
