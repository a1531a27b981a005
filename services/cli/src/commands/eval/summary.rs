//! What a run says: shares by category and by number of atoms, what critique mended and broke, what it all took, and who beats whom. Pure functions of
//! the grades.

use std::collections::BTreeMap;

use atelier_proto::judging::{About, Case, Graded};
use serde::Serialize;

use super::{
    arms::Arm,
    planned::Planned,
    stats::{Duel, Interval, Wins, bootstrap, elo, wilson},
};

/// How one picture did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Grade {
    /// All of it is right.
    pub correct: bool,
    /// Checks that are.
    pub right: u32,
    /// Checks in all.
    pub asked: u32,
}

impl Grade {
    /// What a judge said. A judge without checks of its own is one check.
    pub fn of(graded: &Graded) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        match graded.checks.is_empty() {
            true => Self {
                correct: graded.correct,
                right: graded.correct.into(),
                asked: 1,
            },
            false => Self {
                correct: graded.correct,
                right: count(graded.checks.iter().filter(|check| check.ok).count()),
                asked: count(graded.checks.len()),
            },
        }
    }

    /// No picture: nothing of it is right.
    pub const fn none(asked: u32) -> Self {
        Self {
            correct: false,
            right: 0,
            asked,
        }
    }

    fn share(&self) -> f64 {
        f64::from(self.right) / f64::from(self.asked.max(1))
    }
}

/// One arm's pictures, in the order of the cases.
#[derive(Clone, Debug)]
pub struct Column {
    /// Which arm.
    pub arm: Arm,
    /// What was delivered.
    pub delivered: Vec<Grade>,
    /// What was drawn first; of arms that check.
    pub first: Option<Vec<Grade>>,
    /// What it took.
    pub cost: Cost,
}

impl Column {
    /// Leaves out cases by their index; what the arm took stays that of all.
    pub fn keep(&mut self, is_kept: &impl Fn(usize) -> bool) {
        for grades in std::iter::once(&mut self.delivered).chain(&mut self.first) {
            let mut index = 0..;
            grades.retain(|_| index.next().is_some_and(is_kept));
        }
    }
}

/// What an arm took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Seconds on devices, a prompt.
    pub device_s: f64,
    /// Drawings, a prompt.
    pub drawings: f64,
    /// Rounds, a prompt.
    pub rounds: f64,
    /// Prompts without a picture.
    pub failed: u32,
}

/// Prompts of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// How many.
    pub n: u32,
    /// Share of them with everything right.
    pub all_correct: f64,
    /// Its 95 % interval (Wilson).
    pub all_correct_interval: (f64, f64),
    /// Share of their checks that are right.
    pub share: f64,
}

/// First picture against what was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Critique {
    /// Wrong first, right when delivered.
    pub mended: u32,
    /// Right first, wrong when delivered.
    pub broken: u32,
    /// Right both times.
    pub right: u32,
    /// Wrong both times.
    pub wrong: u32,
}

/// One arm against another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Versus {
    /// How much stronger it is, on Elo's scale.
    #[serde(flatten)]
    pub elo: Interval,
    /// Prompts where more of its checks are right.
    pub wins: u32,
    /// Prompts where fewer are.
    pub losses: u32,
    /// Prompts where as many are; they do not count.
    pub ties: u32,
}

/// For people and scripts.
const TIE_RULE: &str =
    "who has more of a prompt's checks right wins it; equal shares are a tie and do not count";

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Prompts.
    pub prompts: usize,
    /// By arm, then by category; `all` is all of them. `fast_first` is the first picture of `fast`.
    pub arms: BTreeMap<String, BTreeMap<String, Cell>>,
    /// By arm, then by number of atoms.
    pub atoms: BTreeMap<String, BTreeMap<u32, Cell>>,
    /// By arm.
    pub cost: BTreeMap<String, Cost>,
    /// What plans have of what the suite declares, of arms that plan.
    pub plans: BTreeMap<String, Planned>,
    /// What critique did, over all arms that check.
    pub critique: Critique,
    /// The same by arm.
    pub critique_by_arm: BTreeMap<String, Critique>,
    /// `fast_vs_off`, ...
    pub elo: BTreeMap<String, Versus>,
    /// What counts as a win there, and what as nothing.
    pub tie_rule: &'static str,
    /// Who judged.
    pub judge: About,
    /// Prompts that it cannot tell, with the reason; they are in none of the numbers but the cost.
    pub untold: BTreeMap<String, String>,
}

impl Summary {
    /// Adds up.
    pub fn of(cases: &[Case], columns: &[Column], judge: About, seed: u64) -> Self {
        let mut all = Self {
            prompts: cases.len(),
            arms: BTreeMap::new(),
            atoms: BTreeMap::new(),
            cost: BTreeMap::new(),
            plans: BTreeMap::new(),
            critique: Critique::default(),
            critique_by_arm: BTreeMap::new(),
            elo: versus(columns, cases.len(), seed),
            tie_rule: TIE_RULE,
            judge,
            untold: BTreeMap::new(),
        };
        for column in columns {
            let name = column.arm.as_str();
            all.add(cases, name.to_owned(), &column.delivered);
            all.cost.insert(name.to_owned(), column.cost);
            if let Some(first) = &column.first {
                all.add(cases, first_of(column.arm), first);
                let critique = Critique::of(first, &column.delivered);
                all.critique = all.critique.and(critique);
                all.critique_by_arm.insert(name.to_owned(), critique);
            }
        }
        all
    }

    fn add(&mut self, cases: &[Case], name: String, grades: &[Grade]) {
        let mut categories: BTreeMap<String, Vec<Grade>> = BTreeMap::new();
        let mut atoms: BTreeMap<u32, Vec<Grade>> = BTreeMap::new();
        for (case, grade) in cases.iter().zip(grades) {
            categories.entry("all".into()).or_default().push(*grade);
            categories
                .entry(case.category.clone())
                .or_default()
                .push(*grade);
            atoms.entry(case.k).or_default().push(*grade);
        }
        let cells = |grades: Vec<Grade>| Cell::of(&grades);
        let categories = categories
            .into_iter()
            .map(|(name, grades)| (name, cells(grades)));
        self.arms.insert(name.clone(), categories.collect());
        let atoms = atoms.into_iter().map(|(k, grades)| (k, cells(grades)));
        self.atoms.insert(name, atoms.collect());
    }
}

/// What the first pictures of an arm are called.
pub fn first_of(arm: Arm) -> String {
    format!("{}_first", arm.as_str())
}

impl Cell {
    fn of(grades: &[Grade]) -> Self {
        let n = u32::try_from(grades.len()).unwrap_or(u32::MAX);
        let correct =
            u32::try_from(grades.iter().filter(|grade| grade.correct).count()).unwrap_or(n);
        let (right, asked) = grades.iter().fold((0, 0), |(right, asked), grade| {
            (right + grade.right, asked + grade.asked)
        });
        Self {
            n,
            all_correct: f64::from(correct) / f64::from(n.max(1)),
            all_correct_interval: wilson(correct, n),
            share: f64::from(right) / f64::from(asked.max(1)),
        }
    }
}

impl Critique {
    fn of(first: &[Grade], delivered: &[Grade]) -> Self {
        let mut critique = Self::default();
        for (before, after) in first.iter().zip(delivered) {
            match (before.correct, after.correct) {
                (false, true) => critique.mended += 1,
                (true, false) => critique.broken += 1,
                (true, true) => critique.right += 1,
                (false, false) => critique.wrong += 1,
            }
        }
        critique
    }

    const fn and(self, other: Self) -> Self {
        Self {
            mended: self.mended + other.mended,
            broken: self.broken + other.broken,
            right: self.right + other.right,
            wrong: self.wrong + other.wrong,
        }
    }
}

/// Every arm against those before it. More right checks win; equal shares are a tie.
fn versus(columns: &[Column], prompts: usize, seed: u64) -> BTreeMap<String, Versus> {
    let wins_of = |drawn: &[usize]| {
        let mut wins = Wins::none(columns.len());
        for (one, a) in columns.iter().enumerate() {
            for (other, b) in columns.iter().enumerate().skip(one + 1) {
                for prompt in drawn {
                    wins.add(&Duel {
                        one,
                        other,
                        share_of_one: a.delivered[*prompt].share(),
                        share_of_other: b.delivered[*prompt].share(),
                    });
                }
            }
        }
        wins
    };
    let all: Vec<usize> = (0..prompts).collect();
    let mut found = BTreeMap::new();
    for (a, one) in columns.iter().enumerate() {
        for (b, other) in columns.iter().enumerate().take(a) {
            let difference = |drawn: &[usize]| {
                let elo = elo(&wins_of(drawn));
                elo[a] - elo[b]
            };
            let [wins, losses, ties] = wins_of(&all).of(a, b);
            let name = format!("{}_vs_{}", one.arm.as_str(), other.arm.as_str());
            found.insert(
                name,
                Versus {
                    elo: bootstrap(prompts, seed, difference),
                    wins,
                    losses,
                    ties,
                },
            );
        }
    }
    found
}

#[cfg(test)]
mod tests;
