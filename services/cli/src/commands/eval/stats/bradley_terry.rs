//! Strengths of arms from who won against whom: Bradley-Terry by maximum likelihood, told on Elo's scale, where 400 points are odds of ten to one.
//!
//! A tie is dropped: it says nothing about who is stronger. Every pair starts with half a win on each side, so that an arm that never lost has a
//! strength, too.

/// Half a win for each side of every pair.
const PRIOR: f64 = 0.5;
/// Rounds of the fixed-point iteration; it converges long before.
const ROUNDS: usize = 10_000;
/// Relative change of all strengths at which it ends.
const STILL: f64 = 1e-10;

/// One prompt, two arms: what share of the checks each has right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duel {
    /// Index of one arm.
    pub one: usize,
    /// Index of the other.
    pub other: usize,
    /// Share of the first.
    pub share_of_one: f64,
    /// Share of the second.
    pub share_of_other: f64,
}

/// Who won how often against whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Wins {
    /// `wins[a][b]`: how often `a` won against `b`.
    wins: Vec<Vec<f64>>,
    ties: Vec<Vec<f64>>,
}

impl Wins {
    /// No duel among so many arms yet.
    pub fn none(arms: usize) -> Self {
        Self {
            wins: vec![vec![0.0; arms]; arms],
            ties: vec![vec![0.0; arms]; arms],
        }
    }

    /// Adds a duel.
    pub fn add(&mut self, duel: &Duel) {
        let (a, b) = (duel.one, duel.other);
        if (duel.share_of_one - duel.share_of_other).abs() < 1e-9 {
            self.ties[a][b] += 1.0;
            self.ties[b][a] += 1.0;
        } else if duel.share_of_one > duel.share_of_other {
            self.wins[a][b] += 1.0;
        } else {
            self.wins[b][a] += 1.0;
        }
    }

    /// How often the first won, lost and tied against the second.
    pub fn of(&self, a: usize, b: usize) -> [u32; 3] {
        [self.wins[a][b], self.wins[b][a], self.ties[a][b]].map(|count| count as u32)
    }
}

/// Elo of every arm, 0 on average.
pub fn elo(wins: &Wins) -> Vec<f64> {
    let arms = wins.wins.len();
    let won = |a: usize, b: usize| wins.wins[a][b] + PRIOR;
    let others = |a: usize| (0..arms).filter(move |b| *b != a);
    let mut strengths = vec![1.0_f64; arms];
    for _ in 0..ROUNDS {
        let next: Vec<f64> = (0..arms)
            .map(|a| {
                let all: f64 = others(a).map(|b| won(a, b)).sum();
                let met = |b: usize| (won(a, b) + won(b, a)) / (strengths[a] + strengths[b]);
                let weight: f64 = others(a).map(met).sum();
                if weight > 0.0 { all / weight } else { 1.0 }
            })
            .collect();
        let mean =
            (next.iter().map(|strength| strength.ln()).sum::<f64>() / arms.max(1) as f64).exp();
        let next: Vec<f64> = next.into_iter().map(|strength| strength / mean).collect();
        let change = |(new, old): (&f64, &f64)| (new / old - 1.0).abs();
        let still = next.iter().zip(&strengths).map(change).fold(0.0, f64::max) < STILL;
        strengths = next;
        if still {
            break;
        }
    }
    strengths
        .into_iter()
        .map(|strength| 400.0 * strength.log10())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wins(arms: usize, counts: &[(usize, usize, u32)]) -> Wins {
        let mut wins = Wins::none(arms);
        for (a, b, number) in counts {
            for _ in 0..*number {
                wins.add(&Duel {
                    one: *a,
                    other: *b,
                    share_of_one: 1.0,
                    share_of_other: 0.5,
                });
            }
        }
        wins
    }

    #[test]
    fn two_arms_have_the_log_odds_of_their_wins() {
        // Half a win is added to each side: odds of 9.5 to 1.5.
        let elo = elo(&wins(2, &[(0, 1, 9), (1, 0, 1)]));
        let expected = 400.0 * (9.5_f64 / 1.5).log10();
        assert!((elo[0] - elo[1] - expected).abs() < 1e-6, "{elo:?}");
        assert!((elo[0] + elo[1]).abs() < 1e-9, "0 on average");
        assert!((expected - 320.65).abs() < 0.01);
    }

    #[test]
    fn three_arms_that_fit_the_model_come_out_with_its_strengths() {
        // Strengths 4 : 2 : 1, thirty duels a pair: 20 to 10, 24 to 6, 20 to 10; minus half a win a side, so that the prior gives the model exactly.
        let mut exact = Wins::none(3);
        for (a, b, won, lost) in [(0, 1, 20.0, 10.0), (0, 2, 24.0, 6.0), (1, 2, 20.0, 10.0)] {
            exact.wins[a][b] = won - PRIOR;
            exact.wins[b][a] = lost - PRIOR;
        }
        let elo = elo(&exact);
        let double = 400.0 * 2.0_f64.log10();
        assert!(
            (elo[0] - elo[1] - double).abs() < 1e-6 && (elo[1] - elo[2] - double).abs() < 1e-6,
            "{elo:?}"
        );
    }

    #[test]
    fn ties_are_dropped_and_counted() {
        let tie = Duel {
            one: 0,
            other: 1,
            share_of_one: 0.75,
            share_of_other: 0.75,
        };
        let mut some = wins(2, &[(0, 1, 3)]);
        let before = elo(&some);
        for _ in 0..50 {
            some.add(&tie);
        }
        assert_eq!(elo(&some), before);
        assert_eq!(some.of(0, 1), [3, 0, 50]);
        assert_eq!(some.of(1, 0), [0, 3, 50]);
        assert!(
            elo(&wins(2, &[(0, 1, 30)]))
                .iter()
                .all(|elo| elo.is_finite())
        );
        assert_eq!(elo(&Wins::none(3)), [0.0; 3]);
    }
}
