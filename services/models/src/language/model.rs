//! A whole language model as it lies on disk: a GGUF file, or a Hugging Face folder.

use std::{fs, path::Path, rc::Rc};

use serde::Deserialize;
use tch::Device;

use super::{Adapter, ChatTemplate, Decoder, DecoderConfig, LanguageError, Tokenizer, kind_for};
use crate::weights::{Weights, gguf::Gguf};

/// Largest of the small JSON files, in bytes.
const MAX_JSON: u64 = 16 << 20;

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

#[derive(Deserialize)]
#[serde(untagged)]
enum Ends {
    One(u32),
    Many(Vec<u32>),
}

/// What is read of generation_config.json, and of config.json where that is missing.
#[derive(Deserialize)]
struct Generation {
    eos_token_id: Option<Ends>,
}

/// What is read of tokenizer_config.json.
#[derive(Deserialize)]
struct TokenizerConfig {
    chat_template: Option<String>,
}

impl LanguageModel {
    /// Opens a GGUF file or a Hugging Face folder, with the adapter in the folder `adapter` where one is given.
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

    fn from_gguf(
        path: &Path,
        adapter: Option<&Adapter>,
        device: Device,
    ) -> Result<Self, LanguageError> {
        let file = Gguf::open(path)?;
        let config = DecoderConfig::from_gguf(&file)?;
        let template = file
            .value("tokenizer.chat_template")
            .map(|_| file.text("tokenizer.chat_template"))
            .transpose()?;
        let end = file.unsigned("tokenizer.ggml.eos_token_id")?;
        Ok(Self {
            chat: template.map(ChatTemplate::new).transpose()?,
            ends: vec![
                u32::try_from(end)
                    .map_err(|_| file.malformed(format!("texts end with token {end}")))?,
            ],
            tokenizer: Rc::new(Tokenizer::from_gguf(&file)?),
            decoder: decoder(config, &file.weights(kind_for(device))?, adapter, device)?,
        })
    }

    fn from_dir(
        dir: &Path,
        adapter: Option<&Adapter>,
        device: Device,
    ) -> Result<Self, LanguageError> {
        let config = DecoderConfig::from_json(&dir.join("config.json"))?;
        let generation = match json::<Generation>(&dir.join("generation_config.json"))? {
            Some(Generation {
                eos_token_id: Some(ends),
            }) => Some(ends),
            _ => {
                json::<Generation>(&dir.join("config.json"))?.and_then(|config| config.eos_token_id)
            }
        };
        Ok(Self {
            chat: ChatTemplate::of_dir(dir)?,
            ends: match generation {
                Some(Ends::One(end)) => vec![end],
                Some(Ends::Many(ends)) => ends,
                None => Vec::new(),
            },
            tokenizer: Rc::new(Tokenizer::from_json(&dir.join("tokenizer.json"))?),
            decoder: decoder(
                config,
                &Weights::load_dir(dir)?.to_kind(kind_for(device)),
                adapter,
                device,
            )?,
        })
    }
}

impl ChatTemplate {
    /// The template of a Hugging Face folder: a file of its own, or a part of the tokenizer's configuration.
    pub fn of_dir(dir: &Path) -> Result<Option<Self>, LanguageError> {
        let jinja = dir.join("chat_template.jinja");
        let template = if jinja.exists() {
            Some(text(&jinja)?)
        } else {
            json::<TokenizerConfig>(&dir.join("tokenizer_config.json"))?
                .and_then(|config| config.chat_template)
        };
        template.as_deref().map(Self::new).transpose()
    }
}

fn decoder(
    config: DecoderConfig,
    weights: &Weights,
    adapter: Option<&Adapter>,
    device: Device,
) -> Result<Rc<Decoder>, LanguageError> {
    let weights = weights.to_device(device);
    let embedding = weights.get("model.embed_tokens.weight")?;
    let adapter = adapter.map(|adapter| adapter.like(&embedding));
    Ok(Rc::new(Decoder::load(config, &weights, adapter.as_ref())?))
}

/// A file beside the weights, when it is there.
fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, LanguageError> {
    if !path.exists() {
        return Ok(None);
    }
    let read = serde_json::from_str(&text(path)?);
    read.map(Some)
        .map_err(|error| LanguageError::Unsupported(path.to_owned(), error.to_string()))
}

fn text(path: &Path) -> Result<String, LanguageError> {
    let unsupported = |what: String| LanguageError::Unsupported(path.to_owned(), what);
    let size = fs::metadata(path)
        .map_err(|error| unsupported(error.to_string()))?
        .len();
    if size > MAX_JSON {
        return Err(unsupported(format!(
            "{size} bytes, at most {MAX_JSON} are read"
        )));
    }
    fs::read_to_string(path).map_err(|error| unsupported(error.to_string()))
}
