//! Which rules to give up when they cannot hold together and nothing shows it but the search.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    Wish, bases,
    rules::{Domains, Rule},
    search::Search,
    square::Set,
    taste::Taste,
};

/// Placements of a search that only asks whether it is worth leaving out a rule.
const BUDGET: u32 = 400;

/// Searches under many sets of rules.
pub struct Trials<'a> {
    wishes: &'a [Wish],
    base: Vec<Set>,
    seed: u64,
}

impl<'a> Trials<'a> {
    pub fn new(wishes: &'a [Wish], seed: u64) -> Self {
        let [.., base] = bases(wishes);
        Self { wishes, base, seed }
    }

    /// Fewer rules than `kept`, which is what is left of `all` and cannot hold together: all without one where that helps, else what can be
    /// kept beside the most blameless.
    pub fn fewer(&self, all: &[Rule], kept: &[Rule]) -> Vec<Rule> {
        let one_less = self.suspects(all).into_iter().map(|out| without(all, out));
        if let Some(found) = one_less.into_iter().find(|rules| self.can_hold(rules)) {
            return found;
        }
        let suspects = self.suspects(kept);
        let mut left = match suspects.first() {
            Some(out) => without(kept, *out),
            None => return Vec::new(),
        };
        let single = suspects.into_iter().map(|out| without(kept, out));
        if let Some(found) = single.into_iter().find(|rules| self.can_hold(rules)) {
            left = found;
        }
        // What was given up before may fit by now.
        for rule in all.iter().filter(|rule| !kept.contains(rule)) {
            left.push(*rule);
            if !self.can_hold(&left) {
                left.pop();
            }
        }
        // Never as many as before, so that this comes to an end.
        left.truncate(kept.len().saturating_sub(1));
        left
    }

    /// Numbers of rules, those first that most often left nothing for a thing; of equals the one that was said last.
    fn suspects(&self, rules: &[Rule]) -> Vec<usize> {
        let (_, blamed) = self.search(rules);
        let mut order: Vec<usize> = (0..rules.len()).collect();
        order.sort_by_key(|rule| std::cmp::Reverse((blamed[*rule], *rule)));
        order
    }

    fn can_hold(&self, rules: &[Rule]) -> bool {
        self.search(rules).0
    }

    /// Whether a quick search finds a layout, and how often each rule was in the way.
    fn search(&self, rules: &[Rule]) -> (bool, Vec<u32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let taste = Taste::new(self.wishes, &mut rng);
        let Ok(domains) = Domains::new(&self.base, self.wishes, rules) else {
            return (false, vec![0; rules.len()]);
        };
        let mut search = Search::new(self.wishes.len(), rules, &taste, BUDGET);
        let found = search.run(&domains, &mut rng);
        (found.is_some(), search.blamed())
    }
}

fn without(rules: &[Rule], out: usize) -> Vec<Rule> {
    let mut fewer = rules.to_vec();
    fewer.remove(out);
    fewer
}
