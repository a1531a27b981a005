//! A thing of the library for a noun that none of its words match: the language model is asked what kind of thing it is.
//!
//! With SmolLM2-135M and a library of 769 things this finds the right one for 16 of 24 nouns that the library does not know, a wrong one for 1,
//! and one for 1 of 8 that nothing stands for (the test of the language models prints them); of eight more nouns it had 3 right and 4 wrong, a tree
//! for a walnut and a bed for a bungalow among them. Cosine similarity of the same model's states told no right neighbour from a wrong one.

use std::rc::Rc;

use tch::Kind;

use super::{PropLibrary, noun};
use crate::language::{Cache, Decoder, LanguageError, Tokenizer};

/// Shows the model the kind of answer that is wanted. None of it is in the tests' nouns.
const EXAMPLES: &str =
    "A stallion is a kind of horse. A tulip is a kind of flower. A pistol is a kind of weapon.";
/// What anything is a kind of: a name that is as likely after these says nothing.
const ANYTHING: [&str; 3] = ["thing", "object", "stuff"];
/// Least probability of a name as the answer.
const LEAST: f32 = 0.1;
/// How many times likelier a name must be than it is for anything: e to this.
const ABOVE_ANYTHING: f32 = 2.0;
/// Other names of a thing that are tried beside its name.
const NAMES_EACH: usize = 4;
/// Longest noun that is looked at, in characters.
const LONGEST: usize = 48;

/// Finds stand-ins among the things of one library.
pub struct StandIns {
    decoder: Rc<Decoder>,
    tokenizer: Rc<Tokenizer>,
    names: Vec<Name>,
    /// Log probability of each token as the first of what anything is a kind of.
    anything: Vec<f32>,
}

struct Name {
    /// Place of its thing in the library.
    thing: usize,
    tokens: Vec<u32>,
}

impl StandIns {
    /// Shares a decoder, which must have no adapter.
    pub fn new(
        decoder: Rc<Decoder>,
        tokenizer: Rc<Tokenizer>,
        props: &PropLibrary,
    ) -> Result<Self, LanguageError> {
        let mut names = Vec::new();
        for (thing, prop) in props.props().iter().enumerate() {
            let synonyms = prop.synonyms.iter().take(NAMES_EACH);
            for name in std::iter::once(&prop.name).chain(synonyms) {
                let tokens = tokenizer.encode_plain(&format!(" {name}"))?;
                if !tokens.is_empty() {
                    names.push(Name { thing, tokens });
                }
            }
        }
        let mut found = Self {
            decoder,
            tokenizer,
            names,
            anything: Vec::new(),
        };
        for word in ANYTHING {
            let answers = found.next(&question(word), &[])?;
            if found.anything.is_empty() {
                found.anything = answers;
            } else {
                for (most, other) in found.anything.iter_mut().zip(answers) {
                    *most = most.max(other);
                }
            }
        }
        Ok(found)
    }

    /// Place in the library of the thing that `noun` is a kind of, with the model's probability; none when it names none with confidence.
    pub fn find(&self, noun: &str) -> Result<Option<(usize, f32)>, LanguageError> {
        let noun: String = noun::normal(noun).chars().take(LONGEST).collect();
        if noun.is_empty() {
            return Ok(None);
        }
        let question = question(&noun);
        let answers = self.next(&question, &[])?;
        let at = |table: &[f32], token: u32| {
            let index = token as usize;
            table.get(index).copied().unwrap_or(f32::NEG_INFINITY)
        };
        let mut best: Option<(usize, f32)> = None;
        for name in &self.names {
            let first = name.tokens[0];
            let mut likely = at(&answers, first);
            let above = likely - at(&self.anything, first);
            let enough = best.map_or(LEAST.ln(), |(_, best)| best);
            if above < ABOVE_ANYTHING {
                continue;
            }
            // The rest of a name is only read when its first token could still win.
            for read in 1..name.tokens.len() {
                if likely <= enough {
                    break;
                }
                let next = self.next(&question, &name.tokens[..read])?;
                likely += at(&next, name.tokens[read]);
            }
            if likely > enough {
                best = Some((name.thing, likely));
            }
        }
        Ok(best.map(|(thing, likely)| (thing, likely.exp())))
    }

    /// Log probabilities of what may follow a question and the beginning of an answer.
    fn next(&self, question: &str, answer: &[u32]) -> Result<Vec<f32>, LanguageError> {
        let mut tokens = self.tokenizer.encode_plain(question)?;
        tokens.extend(answer);
        let logits = self
            .decoder
            .next_logits(&tokens, &mut Cache::default())?
            .log_softmax(-1, Kind::Float);
        Vec::<f32>::try_from(logits).map_err(|error| LanguageError::Tokens(error.to_string()))
    }
}

fn question(noun: &str) -> String {
    let article = match noun.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'u') => "An",
        _ => "A",
    };
    format!("{EXAMPLES} {article} {noun} is a kind of")
}
