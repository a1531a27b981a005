//! One decoder for Llama, Qwen2 and Qwen3: they differ in biases, in the norms of queries and keys, in rotations, and in sizes.
//!
//! Computes in the kind of its weights and is differentiable.

mod adapter;
mod cache;
mod config;
mod layer;
mod load;
mod positions;
mod rope;
mod slots;

pub use adapter::{Adapter, PROJECTIONS};
pub use cache::Cache;
pub use config::{Biases, DecoderConfig};
pub use positions::Positions;
pub use rope::{Rope, Scaling};
pub use slots::Slots;
use tch::{Device, Kind, Tensor};

use super::LanguageError;
use crate::nn::RmsNorm;
use layer::Layer;

/// Where the keys and values of earlier tokens are.
pub trait Memory {
    /// Puts keys and values `(b, kv heads, n, head)` of a layer behind those so far, and gives all of that layer.
    fn extend(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> (Tensor, Tensor);
}

/// The decoder with its weights.
pub struct Decoder {
    config: DecoderConfig,
    embedding: Tensor,
    /// All of them, or as many as are needed for states on the way.
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// The output layer where it is not the embedding.
    head: Option<Tensor>,
    /// Radians a token of each pair of a head, f32.
    frequencies: Tensor,
}

impl Decoder {
    /// Its shape.
    pub const fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.embedding.device()
    }

    /// What it computes in.
    pub fn kind(&self) -> Kind {
        self.embedding.kind()
    }

    /// Layers that were loaded.
    pub const fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Normed states `(b, n, hidden)` of tokens `(b, n)`, as [`Decoder::logits`] reads them. Texts are padded on the right, where causal
    /// attention never looks from a real token.
    pub fn states(&self, tokens: &Tensor) -> Tensor {
        let x = self.embed(tokens);
        let positions = self.positions(0, tokens.size()[1], None);
        let x = self.run(x, &positions, None, |_, x| x);
        self.norm.forward(&x)
    }

    /// States `(b, n, hidden)` after each number of layers in `taps` (ascending), of tokens `(b, n)`. Runs no further than the last one.
    /// As in transformers' `hidden_states`, those after all layers are normed. `hidden` as for [`Positions::hiding`]; None is causal.
    pub fn taps(&self, tokens: &Tensor, taps: &[usize], hidden: Option<&Tensor>) -> Vec<Tensor> {
        let mut x = self.embed(tokens);
        let mask = hidden.map(|hidden| Positions::hiding(hidden, self.kind()));
        let positions = self.positions(0, tokens.size()[1], mask);
        let mut found = Vec::with_capacity(taps.len());
        for count in 0..=taps.last().copied().unwrap_or(0).min(self.layers.len()) {
            if count > 0 {
                x = self.layers[count - 1].forward(&x, &positions, None);
            }
            if taps.contains(&count) {
                let last = count == self.config.layers as usize;
                found.push(if last {
                    self.norm.forward(&x)
                } else {
                    x.shallow_clone()
                });
            }
        }
        found
    }

    /// Logits `(.., vocabulary)` in f32 of normed states `(.., hidden)`.
    pub fn logits(&self, states: &Tensor) -> Tensor {
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        states.linear(head, None::<&Tensor>).to_kind(Kind::Float)
    }

    /// Reads tokens behind those in the cache, all in one pass: their normed states `(n, hidden)`. Without gradients.
    pub fn forward(&self, tokens: &[u32], cache: &mut Cache) -> Result<Tensor, LanguageError> {
        self.needs_all_layers()?;
        let tokens = self.checked(tokens, cache.len())?;
        Ok(tch::no_grad(|| {
            let (past, new) = (cache.len() as i64, tokens.size()[1]);
            let mask = (past > 0 && new > 1).then(|| {
                let all = [new, past + new];
                let hidden = Tensor::ones(all, (Kind::Bool, self.device())).triu(past + 1);
                Positions::hiding(&hidden, self.kind())
            });
            let positions = self.positions(past, new, mask);
            let x = self.run(self.embed(&tokens), &positions, Some(cache), |_, x| x);
            cache.add(new);
            self.norm.forward(&x).squeeze_dim(0)
        }))
    }

    /// Reads tokens behind those in the cache, and gives the logits `(vocabulary)` in f32 of what may follow. Without gradients.
    pub fn next_logits(&self, tokens: &[u32], cache: &mut Cache) -> Result<Tensor, LanguageError> {
        let states = self.forward(tokens, cache)?;
        Ok(tch::no_grad(|| self.logits(&states.select(0, -1))))
    }

    /// Reads tokens behind each of some texts (by slot, ascending), all in one pass, and gives the logits `(texts, vocabulary)` in f32 of what
    /// may follow each. Without gradients.
    pub fn next_logits_of(
        &self,
        slots: &mut Slots,
        texts: &[(usize, &[u32])],
    ) -> Result<Tensor, LanguageError> {
        self.needs_all_layers()?;
        let ascending = texts.is_sorted_by(|(a, _), (b, _)| a < b);
        if !ascending || texts.last().is_none_or(|(slot, _)| *slot >= slots.len()) {
            let slots: Vec<usize> = texts.iter().map(|(slot, _)| *slot).collect();
            return Err(LanguageError::Tokens(format!(
                "no texts in slots {slots:?}"
            )));
        }
        let longest = texts.iter().map(|(_, tokens)| tokens.len()).max();
        let mut rows = Vec::with_capacity(texts.len());
        for (slot, tokens) in texts {
            let known = self.checked(tokens, slots.length(*slot))?;
            let padding = longest.unwrap_or(0) - tokens.len();
            rows.push(known.constant_pad_nd([0, padding as i64]));
        }
        Ok(tch::no_grad(|| {
            let new: Vec<(usize, usize)> = texts.iter().map(|(s, t)| (*s, t.len())).collect();
            let mut pass = slots.pass(&new);
            let at = pass.positions();
            let mask = pass.hidden(&at).map(|h| Positions::hiding(&h, self.kind()));
            let angles = at.to_kind(Kind::Float).unsqueeze(-1) * &self.frequencies;
            let positions = Positions::turned(&angles, self.kind(), mask);
            let x = self.embed(&Tensor::cat(&rows, 0));
            let x = self.run(x, &positions, Some(&mut pass), |_, x| x);
            pass.finish();
            let last: Vec<Tensor> = (0..)
                .zip(&new)
                .map(|(row, (_, new))| x.get(row).get(*new as i64 - 1))
                .collect();
            self.logits(&self.norm.forward(&Tensor::stack(&last, 0)))
        }))
    }

    /// Embeddings `(b, n, hidden)` of tokens `(b, n)`.
    pub fn embed(&self, tokens: &Tensor) -> Tensor {
        Tensor::embedding(&self.embedding, tokens, -1, false, false)
    }

    /// Runs embeddings `(b, n, hidden)` through all loaded layers: states `(b, n, hidden)`, not normed. `after` is given the index of each
    /// layer and the states behind it, and says what goes on: larger models add to some of them.
    pub fn run(
        &self,
        embedded: Tensor,
        positions: &Positions,
        mut memory: Option<&mut dyn Memory>,
        mut after: impl FnMut(usize, Tensor) -> Tensor,
    ) -> Tensor {
        let mut x = embedded;
        for (index, layer) in self.layers.iter().enumerate() {
            // Not as_deref_mut: the trait object's lifetime must not grow.
            let memory = memory
                .as_mut()
                .map(|memory| &mut **memory as &mut dyn Memory);
            x = after(index, layer.forward(&x, positions, memory));
        }
        x
    }

    /// Runs embeddings `(b, n, hidden)` through all loaded layers for the sake of what comes behind them: keys and values of every layer go to
    /// `memory`, and what the last layer says is not computed. `after` as for [`Decoder::run`].
    pub fn remember(
        &self,
        embedded: Tensor,
        positions: &Positions,
        memory: &mut dyn Memory,
        mut after: impl FnMut(usize, Tensor) -> Tensor,
    ) {
        let mut x = embedded;
        let Some((last, others)) = self.layers.split_last() else {
            return;
        };
        for (index, layer) in others.iter().enumerate() {
            x = after(index, layer.forward(&x, positions, Some(&mut *memory)));
        }
        last.remember(&x, positions, memory);
    }

    /// The norm behind the last layer, `(.., hidden)` to the same: between [`Decoder::run`] and [`Decoder::logits`].
    pub fn normed(&self, states: &Tensor) -> Tensor {
        self.norm.forward(states)
    }

    /// `new` tokens behind `past`.
    fn positions(&self, past: i64, new: i64, mask: Option<Tensor>) -> Positions {
        let at = Tensor::arange_start(past, past + new, (Kind::Float, self.device()));
        Positions::turned(&at.outer(&self.frequencies), self.kind(), mask)
    }

    fn needs_all_layers(&self) -> Result<(), LanguageError> {
        if self.layers.len() as i64 == self.config.layers {
            return Ok(());
        }
        Err(LanguageError::Tokens(format!(
            "only {} of {} layers are loaded: they encode texts, and write none",
            self.layers.len(),
            self.config.layers
        )))
    }

    /// Tokens as `(1, n)`, at least one, all known, and not more than fit behind `past`.
    pub(super) fn checked(&self, tokens: &[u32], past: usize) -> Result<Tensor, LanguageError> {
        if tokens.is_empty() {
            return Err(LanguageError::Tokens("no tokens to read".into()));
        }
        if past + tokens.len() > self.config.context {
            return Err(LanguageError::TooLong {
                tokens: past + tokens.len(),
                most: self.config.context,
            });
        }
        if let Some(unknown) = tokens
            .iter()
            .find(|id| i64::from(**id) >= self.config.vocabulary)
        {
            return Err(LanguageError::Tokens(format!(
                "the model has no token {unknown}"
            )));
        }
        let ids: Vec<i64> = tokens.iter().map(|id| i64::from(*id)).collect();
        Ok(Tensor::from_slice(&ids)
            .unsqueeze(0)
            .to_device(self.device()))
    }
}
