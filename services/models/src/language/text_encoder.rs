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
    /// FLUX.2 [klein]: layers 9, 18 and 27, padded to 512 (diffusers' `Flux2KleinPipeline`).
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
        prompts
            .iter()
            .map(|prompt| self.encode(&self.tokens(prompt)?))
            .collect()
    }

    /// The same of one prompt's tokens.
    pub fn encode(&self, tokens: &[u32]) -> Result<Tensor, LanguageError> {
        let real = tokens.len();
        let mut padded = tokens.to_vec();
        if self.reading.padded {
            padded.resize(self.reading.most.max(real), self.padding);
        }
        let ids = self.decoder.checked(&padded, 0)?;
        Ok(tch::no_grad(|| {
            let hidden = (padded.len() > real)
                .then(|| behind_or_padding(padded.len() as i64, real as i64, ids.device()));
            let taps = self.decoder.taps(&ids, &self.reading.taps, hidden.as_ref());
            Tensor::cat(&taps, -1).squeeze_dim(0)
        }))
    }
}

/// What each of `all` tokens does not see: those behind it, and all behind the first `real`.
fn behind_or_padding(all: i64, real: i64, device: Device) -> Tensor {
    let hidden = Tensor::ones([all, all], (Kind::Bool, device)).triu(1);
    let _ = hidden.narrow(1, real, all - real).fill_(1);
    hidden
}
