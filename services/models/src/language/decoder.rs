//! One decoder for Llama and Qwen3: they differ in the norms of queries and keys, and in sizes.
//!
//! Computes in the kind of its weights and is differentiable. Texts of a batch are padded on the right, where causal attention never looks
//! from a real token, so that no padding mask is needed.

mod adapter;
mod cache;
mod config;
mod layer;

pub use adapter::{Adapter, PROJECTIONS};
pub use cache::Cache;
pub use config::DecoderConfig;
use tch::{Device, Kind, Tensor};

use super::LanguageError;
use crate::{
    nn::RmsNorm,
    weights::{Weights, WeightsError},
};
use layer::{Layer, Positions};

/// The decoder with its weights.
pub struct Decoder {
    config: DecoderConfig,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// The output layer where it is not the embedding.
    head: Option<Tensor>,
}

impl Decoder {
    /// Takes weights under the names of Hugging Face checkpoints.
    pub fn load(
        config: DecoderConfig,
        weights: &Weights,
        adapter: Option<&Adapter>,
    ) -> Result<Self, WeightsError> {
        let (vocabulary, hidden) = (config.vocabulary, config.hidden);
        let model = weights.sub("model");
        let embedding = model.get_shaped("embed_tokens.weight", &[vocabulary, hidden])?;
        let layers = (0..config.layers as usize)
            .map(|index| Layer::load(&config, index, weights, adapter))
            .collect::<Result<_, _>>()?;
        let head = (!config.tied).then(|| {
            weights
                .sub("lm_head")
                .get_shaped("weight", &[vocabulary, hidden])
        });
        Ok(Self {
            norm: RmsNorm::load(&model, "norm", hidden, config.eps)?,
            head: head.transpose()?,
            config,
            embedding,
            layers,
        })
    }

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

    /// Normed states `(b, n, hidden)` of tokens `(b, n)`, as [`Decoder::logits`] reads them.
    pub fn states(&self, tokens: &Tensor) -> Tensor {
        let mut x = self.embed(tokens);
        let positions = Positions::new(&self.config, 0, tokens.size()[1], &x);
        for layer in &self.layers {
            x = layer.forward(&x, &positions, None);
        }
        self.norm.forward(&x)
    }

    /// States `(b, n, hidden)` after each number of layers in `taps` (ascending), of tokens `(b, n)`. Runs no further than the last one.
    /// As in transformers' `hidden_states`, those after all layers are normed.
    pub fn taps(&self, tokens: &Tensor, taps: &[usize]) -> Vec<Tensor> {
        let mut x = self.embed(tokens);
        let positions = Positions::new(&self.config, 0, tokens.size()[1], &x);
        let mut found = Vec::with_capacity(taps.len());
        for count in 0..=taps.last().copied().unwrap_or(0).min(self.layers.len()) {
            if count > 0 {
                x = self.layers[count - 1].forward(&x, &positions, None);
            }
            if taps.contains(&count) {
                let last = count == self.layers.len();
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
        let tokens = self.checked(tokens, cache.len())?;
        Ok(tch::no_grad(|| {
            let (past, new) = (cache.len() as i64, tokens.size()[1]);
            let mut x = self.embed(&tokens);
            let positions = Positions::new(&self.config, past, new, &x);
            for layer in &self.layers {
                x = layer.forward(&x, &positions, Some(cache));
            }
            cache.add(new);
            self.norm.forward(&x).squeeze_dim(0)
        }))
    }

    /// Reads tokens behind those in the cache, and gives the logits `(vocabulary)` in f32 of what may follow. Without gradients.
    pub fn next_logits(&self, tokens: &[u32], cache: &mut Cache) -> Result<Tensor, LanguageError> {
        let states = self.forward(tokens, cache)?;
        Ok(tch::no_grad(|| self.logits(&states.select(0, -1))))
    }

    fn embed(&self, tokens: &Tensor) -> Tensor {
        Tensor::embedding(&self.embedding, tokens, -1, false, false)
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
