//! Finding squares that keep every rule: things are placed one after the other, and each that is placed takes away the squares of the others
//! that no longer go with it.

use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    rules::{Domains, Empty, Rule, Things},
    square::{ATLAS, Set},
    taste::Taste,
};

/// A search under some rules.
pub struct Search<'a> {
    rules: &'a [Rule],
    taste: &'a Taste<'a>,
    /// Rules of each thing.
    of_thing: Vec<Vec<Rule>>,
    /// How often each thing was left without a square: the awkward ones are placed first.
    awkward: Vec<u32>,
    /// How often each rule left nothing for a thing.
    blamed: Vec<u32>,
    /// Placements that may still be tried.
    left: u32,
}

impl<'a> Search<'a> {
    /// With `budget` placements at most.
    pub fn new(things: usize, rules: &'a [Rule], taste: &'a Taste<'a>, budget: u32) -> Self {
        let of_thing = (0..things)
            .map(|thing| {
                let about = |rule: &&Rule| match rule {
                    Rule::Place(_) => false,
                    Rule::Relation {
                        subject, object, ..
                    } => *subject == thing || *object == thing,
                };
                rules.iter().filter(about).copied().collect()
            })
            .collect();
        Self {
            rules,
            taste,
            of_thing,
            awkward: vec![1; things],
            blamed: vec![0; rules.len()],
            left: budget,
        }
    }

    /// How often each rule left nothing for a thing.
    pub fn blamed(self) -> Vec<u32> {
        self.blamed
    }

    /// A square for each thing, or none when there are none or the budget is used up. The first try takes the squares that are liked best, later
    /// ones are wilder.
    pub fn run(&mut self, domains: &Domains, rng: &mut ChaCha8Rng) -> Option<Vec<usize>> {
        let mut settled = domains.clone();
        settled.settle(self.rules).ok()?;
        let mut tries = 0;
        while self.left > 0 {
            // A try that gets stuck is given up soon, and begins anew with what it learned.
            let most = 24 << tries.min(6);
            let mut budget = self.left.min(most);
            let spent = budget;
            let mut placed = vec![None; settled.0.len()];
            match self.place(&settled, &mut placed, &mut budget, tries > 0, rng) {
                Outcome::Found => return placed.into_iter().collect(),
                Outcome::None => return None,
                Outcome::Stopped => {}
            }
            self.left -= spent - budget;
            tries += 1;
        }
        None
    }

    fn place(
        &mut self,
        domains: &Domains,
        placed: &mut [Option<usize>],
        budget: &mut u32,
        wild: bool,
        rng: &mut ChaCha8Rng,
    ) -> Outcome {
        let open = (0..placed.len()).filter(|thing| placed[*thing].is_none());
        let next = open.min_by_key(|thing| {
            (
                1_000 * domains.0[*thing].len() / self.awkward[*thing],
                *thing,
            )
        });
        let Some(thing) = next else {
            return Outcome::Found;
        };
        for square in self.order(thing, domains.0[thing], placed, wild, rng) {
            if *budget == 0 {
                return Outcome::Stopped;
            }
            *budget -= 1;
            placed[thing] = Some(square);
            match self.narrow(domains, thing, square, placed) {
                Ok(narrowed) => match self.place(&narrowed, placed, budget, wild, rng) {
                    Outcome::None => {}
                    ended => return ended,
                },
                Err(Stuck { thing, rule }) => {
                    self.awkward[thing] += 1;
                    if let Some(rule) = rule {
                        self.blamed[rule] += 1;
                    }
                }
            }
            placed[thing] = None;
        }
        Outcome::None
    }

    /// The squares of a thing, the best liked first.
    fn order(
        &self,
        thing: usize,
        domain: Set,
        placed: &[Option<usize>],
        wild: bool,
        rng: &mut ChaCha8Rng,
    ) -> Vec<usize> {
        let mut squares: Vec<usize> = domain.iter().collect();
        if wild && rng.random_range(0..2) == 0 {
            squares.shuffle(rng);
            return squares;
        }
        let mut costs: Vec<(f32, usize)> = squares
            .into_iter()
            .map(|square| (self.taste.cost(thing, square, placed), square))
            .collect();
        costs.sort_by(|a, b| a.0.total_cmp(&b.0));
        costs.into_iter().map(|(_, square)| square).collect()
    }

    /// What is left for the others once a thing is placed; else the thing that nothing is left for.
    fn narrow(
        &self,
        domains: &Domains,
        thing: usize,
        square: usize,
        placed: &[Option<usize>],
    ) -> Result<Domains, Stuck> {
        let mut narrowed = domains.clone();
        narrowed.0[thing] = Set::of([square]);
        for (domain, placed) in narrowed.0.iter_mut().zip(placed) {
            if placed.is_none() {
                *domain = domain.and(ATLAS.apart(square));
            }
        }
        for rule in &self.of_thing[thing] {
            let Rule::Relation {
                subject,
                predicate,
                object,
            } = *rule
            else {
                continue;
            };
            let other = if subject == thing { object } else { subject };
            let partners = ATLAS.partner(predicate, square, subject == thing);
            narrowed.0[other] = narrowed.0[other].and(partners);
        }
        if let Some(thing) = narrowed.0.iter().position(Set::is_empty) {
            return Err(Stuck { thing, rule: None });
        }
        let mut changed = Things::default();
        let both = domains.0.iter().zip(&narrowed.0).enumerate();
        for (thing, _) in both.filter(|(_, (before, after))| before != after) {
            changed.add(thing);
        }
        match narrowed.settle_after(self.rules, changed) {
            Ok(()) => Ok(narrowed),
            Err(Empty(rule)) => Err(Stuck {
                thing: match self.rules[rule] {
                    Rule::Place(thing) => thing,
                    Rule::Relation { object, .. } => object,
                },
                rule: Some(rule),
            }),
        }
    }
}

/// Nothing is left for a thing, by a rule or because the others are in the way.
struct Stuck {
    thing: usize,
    rule: Option<usize>,
}

enum Outcome {
    Found,
    /// There is no way on from here.
    None,
    /// The budget of this try is used up.
    Stopped,
}
