//! Batches of training texts of about the same length.

use anyhow::Context;
use atelier_models::planner::{Binding, Dialog, PromptWords, draft_schema, readable, tokens};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::prompts::{Nouns, Sample, Shares, sample};

/// Texts of a step.
pub const BATCH: usize = 8;

/// Steps whose texts are sorted by length together.
pub const SORTED: u64 = 8;

/// Makes batches; the same step always gets the same one.
pub struct Batches<'a> {
    /// What is spoken of.
    pub nouns: Nouns,
    /// Tokens of prompts and drafts.
    pub dialog: &'a Dialog,
    /// Of the run.
    pub seed: u64,
}

/// Tokens of some texts, and which of them the model must foretell.
pub struct Batch {
    /// `(b, s)`, padded on the right with token 0.
    pub tokens: Tensor,
    /// Positions in the flattened `(b * s)` whose states foretell the next token.
    pub positions: Tensor,
    /// Those next tokens.
    pub labels: Tensor,
}

struct Text {
    tokens: Vec<i64>,
    /// Whether each token is foretold.
    chosen: Vec<bool>,
}

impl Batches<'_> {
    /// The batch of a step.
    pub fn batch(&self, step: u64) -> anyhow::Result<Batch> {
        let group = step / SORTED;
        let mut rng = group_rng(self.seed, group);
        let mut texts = (0..SORTED as usize * BATCH)
            .map(|_| self.text(&sample(&self.nouns, Shares::NOW, &mut rng)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        texts.sort_by_key(|text| text.tokens.len());
        let mut order: Vec<usize> = (0..SORTED as usize).collect();
        order.shuffle(&mut rng);
        let first = order[(step % SORTED) as usize] * BATCH;
        Ok(joined(&texts[first..first + BATCH]))
    }

    fn text(&self, sample: &Sample) -> anyhow::Result<Text> {
        let (prompt, _) = readable(&sample.prompt);
        let draft = serde_json::to_string(&sample.draft)?;
        let written = self.dialog.written(&draft)?;
        let schema = draft_schema(&PromptWords::read(&prompt), Binding::Free)
            .context("every sample has words")?;
        let bytes = written.iter().map(|id| self.dialog.table.bytes(*id));
        let chosen = tokens::chosen(&schema, bytes);
        let mut text = Text {
            tokens: Vec::new(),
            chosen: Vec::new(),
        };
        let mut push = |ids: &[u32], chosen: &[bool]| {
            text.tokens.extend(ids.iter().map(|id| i64::from(*id)));
            text.chosen.extend_from_slice(chosen);
        };
        let read = self.dialog.read(&prompt)?;
        push(&self.dialog.before, &vec![false; self.dialog.before.len()]);
        push(&read, &vec![false; read.len()]);
        // A noun beyond ASCII is only in the grammar of its prompt; then every token is taught.
        let chosen = chosen.unwrap_or_else(|| vec![true; written.len()]);
        push(&written, &chosen);
        Ok(text)
    }
}

/// Where the texts of a group of steps come from.
pub fn group_rng(seed: u64, group: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(group);
    rng
}

fn joined(texts: &[Text]) -> Batch {
    let length = texts
        .iter()
        .map(|text| text.tokens.len())
        .max()
        .unwrap_or_default();
    let (mut tokens, mut positions, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (row, text) in texts.iter().enumerate() {
        tokens.extend(&text.tokens);
        tokens.resize((row + 1) * length, 0);
        for (index, chosen) in text.chosen.iter().enumerate() {
            if *chosen {
                positions.push((row * length + index) as i64 - 1);
                labels.push(text.tokens[index]);
            }
        }
    }
    Batch {
        tokens: Tensor::from_slice(&tokens).view([texts.len() as i64, length as i64]),
        positions: Tensor::from_slice(&positions),
        labels: Tensor::from_slice(&labels),
    }
}
