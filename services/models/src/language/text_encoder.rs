//! Prompts as what a renderer's checkpoint was trained to read: states on the way through its language model.
//!
//! Prompts ignored without a word were the common fault of ports, so these are the first numbers to compare: what stands behind a prompt is
//! padding that no token sees, itself included, and whose own states are read by the renderer all the same.

use std::{path::Path, rc::Rc};

use tch::{Device, Kind, Tensor};

use super::{
    ChatTemplate, Decoder, DecoderConfig, LanguageError, Message, Tokenizer, files, kind_for,
};
use crate::weights::Weights;

/// Most padded prompts of one pass.
const TOGETHER: usize = 8;

/// How a family of renderers reads prompts.
#[derive(Clone, Debug)]
pub struct Reading {
    /// After how many layers states are taken, ascending; they stand side by side. Those after all layers are normed.
    pub taps: Vec<usize>,
    /// Most tokens of a prompt with its template; what follows is left out.
    pub most: usize,
    /// Every prompt is padded to the most.
    pub padded: bool,
    /// The template leaves room for thoughts.
    pub thinking: bool,
}

impl Reading {
    /// FLUX.2 klein: layers 9, 18 and 27, padded to 512 (diffusers' `Flux2KleinPipeline`).
    pub fn klein() -> Self {
        Self {
            taps: vec![9, 18, 27],
            most: 512,
            padded: true,
            thinking: false,
        }
    }

    /// Z-Image: the last layer but one of `layers`, without padding (diffusers' `ZImagePipeline`).
    pub fn z_image(layers: usize) -> Self {
        Self {
            taps: vec![layers.saturating_sub(1)],
            most: 512,
            padded: false,
            thinking: true,
        }
    }
}

/// A language model that encodes prompts for a renderer.
pub struct TextEncoder {
    decoder: Rc<Decoder>,
    tokenizer: Rc<Tokenizer>,
    chat: ChatTemplate,
    padding: u32,
    reading: Reading,
}

impl TextEncoder {
    /// Opens the folders `text_encoder` and `tokenizer` of a pipeline. Of the layers only those that are needed are read; `reading` is told
    /// how many there are.
    pub fn load(
        pipeline: &Path,
        reading: impl FnOnce(usize) -> Reading,
        device: Device,
    ) -> Result<Self, LanguageError> {
        let dir = pipeline.join("text_encoder");
        let config = DecoderConfig::from_json(&dir.join("config.json"))?;
        let reading = reading(config.layers as usize);
        let weights = Weights::load_dir(&dir)?
            .to_kind(kind_for(device))
            .to_device(device);
        let needed = reading.taps.last().copied().unwrap_or(0);
        let decoder = Decoder::load_layers(config, &weights, None, needed)?;
        weights.refuse_extra(|name| decoder.spares(name))?;
        Self::new(Rc::new(decoder), &pipeline.join("tokenizer"), reading)
    }

    /// Shares a decoder with others, so that its weights are in memory once. It must have no adapter. `tokenizer` is the folder with
    /// tokenizer.json, tokenizer_config.json and the chat template.
    pub fn new(
        decoder: Rc<Decoder>,
        tokenizer: &Path,
        reading: Reading,
    ) -> Result<Self, LanguageError> {
        let ascending = reading.taps.is_sorted_by(|a, b| a < b);
        let last = reading.taps.last().copied().unwrap_or(usize::MAX);
        if !ascending || last > decoder.layers() {
            return Err(LanguageError::Tokens(format!(
                "states after layers {:?} of {}",
                reading.taps,
                decoder.layers()
            )));
        }
        if !(1..=decoder.config().context).contains(&reading.most) {
            return Err(LanguageError::TooLong {
                tokens: reading.most,
                most: decoder.config().context,
            });
        }
        let chat = ChatTemplate::of_dir(tokenizer)?
            .ok_or_else(|| LanguageError::Template("the tokenizer has none".into()))?
            .with_thinking(reading.thinking);
        let words = Tokenizer::from_json(&tokenizer.join("tokenizer.json"))?;
        Ok(Self {
            padding: files::padding(tokenizer, &words)?,
            tokenizer: Rc::new(words),
            decoder,
            chat,
            reading,
        })
    }

    /// What it reads with.
    #[cfg(test)]
    pub(crate) const fn decoder(&self) -> &Rc<Decoder> {
        &self.decoder
    }

    /// Numbers of a state.
    pub fn channels(&self) -> i64 {
        self.decoder.config().hidden * self.reading.taps.len() as i64
    }

    /// A prompt as the model reads it, without padding.
    pub fn tokens(&self, prompt: &str) -> Result<Vec<u32>, LanguageError> {
        let turn = Message {
            role: "user",
            content: prompt.to_owned(),
        };
        let text = self.chat.render(&[turn], true)?;
        let mut tokens = self.tokenizer.encode(&text)?;
        tokens.truncate(self.reading.most);
        Ok(tokens)
    }

    /// States `(tokens, channels)` of each prompt in the decoder's kind and on its device: as many tokens as the longest may have where the
    /// family pads, else the prompt's own.
    pub fn states(&self, prompts: &[String]) -> Result<Vec<Tensor>, LanguageError> {
        let tokens: Result<Vec<_>, _> = prompts.iter().map(|prompt| self.tokens(prompt)).collect();
        self.encode(&tokens?)
    }

    /// The same of the prompts' tokens. Padded prompts are of one length, and are read together.
    pub fn encode(&self, prompts: &[Vec<u32>]) -> Result<Vec<Tensor>, LanguageError> {
        let together = if self.reading.padded { TOGETHER } else { 1 };
        let mut states = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks(together) {
            let mut rows = Vec::with_capacity(prompts.len());
            for prompt in prompts {
                let mut padded = prompt.clone();
                if self.reading.padded {
                    padded.resize(self.reading.most.max(prompt.len()), self.padding);
                }
                rows.push(self.decoder.checked(&padded, 0)?);
            }
            let lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
            states.extend(tch::no_grad(|| self.read(&Tensor::cat(&rows, 0), &lengths)));
        }
        Ok(states)
    }

    /// States of tokens `(b, n)`, of which the first of each row are no padding.
    fn read(&self, tokens: &Tensor, lengths: &[usize]) -> Vec<Tensor> {
        let all = tokens.size()[1];
        let padded = lengths.iter().any(|length| (*length as i64) < all);
        let hidden = padded.then(|| behind_or_padding(all, lengths, tokens.device()));
        let taps = self
            .decoder
            .taps(tokens, &self.reading.taps, hidden.as_ref());
        Tensor::cat(&taps, -1).unbind(0)
    }
}

/// What each of `all` tokens of each row does not see: those behind it, and all behind the first `lengths` of its row. `(b, 1, all, all)`.
fn behind_or_padding(all: i64, lengths: &[usize], device: Device) -> Tensor {
    let lengths: Vec<i64> = lengths.iter().map(|length| *length as i64).collect();
    let lengths = Tensor::from_slice(&lengths).to_device(device);
    let places = Tensor::arange(all, (Kind::Int64, device));
    let padding = places.ge_tensor(&lengths.unsqueeze(1));
    let behind = Tensor::ones([all, all], (Kind::Bool, device)).triu(1);
    padding.view([-1, 1, 1, all]).logical_or(&behind)
}
