//! Yes or no from the probabilities of an answer's first word.

use tch::{Kind, Tensor};

use crate::language::Tokenizer;

const YES: [&str; 4] = ["Yes", "yes", " Yes", " yes"];
const NO: [&str; 4] = ["No", "no", " No", " no"];

/// The tokens that begin a yes or a no.
pub struct YesNo {
    yes: Vec<u32>,
    no: Vec<u32>,
}

/// What a model believes of one question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Probability of yes among yes and no, 0..1.
    pub yes: f32,
    /// Probability that the answer is one of the two at all, 0..1. Where it is small the model would say something else.
    pub certain: f32,
}

impl YesNo {
    /// Finds them among a tokenizer's tokens: those that are the whole word, or where there are none those that begin it.
    pub fn new(tokenizer: &Tokenizer, vocabulary: i64) -> Result<Self, String> {
        let tokens = |words: [&str; 4]| -> Result<Vec<u32>, String> {
            let encoded: Vec<Vec<u32>> = words
                .iter()
                .map(|word| {
                    tokenizer
                        .encode_plain(word)
                        .map_err(|error| error.to_string())
                })
                .collect::<Result<_, _>>()?;
            let whole = encoded.iter().any(|tokens| tokens.len() == 1);
            let mut found: Vec<u32> = encoded
                .iter()
                .filter(|tokens| !whole || tokens.len() == 1)
                .filter_map(|tokens| tokens.first().copied())
                .collect();
            found.sort_unstable();
            found.dedup();
            Ok(found)
        };
        let (yes, no) = (tokens(YES)?, tokens(NO)?);
        let apart = yes.iter().all(|token| !no.contains(token));
        let known = yes
            .iter()
            .chain(&no)
            .all(|token| i64::from(*token) < vocabulary);
        if yes.is_empty() || no.is_empty() || !apart || !known {
            return Err("yes and no do not begin with tokens of their own".into());
        }
        Ok(Self { yes, no })
    }

    /// Tokens that begin a yes, ascending.
    pub fn yes(&self) -> &[u32] {
        &self.yes
    }

    /// Tokens that begin a no, ascending.
    pub fn no(&self) -> &[u32] {
        &self.no
    }

    /// Of logits `(answers, vocabulary)`.
    pub fn beliefs(&self, logits: &Tensor) -> Vec<Belief> {
        let all = logits.to_kind(Kind::Float).softmax(-1, Kind::Float);
        let sum = |tokens: &[u32]| {
            let tokens: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
            let tokens = Tensor::from_slice(&tokens).to_device(all.device());
            let sums = all.index_select(1, &tokens).sum_dim_intlist(
                [1_i64].as_slice(),
                false,
                Kind::Double,
            );
            let sums = sums.to_device(tch::Device::Cpu).contiguous();
            let mut numbers = vec![0.0_f64; sums.numel()];
            sums.copy_data(&mut numbers, sums.numel());
            numbers
        };
        let beliefs = sum(&self.yes).into_iter().zip(sum(&self.no));
        beliefs
            .map(|(yes, no)| {
                let both = yes + no;
                // Numbers that are none, or none at all, are no belief.
                let share = if both > 0.0 { yes / both } else { 0.5 };
                Belief {
                    yes: share as f32,
                    certain: if both.is_finite() {
                        both.min(1.0) as f32
                    } else {
                        0.0
                    },
                }
            })
            .collect()
    }
}
