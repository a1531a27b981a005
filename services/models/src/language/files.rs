//! The small files beside a checkpoint's weights.

use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};

use super::{ChatTemplate, LanguageError, Tokenizer};
use crate::bounded;

/// Largest of them, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// What is read of generation_config.json, and of config.json where that is missing.
#[derive(Deserialize)]
struct Generation {
    eos_token_id: Option<Ends>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ends {
    One(u32),
    Many(Vec<u32>),
}

/// What is read of tokenizer_config.json.
#[derive(Deserialize, Default)]
struct TokenizerConfig {
    chat_template: Option<Templates>,
    bos_token: Option<Special>,
    eos_token: Option<Special>,
    pad_token: Option<Special>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    /// The one called `default` is for dialogs.
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Special {
    Text(String),
    Token { content: String },
}

impl Special {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Token { content: text } => text,
        }
    }
}

impl ChatTemplate {
    /// The template of a tokenizer's folder, when it has one: a file of its own, or a part of the tokenizer's configuration.
    pub fn of_dir(dir: &Path) -> Result<Option<Self>, LanguageError> {
        let config = tokenizer_config(dir)?;
        let jinja = dir.join("chat_template.jinja");
        // Older processors of pictures have a JSON file for it.
        let own: Option<TokenizerConfig> = json(&dir.join("chat_template.json"))?;
        let template = if jinja.exists() {
            Some(text(&jinja)?)
        } else {
            let named = own.and_then(|own| own.chat_template);
            named
                .or(config.chat_template)
                .and_then(|templates| match templates {
                    Templates::One(template) => Some(template),
                    Templates::Named(named) => named
                        .into_iter()
                        .find(|named| named.name == "default")
                        .map(|named| named.template),
                })
        };
        let written = |token: &Option<Special>| token.as_ref().map_or("", Special::text).to_owned();
        let (begin, end) = (written(&config.bos_token), written(&config.eos_token));
        let compiled = template.as_deref().map(Self::new).transpose()?;
        Ok(compiled.map(|chat| chat.with_tokens(&begin, &end)))
    }
}

/// The token that texts are padded with, by the same folder.
pub fn padding(dir: &Path, tokenizer: &Tokenizer) -> Result<u32, LanguageError> {
    let config = tokenizer_config(dir)?;
    let path = || dir.join("tokenizer_config.json");
    let token = config
        .pad_token
        .ok_or_else(|| LanguageError::Unsupported(path(), "it names no pad_token".into()))?;
    tokenizer.id(token.text()).ok_or_else(|| {
        let what = format!(
            "the tokenizer does not know its pad_token {:?}",
            token.text()
        );
        LanguageError::Unsupported(path(), what)
    })
}

/// The tokens that end answers, by a model's folder.
pub fn ends(dir: &Path) -> Result<Vec<u32>, LanguageError> {
    for name in ["generation_config.json", "config.json"] {
        let read: Option<Generation> = json(&dir.join(name))?;
        match read.and_then(|read| read.eos_token_id) {
            Some(Ends::One(end)) => return Ok(vec![end]),
            Some(Ends::Many(ends)) => return Ok(ends),
            None => {}
        }
    }
    Ok(Vec::new())
}

fn tokenizer_config(dir: &Path) -> Result<TokenizerConfig, LanguageError> {
    Ok(json(&dir.join("tokenizer_config.json"))?.unwrap_or_default())
}

/// None where there is no such file.
fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LanguageError> {
    if !path.exists() {
        return Ok(None);
    }
    let read = serde_json::from_str(&text(path)?);
    read.map(Some)
        .map_err(|error| LanguageError::Unsupported(path.to_owned(), error.to_string()))
}

fn text(path: &Path) -> Result<String, LanguageError> {
    let unsupported = |what: String| LanguageError::Unsupported(path.to_owned(), what);
    let bytes = bounded::read(path, MAX_FILE).map_err(|error| unsupported(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| unsupported(error.to_string()))
}
