//! What an API key looks like: `atl_` and 256 random bits as 43 characters of URL-safe base64.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// What every key starts with, so that scanners for leaked secrets find it.
const PREFIX: &str = "atl_";
/// Characters after the prefix.
const CHARACTERS: usize = 43;

/// A new key from 256 random bits.
pub fn new_key(bits: [u8; 32]) -> String {
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bits))
}

/// Whether `text` could be a key.
pub fn is_key(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == CHARACTERS && rest.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_keys_are_keys_and_other_text_is_not() {
        for bits in [[0; 32], [255; 32], std::array::from_fn(|i| i as u8)] {
            let key = new_key(bits);
            assert_eq!(key.len(), 47);
            assert!(is_key(&key), "{key}");
            assert!(!is_key(&key[..46]) && !is_key(&format!("{key}x")));
            assert!(!is_key(&key.replace("atl_", "key_")));
        }
        assert!(!is_key("") && !is_key("atl_"));
        assert!(!is_key(&format!("atl_{}", "\u{e4}".repeat(21) + "x")));
    }
}
