//! Byte-level BPE from GGUF metadata or from a Hugging Face tokenizer.json.

mod file;

use std::{collections::HashSet, path::Path};

use serde_json::{Value as Json, json};

use super::LanguageError;
use crate::{
    bounded,
    weights::gguf::{Gguf, Value},
};

/// Largest tokenizer.json, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// Longest text that is encoded, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// Highest number of a token.
const MAX_ID: u32 = 1 << 22;

/// Numbers of GGUF's token types: control tokens and those a user added.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// How Qwen splits text before merging.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Text to token numbers and back.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The same, for which special tokens are text as any other.
    plain: tokenizers::Tokenizer,
    bytes: Vec<Box<[u8]>>,
}

impl Tokenizer {
    /// From the metadata of a GGUF file: model `gpt2`, split as `smollm`, `gpt-2` or `qwen2` say.
    pub fn from_gguf(file: &Gguf) -> Result<Self, LanguageError> {
        let wrong = |what: String| LanguageError::from(file.malformed(what));
        let model = file.text("tokenizer.ggml.model")?;
        if model != "gpt2" {
            return Err(wrong(format!("tokenizer model {model:?}; gpt2 is read")));
        }
        let texts = |key: &str| {
            let texts = file.array(key)?.iter().map(|value| match value {
                Value::Text(text) => Ok(text.as_str()),
                _ => Err(wrong(format!("{key:?} holds something else than texts"))),
            });
            texts.collect::<Result<Vec<_>, _>>()
        };
        let tokens = texts("tokenizer.ggml.tokens")?;
        if tokens.iter().collect::<HashSet<_>>().len() != tokens.len() {
            return Err(wrong("two tokens are the same".into()));
        }
        let vocabulary: serde_json::Map<String, Json> = tokens
            .iter()
            .enumerate()
            .map(|(id, token)| ((*token).to_owned(), json!(id)))
            .collect();
        let merges = texts("tokenizer.ggml.merges")?;
        let merges: Option<Vec<(&str, &str)>> =
            merges.iter().map(|merge| merge.split_once(' ')).collect();
        let merges = merges.ok_or_else(|| wrong("a merge is not of two tokens".into()))?;
        let mut added = Vec::new();
        for (id, (token, kind)) in tokens
            .iter()
            .zip(file.array("tokenizer.ggml.token_type")?)
            .enumerate()
        {
            let kind = match kind {
                Value::Signed(kind) => *kind,
                _ => return Err(wrong("a token's type is no number".into())),
            };
            if [CONTROL, USER_DEFINED].contains(&kind) {
                added.push(json!({
                    "id": id, "content": token, "special": kind == CONTROL, "normalized": false,
                    "single_word": false, "lstrip": false, "rstrip": false,
                }));
            }
        }
        let byte_level = |split: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": split});
        let qwen = json!({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false});
        let (normalizer, before) = match file.text("tokenizer.ggml.pre")? {
            "smollm" => (
                Json::Null,
                json!([{"type": "Digits", "individual_digits": true}, byte_level(true)]),
            ),
            "gpt-2" => (Json::Null, json!([byte_level(true)])),
            "qwen2" => (json!({"type": "NFC"}), json!([qwen, byte_level(false)])),
            other => {
                return Err(wrong(format!(
                    "text is split as {other:?}; smollm, gpt-2 and qwen2 are known"
                )));
            }
        };
        let whole = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": normalizer, "pre_tokenizer": {"type": "Sequence", "pretokenizers": before},
            "post_processor": null, "decoder": byte_level(true),
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": merges,
            },
        });
        Self::of(&whole.to_string().into_bytes())
    }

    /// From a tokenizer.json of a byte-level model.
    pub fn from_json(path: &Path) -> Result<Self, LanguageError> {
        let wrong = |what: String| LanguageError::Tokenizer(format!("{}: {what}", path.display()));
        let bytes = bounded::read(path, MAX_FILE).map_err(|error| wrong(error.to_string()))?;
        let file = file::checked(&bytes).map_err(wrong)?;
        let made = Self::of(&file.json)?;
        let elsewhere = |(text, id): &&(String, u64)| made.id(text).map(u64::from) != Some(*id);
        match file.added.iter().find(elsewhere) {
            Some((text, id)) => Err(wrong(format!(
                "the added token {text:?} cannot be number {id}"
            ))),
            None => Ok(made),
        }
    }

    fn of(json: &[u8]) -> Result<Self, LanguageError> {
        let wrong = |what: &dyn std::fmt::Display| LanguageError::Tokenizer(what.to_string());
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(|error| wrong(&error))?;
        if !matches!(
            inner.get_decoder(),
            Some(tokenizers::DecoderWrapper::ByteLevel(_))
        ) {
            return Err(wrong(&"it does not decode bytes one by one"));
        }
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| wrong(&error))?;
        let bytes = bytes(&inner)?;
        let mut plain = inner.clone();
        plain.set_encode_special_tokens(true);
        Ok(Self {
            inner,
            plain,
            bytes,
        })
    }

    /// Tokens of a text; special tokens that are written out in it become special.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, LanguageError> {
        encode(&self.inner, text)
    }

    /// Tokens of a text that comes from outside: nothing in it becomes special.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, LanguageError> {
        encode(&self.plain, text)
    }

    /// Text of tokens, without special ones; what is not UTF-8 is replaced.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .flat_map(|id| self.bytes_of(*id))
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The number of a token as it is written in the vocabulary, for example `<|im_end|>`.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// A token as it is written in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// What a token stands for; nothing for special ones.
    pub fn bytes_of(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// What every token stands for, by its number.
    pub fn token_bytes(&self) -> Vec<Box<[u8]>> {
        self.bytes.clone()
    }

    /// How many token numbers there are.
    pub const fn vocabulary(&self) -> usize {
        self.bytes.len()
    }
}

fn encode(tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Vec<u32>, LanguageError> {
    if text.len() > MAX_TEXT {
        return Err(LanguageError::Tokenizer(format!(
            "a text of {} bytes, at most {MAX_TEXT} are read",
            text.len()
        )));
    }
    let encoding = tokenizer
        .encode_fast(text, false)
        .map_err(|error| LanguageError::Tokenizer(error.to_string()))?;
    Ok(encoding.get_ids().to_vec())
}

/// What every token stands for. Byte-level vocabularies write each byte as one visible character.
fn bytes(tokenizer: &tokenizers::Tokenizer) -> Result<Vec<Box<[u8]>>, LanguageError> {
    let vocabulary = tokenizer.get_vocab(true);
    let most = vocabulary.values().copied().max().unwrap_or(0);
    if most > MAX_ID {
        return Err(LanguageError::Tokenizer(format!(
            "a token with number {most}, at most {MAX_ID} are read"
        )));
    }
    let mut all = vec![Box::default(); most as usize + 1];
    for (token, id) in vocabulary {
        let bytes: Option<Vec<u8>> = token.chars().map(byte).collect();
        all[id as usize] = bytes
            .unwrap_or_else(|| token.clone().into_bytes())
            .into_boxed_slice();
    }
    for (id, token) in tokenizer.get_added_tokens_decoder() {
        if let Some(bytes) = all.get_mut(id as usize) {
            *bytes = if token.special {
                Box::default()
            } else {
                token.content.into_bytes().into_boxed_slice()
            };
        }
    }
    Ok(all)
}

/// The byte that a character of a byte-level vocabulary stands for: visible Latin-1 stands for itself, the 68 other bytes follow from
/// U+0100 on in their order.
fn byte(character: char) -> Option<u8> {
    let visible = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(character) {
        code @ 0..=0xff => u8::try_from(code).ok().filter(visible),
        code @ 0x100..=0x143 => (0..=u8::MAX)
            .filter(|byte| !visible(byte))
            .nth(code as usize - 0x100),
        _ => None,
    }
}
