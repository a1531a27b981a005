//! A whole language model as it lies on disk: a GGUF file, or a Hugging Face folder.

use std::{path::Path, rc::Rc};

use tch::Device;

use super::{
    Adapter, Cache, ChatTemplate, Decoder, DecoderConfig, LanguageError, Sampler, Tokenizer, files,
    kind_for,
};
use crate::weights::{
    Weights,
    gguf::{Gguf, Value},
};

/// A decoder with what turns text into its tokens and back. Its parts may be shared, so that the weights are in memory once.
pub struct LanguageModel {
    /// Tokens to logits and states.
    pub decoder: Rc<Decoder>,
    /// Text to tokens.
    pub tokenizer: Rc<Tokenizer>,
    /// Dialogs to text; not every checkpoint has one.
    pub chat: Option<ChatTemplate>,
    /// The tokens that end an answer.
    pub ends: Vec<u32>,
}

impl LanguageModel {
    /// Opens a GGUF file or a Hugging Face folder, with the adapter in the folder `adapter` worked into its weights where one is given.
    pub fn load(
        path: &Path,
        adapter: Option<&Path>,
        device: Device,
    ) -> Result<Self, LanguageError> {
        let adapter = adapter.map(Adapter::load_dir).transpose()?;
        if path.is_dir() {
            Self::from_dir(path, adapter.as_ref(), device)
        } else {
            Self::from_gguf(path, adapter.as_ref(), device)
        }
    }

    /// Goes on with a text until it ends or has `most` new tokens, and gives those. `told` is given each one and says whether to go on.
    pub fn write(
        &self,
        prompt: &[u32],
        mut sampler: Sampler,
        most: usize,
        told: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Vec<u32>, LanguageError> {
        let known = self.tokenizer.vocabulary() as i64;
        let known = known.min(self.decoder.config().vocabulary);
        let mut cache = Cache::default();
        let (mut unread, mut written) = (prompt.to_vec(), Vec::new());
        while written.len() < most {
            let logits = self.decoder.next_logits(&unread, &mut cache)?;
            let token = sampler.pick(&logits.narrow(0, 0, known), None);
            if self.ends.contains(&token) {
                break;
            }
            written.push(token);
            unread = vec![token];
            let full = cache.len() + 1 > self.decoder.config().context;
            if !told(token) || full {
                break;
            }
        }
        Ok(written)
    }

    fn from_gguf(
        path: &Path,
        adapter: Option<&Adapter>,
        device: Device,
    ) -> Result<Self, LanguageError> {
        let file = Gguf::open(path)?;
        let config = DecoderConfig::from_gguf(&file)?;
        let weights = file.weights(kind_for(device))?;
        let tokenizer = Tokenizer::from_gguf(&file)?;
        let end = token(&file, "tokenizer.ggml.eos_token_id")?
            .ok_or_else(|| file.malformed("it does not say which token ends texts".into()))?;
        let begin = token(&file, "tokenizer.ggml.bos_token_id")?;
        let written = |id: u32| tokenizer.token(id).unwrap_or_default();
        let chat = file
            .value("tokenizer.chat_template")
            .map(|_| file.text("tokenizer.chat_template"))
            .transpose()?
            .map(ChatTemplate::new)
            .transpose()?
            .map(|chat| chat.with_tokens(&begin.map(written).unwrap_or_default(), &written(end)));
        fits(&tokenizer, &config)?;
        Ok(Self {
            chat,
            ends: vec![end],
            tokenizer: Rc::new(tokenizer),
            decoder: decoder(config, &weights, adapter, device)?,
        })
    }

    fn from_dir(
        dir: &Path,
        adapter: Option<&Adapter>,
        device: Device,
    ) -> Result<Self, LanguageError> {
        let config = DecoderConfig::from_json(&dir.join("config.json"))?;
        let weights = Weights::load_dir(dir)?.to_kind(kind_for(device));
        let tokenizer = Tokenizer::from_json(&dir.join("tokenizer.json"))?;
        fits(&tokenizer, &config)?;
        Ok(Self {
            chat: ChatTemplate::of_dir(dir)?,
            ends: files::ends(dir)?,
            tokenizer: Rc::new(tokenizer),
            decoder: decoder(config, &weights, adapter, device)?,
        })
    }
}

fn decoder(
    config: DecoderConfig,
    weights: &Weights,
    adapter: Option<&Adapter>,
    device: Device,
) -> Result<Rc<Decoder>, LanguageError> {
    let weights = weights.to_device(device);
    let weights = match adapter {
        Some(adapter) => adapter.merge(&weights)?,
        None => weights,
    };
    let decoder = Decoder::load(config, &weights, None)?;
    weights.refuse_extra(|name| decoder.spares(name))?;
    Ok(Rc::new(decoder))
}

/// Every token of the tokenizer is one of the model's.
fn fits(tokenizer: &Tokenizer, config: &DecoderConfig) -> Result<(), LanguageError> {
    let (tokens, rows) = (tokenizer.vocabulary(), config.vocabulary);
    if tokens as i64 <= rows {
        return Ok(());
    }
    Err(LanguageError::Tokenizer(format!(
        "it knows {tokens} tokens, the model {rows}: they do not belong together"
    )))
}

/// A token that a file's metadata names.
fn token(file: &Gguf, key: &str) -> Result<Option<u32>, LanguageError> {
    match file.value(key) {
        Some(Value::Unsigned(id)) => u32::try_from(*id)
            .map(Some)
            .map_err(|_| file.malformed(format!("{key} is {id}")).into()),
        Some(other) => Err(file.malformed(format!("{key} is {other:?}")).into()),
        None => Ok(None),
    }
}
