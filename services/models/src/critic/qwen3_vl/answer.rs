//! Questions behind a picture: side by side for yes and no, or one by one in words.

use tch::{Kind, Tensor};

use super::{Belief, Look, Place, Qwen3Vl, Qwen3VlError, prefix::Suffix};
use crate::language::{LanguageError, Positions};

/// Most questions that are read at once: their keys and values take memory.
const MOST_AT_ONCE: usize = 32;

/// An answer that is written token by token.
pub struct Writing<'l> {
    suffix: Suffix<'l>,
    /// Place of the next token.
    next: i64,
}

impl Qwen3Vl {
    /// The logits `(questions, vocabulary)` in f32 of the first word of each answer.
    pub fn answers(&self, look: &Look, questions: &[&str]) -> Result<Tensor, Qwen3VlError> {
        let texts = questions
            .iter()
            .map(|question| self.prompt.after(&self.tokenizer, question))
            .collect::<Result<Vec<_>, _>>()?;
        let groups = texts.chunks(MOST_AT_ONCE).map(|texts| {
            let places = |longest: i64| Place::run(look.next, longest);
            self.next_logits(&mut Suffix::new(&look.prefix, look.tokens), texts, &places)
        });
        let logits = groups.collect::<Result<Vec<_>, _>>()?;
        if logits.is_empty() {
            return Ok(Tensor::zeros(
                [0, self.config.text.vocabulary],
                (Kind::Float, self.decoder.device()),
            ));
        }
        Ok(Tensor::cat(&logits, 0))
    }

    /// Reads texts behind the prefix side by side, padded on the right where nothing looks at padding.
    fn next_logits(
        &self,
        suffix: &mut Suffix<'_>,
        texts: &[Vec<u32>],
        places: &dyn Fn(i64) -> Vec<Place>,
    ) -> Result<Tensor, Qwen3VlError> {
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        if suffix.past() + longest > self.config.text.context {
            return Err(LanguageError::TooLong {
                tokens: suffix.past() + longest,
                most: self.config.text.context,
            }
            .into());
        }
        let padded: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| {
                let mut text = text.clone();
                text.resize(longest, 0);
                text
            })
            .collect();
        let ids = self.ids(&padded)?;
        let device = self.decoder.device();
        Ok(tch::no_grad(|| {
            let (past, new) = (suffix.past() as i64, longest as i64);
            let mask = (new > 1).then(|| {
                let hidden = Tensor::ones([new, past + new], (Kind::Bool, device)).triu(past + 1);
                Positions::hiding(&hidden, self.decoder.kind())
            });
            let mrope = &self.config.mrope;
            let angles = mrope.angles(&places(new), &self.config.text, device);
            let positions = Positions::turned(&angles, self.decoder.kind(), mask);
            let embedded = self.decoder.embed(&ids);
            let x = self
                .decoder
                .run(embedded, &positions, Some(suffix), |_, x| x);
            let last: Vec<Tensor> = (0..)
                .zip(texts)
                .map(|(row, text)| x.get(row).get(text.len() as i64 - 1))
                .collect();
            let last = Tensor::stack(&last, 0);
            self.decoder.logits(&self.decoder.normed(&last))
        }))
    }

    /// How much it believes that the answer to each question is yes.
    pub fn ask(&self, look: &Look, questions: &[&str]) -> Result<Vec<Belief>, Qwen3VlError> {
        let logits = self.answers(look, questions)?;
        Ok(self.yes_no.beliefs(&logits))
    }

    /// Begins an answer: the logits `(vocabulary)` in f32 of its first token.
    pub fn begin<'l>(
        &self,
        look: &'l Look,
        question: &str,
    ) -> Result<(Writing<'l>, Tensor), Qwen3VlError> {
        let mut writing = Writing {
            suffix: Suffix::new(&look.prefix, look.tokens),
            next: look.next,
        };
        let text = self.prompt.after(&self.tokenizer, question)?;
        let logits = self.read_on(&mut writing, text)?;
        Ok((writing, logits))
    }

    /// Writes a token, and gives the logits `(vocabulary)` in f32 of the one behind it.
    pub fn go_on(&self, writing: &mut Writing<'_>, token: u32) -> Result<Tensor, Qwen3VlError> {
        self.read_on(writing, vec![token])
    }

    fn read_on(&self, writing: &mut Writing<'_>, text: Vec<u32>) -> Result<Tensor, Qwen3VlError> {
        let (start, new) = (writing.next, text.len());
        let places = |longest: i64| Place::run(start, longest);
        let logits = self.next_logits(&mut writing.suffix, &[text], &places)?;
        writing.suffix.keep(new);
        writing.next += new as i64;
        Ok(logits.squeeze_dim(0))
    }

    /// Writes an answer of at most `most` tokens, the likeliest one at each place.
    pub fn say(&self, look: &Look, question: &str, most: usize) -> Result<String, Qwen3VlError> {
        let (mut writing, mut logits) = self.begin(look, question)?;
        let mut said = Vec::new();
        while said.len() < most {
            let token = logits.argmax(-1, false).int64_value(&[]) as u32;
            if self.prompt.ends(token) {
                break;
            }
            said.push(token);
            logits = self.go_on(&mut writing, token)?;
        }
        Ok(self.tokenizer.decode(&said))
    }
}
