//! tokenizer.json (<https://huggingface.co/docs/tokenizers>) before the library reads it: only what byte-level BPE needs is left, since the
//! library panics where some of the other parts are not what they should be.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

/// Ways to change text before it is split.
const NORMALIZERS: [&str; 9] = [
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Lowercase",
    "StripAccents",
    "Replace",
    "Prepend",
    "Sequence",
];
/// Deepest nesting of those.
const MAX_DEPTH: usize = 4;

/// A file that the library may read.
#[derive(Debug)]
pub struct Checked {
    /// The same without what is not used: post-processing adds special tokens, which dialogs write out here.
    pub json: Vec<u8>,
    /// Tokens beside the vocabulary, with their numbers. The library gives them others where these are not free.
    pub added: Vec<(String, u64)>,
}

/// Checks a whole file.
pub fn checked(json: &[u8]) -> Result<Checked, String> {
    let read: Json = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let Json::Object(mut file) = read else {
        return Err("it is no object".into());
    };
    let kind = |part: &Json| part["type"].as_str().unwrap_or_default().to_owned();
    if let Some(model) = file.get("model") {
        // Older files do not say.
        let named = kind(model);
        if !["", "BPE"].contains(&named.as_str()) {
            return Err(format!("a model of type {named:?}; BPE is read"));
        }
    }
    if file.get("decoder").map(kind).as_deref() != Some("ByteLevel") {
        return Err("it does not decode bytes one by one".into());
    }
    if let Some(normalizer) = file.get("normalizer") {
        known_normalizer(normalizer, 0)?;
    }
    let added = added_tokens(&file)?;
    for unused in ["post_processor", "padding", "truncation"] {
        file.insert(unused.into(), Json::Null);
    }
    let json = serde_json::to_vec(&file).map_err(|error| error.to_string())?;
    Ok(Checked { json, added })
}

fn known_normalizer(normalizer: &Json, depth: usize) -> Result<(), String> {
    if normalizer.is_null() {
        return Ok(());
    }
    let kind = normalizer["type"].as_str().unwrap_or_default();
    if !NORMALIZERS.contains(&kind) || depth > MAX_DEPTH {
        return Err(format!("text is normalised as {kind:?}, which is not read"));
    }
    let parts = normalizer["normalizers"].as_array();
    parts
        .into_iter()
        .flatten()
        .try_for_each(|part| known_normalizer(part, depth + 1))
}

/// Each has a number and a text of its own.
fn added_tokens(file: &Map<String, Json>) -> Result<Vec<(String, u64)>, String> {
    let (mut ids, mut texts, mut tokens) = (HashSet::new(), HashSet::new(), Vec::new());
    let added = file.get("added_tokens").and_then(Json::as_array);
    for token in added.into_iter().flatten() {
        let (Some(id), Some(text)) = (token["id"].as_u64(), token["content"].as_str()) else {
            return Err(format!("{token} is no added token"));
        };
        if text.is_empty() || !ids.insert(id) || !texts.insert(text) {
            return Err(format!(
                "the added token {text:?} or its number stands there twice, or it is empty"
            ));
        }
        tokens.push((text.to_owned(), id));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(changes: Json) -> Result<Checked, String> {
        let mut file = json!({
            "model": {"type": "BPE", "vocab": {}, "merges": []}, "decoder": {"type": "ByteLevel"},
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}, "post_processor": {"type": "ByteLevel"},
            "added_tokens": [{"id": 3, "content": "<|im_end|>"}],
        });
        for (key, value) in changes.as_object().unwrap() {
            file[key] = value.clone();
        }
        checked(file.to_string().as_bytes())
    }

    #[test]
    fn what_is_not_used_is_left_out() {
        let Checked { json, added } = with(json!({})).unwrap();
        assert_eq!(added, [("<|im_end|>".to_owned(), 3)]);
        let file: Json = serde_json::from_slice(&json).unwrap();
        assert!(file["post_processor"].is_null() && file["padding"].is_null());
        assert_eq!(file["decoder"]["type"], "ByteLevel");
    }

    #[test]
    fn what_the_library_panics_on_is_refused_before() {
        let broken = br#"{"decoder": {"type": "ByteLevel" "use_regex": true}}"#;
        assert!(checked(broken).unwrap_err().contains("expected"));
        for (changes, named) in [
            (json!({"decoder": {"type": "Metaspace"}}), "bytes"),
            (json!({"decoder": null}), "bytes"),
            (json!({"model": {"type": "Unigram"}}), "Unigram"),
            (
                json!({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}),
                "Precompiled",
            ),
            (
                json!({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled"}]}}),
                "Precompiled",
            ),
            (
                json!({"added_tokens": [{"id": 3, "content": "a"}, {"id": 3, "content": "b"}]}),
                "twice",
            ),
            (
                json!({"added_tokens": [{"id": 3, "content": "a"}, {"id": 4, "content": "a"}]}),
                "twice",
            ),
            (json!({"added_tokens": [{"id": 3, "content": ""}]}), "empty"),
            (
                json!({"added_tokens": [{"content": "a"}]}),
                "no added token",
            ),
        ] {
            let error = with(changes.clone()).err().unwrap_or_default();
            assert!(error.contains(named), "{changes}: {error:?}");
        }
        assert!(checked(b"[]").is_err());
    }
}
