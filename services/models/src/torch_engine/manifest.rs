//! `model.json`: what a model's folder says about the whole.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bounded;

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// A model's name and what its parts share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name in subjects and traces: letters, digits, `-` and `_`.
    pub name: String,
    /// Decoder layers of the language model whose outputs, side by side, are the text states; counted from 1.
    pub text_taps: Vec<usize>,
}

/// Why a folder is not a model.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("model.json cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The file is not what it should be.
    #[error("model.json: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A value that cannot be used.
    #[error("model.json: {0}")]
    Value(String),
}

impl Manifest {
    /// Reads and checks `dir/model.json`.
    pub fn read(dir: &Path) -> Result<Self, ManifestError> {
        let path = dir.join("model.json");
        Self::parse(&bounded::read(&path, MAX_BYTES)?)
    }

    /// The same from the file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(bytes)?;
        atelier_proto::subject::check_token(&manifest.name)
            .map_err(|error| ManifestError::Value(error.to_string()))?;
        let rising = manifest.text_taps.windows(2).all(|pair| pair[0] < pair[1]);
        if !(1..=8).contains(&manifest.text_taps.len()) || !rising || manifest.text_taps[0] == 0 {
            return Err(ManifestError::Value(
                "text_taps must be 1 to 8 rising layer numbers".into(),
            ));
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn taps_rise_and_names_fit_subjects() {
        let parse = |text: &str| Manifest::parse(text.as_bytes());
        assert!(parse(r#"{"name":"atelier-mini","text_taps":[10,20,30]}"#).is_ok());
        for wrong in [
            r#"{"name":"a.b","text_taps":[1]}"#,
            r#"{"name":"a","text_taps":[]}"#,
            r#"{"name":"a","text_taps":[2,1]}"#,
            r#"{"name":"a","text_taps":[0]}"#,
            r#"{"name":"a","text_taps":[1],"other":1}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn rubbish_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Manifest::parse(&bytes).is_err());
        }
    }
}
