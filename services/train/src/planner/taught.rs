//! What the planner was taught on: its prompts follow from the seed, so that a suite can keep clear of them.

use std::collections::HashSet;

use super::{
    batch::{BATCH, SORTED, group_rng},
    prompts::{Nouns, sample},
};

/// Prompts and pairs of nouns that training saw.
pub struct Taught {
    /// Prompts, lower case.
    pub prompts: HashSet<String>,
    /// Nouns that one prompt names together, each pair in both orders.
    pub pairs: HashSet<(String, String)>,
}

/// Everything that the first `steps` steps of a run of this seed see.
pub fn taught(seed: u64, steps: u64) -> Taught {
    let nouns = Nouns::new();
    let mut taught = Taught {
        prompts: HashSet::new(),
        pairs: HashSet::new(),
    };
    for group in 0..steps.div_ceil(SORTED) {
        let mut rng = group_rng(seed, group);
        for _ in 0..SORTED as usize * BATCH {
            let sample = sample(&nouns, &mut rng);
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
