//! The key that says who asks: from ATELIER_API_KEY, a file, or the farm's own folder. Never from the command line,
//! which everybody on the machine can read.

use std::{env, fmt, fs, path::Path};

use anyhow::Result;
use reqwest::header::HeaderValue;

use crate::exit::Usage;

/// Name of the variable.
const VARIABLE: &str = "ATELIER_API_KEY";
/// How every key begins.
const PREFIX: &str = "atl_";
/// Characters after that: 32 bytes in base64url.
const CHARACTERS: usize = 43;

/// A key and where it came from. The key itself is never shown.
#[derive(Clone)]
pub struct ApiKey {
    header: HeaderValue,
    /// Where it came from, for messages.
    pub source: String,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey(from {})", self.source)
    }
}

impl ApiKey {
    /// The key that is meant: the one in `file`, else that of the environment; none if nobody named one.
    pub fn named(file: Option<&Path>) -> Result<Option<Self>> {
        if let Some(file) = file {
            return Self::in_file(file).map(Some);
        }
        match env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => Self::parse(&text, VARIABLE.into()).map(Some),
            Ok(_) | Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => Err(malformed(VARIABLE)),
        }
    }

    /// The key in a file.
    pub fn in_file(file: &Path) -> Result<Self> {
        let source = file.display().to_string();
        let text = fs::read_to_string(file)
            .map_err(|error| Usage(format!("cannot read the key in {source}: {error}")))?;
        Self::parse(&text, source)
    }

    fn parse(text: &str, source: String) -> Result<Self> {
        let text = text.trim();
        let letters = text.strip_prefix(PREFIX).unwrap_or_default();
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if letters.len() != CHARACTERS || !letters.chars().all(known) {
            return Err(malformed(&source));
        }
        let mut header = HeaderValue::try_from(format!("Bearer {text}"))?;
        header.set_sensitive(true);
        Ok(Self { header, source })
    }

    /// Value of the `authorization` header.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// Says what a key looks like, not what was found: it may be half of one.
fn malformed(source: &str) -> anyhow::Error {
    let message = format!(
        "what is in {source} is not a key: a key is {PREFIX} and {CHARACTERS} letters, digits, - or _"
    );
    Usage(message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_and_never_shown() {
        let letters = "Abc-_".repeat(9);
        let good = format!("{PREFIX}{}", &letters[..CHARACTERS]);
        let key = ApiKey::parse(&format!("{good}\n"), "FILE".into()).unwrap();
        assert_eq!(key.header().to_str().unwrap(), format!("Bearer {good}"));
        for shown in [format!("{key:?}"), format!("{:?}", key.header())] {
            assert!(!shown.contains("Abc"), "{shown}");
        }
        for bad in [
            "",
            "atl_",
            &good[1..],
            &good[..46],
            &format!("{good}x"),
            &good.replace('A', "é"),
        ] {
            let error = ApiKey::parse(bad, "FILE".into()).unwrap_err().to_string();
            assert!(error.contains("FILE") && !error.contains("bc-"), "{error}");
        }
    }
}
