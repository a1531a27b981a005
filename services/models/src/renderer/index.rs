//! `model_index.json`: what the folder of a whole pipeline says about itself, as diffusers writes it.

use std::path::Path;

use serde::Deserialize;

use crate::bounded;

/// Most bytes of the file.
const MAX_BYTES: u64 = 1 << 20;

/// What is read of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModelIndex {
    /// The pipeline's name.
    #[serde(rename = "_class_name")]
    pub class: String,
    /// Whether it was trained to draw in a few steps without guidance. Only klein says so; its base models leave it out.
    #[serde(default)]
    pub is_distilled: bool,
}

/// Pipelines whose parts are all known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipeline {
    /// FLUX.2 klein, distilled to four steps.
    Klein,
    /// FLUX.2 klein as it was before: drawn in many steps with guidance.
    KleinBase,
    /// Z-Image and Z-Image-Turbo.
    ZImage,
}

impl Pipeline {
    /// Whether it reads pictures beside the words.
    pub const fn reads_pictures(self) -> bool {
        !matches!(self, Self::ZImage)
    }
}

impl ModelIndex {
    /// Name of the file.
    pub const FILE: &str = "model_index.json";

    /// Reads the file of a folder; the message says what is wrong.
    pub fn read(dir: &Path) -> Result<Self, String> {
        let bytes = bounded::read(&dir.join(Self::FILE), MAX_BYTES);
        Self::from_json(&bytes.map_err(|error| error.to_string())?)
    }

    /// Reads the bytes of the file; the message says what is wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// The pipeline; the message says which ones are known.
    pub fn pipeline(&self) -> Result<Pipeline, String> {
        match self.class.as_str() {
            "Flux2KleinPipeline" | "Flux2KleinInpaintPipeline" if self.is_distilled => {
                Ok(Pipeline::Klein)
            }
            "Flux2KleinPipeline" | "Flux2KleinInpaintPipeline" => Ok(Pipeline::KleinBase),
            "ZImagePipeline" | "ZImageImg2ImgPipeline" => Ok(Pipeline::ZImage),
            other => Err(format!(
                "_class_name is {other:?}; Flux2KleinPipeline and ZImagePipeline are known"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pipelines_are_told_apart() {
        let pipeline =
            |text: &str| ModelIndex::from_json(text.as_bytes()).and_then(|index| index.pipeline());
        assert_eq!(
            pipeline(
                r#"{"_class_name":"Flux2KleinPipeline","is_distilled":true,"vae":["diffusers","AutoencoderKLFlux2"]}"#
            ),
            Ok(Pipeline::Klein)
        );
        assert_eq!(
            pipeline(r#"{"_class_name":"Flux2KleinPipeline"}"#),
            Ok(Pipeline::KleinBase)
        );
        assert_eq!(
            pipeline(r#"{"_class_name":"ZImagePipeline"}"#),
            Ok(Pipeline::ZImage)
        );
        let other = pipeline(r#"{"_class_name":"StableDiffusionPipeline"}"#).unwrap_err();
        assert!(other.contains("StableDiffusionPipeline") && other.contains("ZImagePipeline"));
        assert!(pipeline("{}").unwrap_err().contains("_class_name"));
    }

    proptest! {
        #[test]
        fn rubbish_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(ModelIndex::from_json(&bytes).is_err());
        }
    }
}
