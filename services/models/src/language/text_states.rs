//! Texts as what a language model computes from them, for models that draw and look up by meaning.

use std::{cell::RefCell, collections::HashMap, path::Path, rc::Rc};

use tch::{Device, Kind, Tensor};

use super::{Decoder, DecoderConfig, LanguageError, Tokenizer};
use crate::weights::gguf::Gguf;

/// Most texts of one pass.
const BATCH: usize = 32;
/// Most tokens of one pass, padding included.
const BATCH_TOKENS: usize = 2048;
/// Most tokens of a text; what follows is left out.
const MAX_TOKENS: usize = 512;
/// Most numbers of all states that are kept: 128 MiB.
const KEPT_NUMBERS: usize = 32 << 20;

/// States of texts after some layers of a decoder.
pub struct TextStates {
    decoder: Rc<Decoder>,
    tokenizer: Rc<Tokenizer>,
    taps: Vec<usize>,
    kept: RefCell<Kept>,
}

/// States by text; emptied when full.
#[derive(Default)]
struct Kept {
    states: HashMap<String, Tensor>,
    numbers: usize,
}

impl TextStates {
    /// Opens a GGUF file for itself alone. `taps`: after how many layers states are taken, ascending; those after all layers are normed.
    pub fn load(gguf: &Path, taps: &[usize], device: Device) -> Result<Self, LanguageError> {
        let file = Gguf::open(gguf)?;
        let config = DecoderConfig::from_gguf(&file)?;
        let weights = file.weights(super::kind_for(device))?.to_device(device);
        let needed = taps.last().copied().unwrap_or(0);
        let decoder = Decoder::load_layers(config, &weights, None, needed)?;
        weights.refuse_extra(|name| decoder.spares(name))?;
        Self::new(
            Rc::new(decoder),
            Rc::new(Tokenizer::from_gguf(&file)?),
            taps,
        )
    }

    /// Shares a decoder with others, so that its weights are in memory once. It must have no adapter.
    pub fn new(
        decoder: Rc<Decoder>,
        tokenizer: Rc<Tokenizer>,
        taps: &[usize],
    ) -> Result<Self, LanguageError> {
        let layers = decoder.layers();
        if taps.is_empty()
            || !taps.is_sorted_by(|a, b| a < b)
            || taps.iter().any(|tap| *tap > layers)
        {
            return Err(LanguageError::Tokens(format!(
                "states after layers {taps:?} of {layers}"
            )));
        }
        Ok(Self {
            decoder,
            tokenizer,
            taps: taps.to_vec(),
            kept: RefCell::default(),
        })
    }

    /// Dimensions of a state.
    pub fn channels(&self) -> i64 {
        self.decoder.config().hidden * self.taps.len() as i64
    }

    /// States `(tokens, channels)` of a text, as [`Self::states`] computes them of it alone, and whether they were computed before. They are
    /// kept within bounds.
    pub fn kept(&self, text: &String) -> Result<(Tensor, bool), LanguageError> {
        let known = |kept: &Kept| kept.states.get(text).map(Tensor::shallow_clone);
        if let Some(states) = known(&self.kept.borrow()) {
            return Ok((states, true));
        }
        let states = self.states(std::slice::from_ref(text))?.remove(0);
        self.kept.borrow_mut().keep(text, &states);
        Ok((states, false))
    }

    /// States `(tokens, channels)` of every text, in f32 on the decoder's device; the taps stand side by side. An empty text has no
    /// tokens. Texts of like length are computed together, which low bits of their states may tell.
    pub fn states(&self, texts: &[String]) -> Result<Vec<Tensor>, LanguageError> {
        let mut found: Vec<Option<Tensor>> = texts.iter().map(|_| None).collect();
        let mut sorted = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let mut tokens = self.tokenizer.encode_plain(text)?;
            tokens.truncate(MAX_TOKENS.min(self.decoder.config().context));
            sorted.push((index, tokens));
        }
        sorted.sort_by_key(|(_, tokens)| tokens.len());
        let mut rest = sorted.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_size(rest));
            rest = after;
            let tokens: Vec<&[u32]> = batch.iter().map(|(_, tokens)| tokens.as_slice()).collect();
            for ((index, _), states) in batch.iter().zip(self.compute(&tokens)?) {
                found[*index] = Some(states);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// One pass over texts `(tokens)`, shortest first.
    fn compute(&self, texts: &[&[u32]]) -> Result<Vec<Tensor>, LanguageError> {
        let longest = texts.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let device = self.decoder.device();
        if longest == 0 {
            let empty = || Tensor::zeros([0, self.channels()], (Kind::Float, device));
            return Ok(texts.iter().map(|_| empty()).collect());
        }
        let mut rows = Vec::with_capacity(texts.len());
        for tokens in texts {
            let mut padded = tokens.to_vec();
            padded.resize(longest, 0);
            rows.push(self.decoder.checked(&padded, 0)?);
        }
        Ok(tch::no_grad(|| {
            let taps = self.decoder.taps(&Tensor::cat(&rows, 0), &self.taps, None);
            let states = Tensor::cat(&taps, -1).to_kind(Kind::Float);
            let of = |(row, tokens): (i64, &&[u32])| {
                states.get(row).narrow(0, 0, tokens.len() as i64).copy()
            };
            (0..).zip(texts).map(of).collect()
        }))
    }
}

/// How many of the texts, shortest first, fit into one pass; at least one.
fn batch_size(texts: &[(usize, Vec<u32>)]) -> usize {
    let fits = |(count, (_, tokens)): &(usize, &(usize, Vec<u32>))| {
        (count + 1) * tokens.len() <= BATCH_TOKENS
    };
    texts
        .iter()
        .enumerate()
        .take(BATCH)
        .take_while(fits)
        .count()
        .max(1)
}

impl Kept {
    fn keep(&mut self, text: &str, states: &Tensor) {
        // The text itself costs something, too.
        let numbers = states.numel() + text.len() + 64;
        if self.numbers + numbers > KEPT_NUMBERS {
            *self = Self::default();
        }
        if self
            .states
            .insert(text.to_owned(), states.shallow_clone())
            .is_none()
        {
            self.numbers += numbers;
        }
    }
}
