//! Qwen3-VL (<https://arxiv.org/abs/2511.21631>; transformers 5.23 `models/qwen3_vl/modeling_qwen3_vl.py`): a picture and questions in, the
//! probability of yes out.
//!
//! The picture is read once. Its keys and values in the decoder are what all questions begin with, and the questions are read as one batch.

mod answer;
mod config;
mod look;
mod mrope;
mod patches;
mod prefix;
mod prompt;
mod vision;
mod yes_no;

use std::path::{Path, PathBuf};

use tch::{Device, Tensor};

pub use answer::Writing;
pub use config::{Qwen3VlConfig, VisionConfig};
pub use look::{Look, Trace};
pub use mrope::{Mrope, Place, places};
pub use patches::{Grid, Preprocess};
pub use prompt::Prompt;
pub use vision::{Vision, VisionTrace};
pub use yes_no::{Belief, YesNo};

use crate::{
    language::{Decoder, LanguageError, Tokenizer, kind_for},
    weights::{Weights, WeightsError},
};

/// Why Qwen3-VL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Qwen3VlError {
    /// A file beside the weights.
    #[error("{0}: {1}")]
    Config(PathBuf, String),
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Its decoder, tokenizer or chat template.
    #[error(transparent)]
    Language(#[from] LanguageError),
    /// A picture that it does not look at.
    #[error("the picture {0}")]
    Picture(String),
}

/// The model with its weights.
pub struct Qwen3Vl {
    config: Qwen3VlConfig,
    preprocess: Preprocess,
    vision: Vision,
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompt: Prompt,
    yes_no: YesNo,
}

impl Qwen3Vl {
    /// Opens a Hugging Face folder.
    pub fn load(dir: &Path, device: Device) -> Result<Self, Qwen3VlError> {
        let weights = Weights::load_dir(dir)?
            .to_kind(kind_for(device))
            .to_device(device);
        Self::with_weights(dir, &weights)
    }

    /// The same with weights from elsewhere.
    pub fn with_weights(dir: &Path, weights: &Weights) -> Result<Self, Qwen3VlError> {
        let config = Qwen3VlConfig::read(dir)?;
        let preprocess = Preprocess::read(dir, &config.vision)?;
        let decoder = Decoder::load(config.text.clone(), weights, None)?;
        let root = ["model.visual", "visual"]
            .into_iter()
            .find(|root| weights.contains(&format!("{root}.patch_embed.proj.weight")));
        let vision = Vision::load(&config.vision, &weights.sub(root.unwrap_or("model.visual")))?;
        weights.refuse_extra(|name| decoder.spares(name))?;
        let tokenizer = Tokenizer::from_json(&dir.join("tokenizer.json"))?;
        let wrong = |what: String| Qwen3VlError::Config(dir.join("tokenizer.json"), what);
        let yes_no = YesNo::new(&tokenizer, config.text.vocabulary).map_err(wrong)?;
        let prompt = Prompt::load(dir, &tokenizer, config.image_token)?;
        Ok(Self {
            config,
            preprocess,
            vision,
            decoder,
            tokenizer,
            prompt,
            yes_no,
        })
    }

    /// Its shape.
    pub const fn config(&self) -> &Qwen3VlConfig {
        &self.config
    }

    /// What counts as yes and no.
    pub const fn yes_no(&self) -> &YesNo {
        &self.yes_no
    }

    /// How dialogs begin and end.
    pub const fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// How pictures are prepared.
    pub const fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Tokens of a whole dialog about a picture of so many tokens: up to the question, and from there on.
    pub fn tokens(
        &self,
        picture: usize,
        question: &str,
    ) -> Result<(Vec<u32>, Vec<u32>), LanguageError> {
        let before = self.prompt.before(picture);
        Ok((before, self.prompt.after(&self.tokenizer, question)?))
    }

    /// Rows of equal length as a tensor; all tokens are known.
    fn ids(&self, rows: &[Vec<u32>]) -> Result<Tensor, LanguageError> {
        let tokens: Vec<i64> = rows.iter().flatten().map(|id| i64::from(*id)).collect();
        let unknown = |id: &&i64| **id >= self.config.text.vocabulary;
        if let Some(unknown) = tokens.iter().find(unknown) {
            return Err(LanguageError::Tokens(format!(
                "the model has no token {unknown}"
            )));
        }
        Ok(Tensor::from_slice(&tokens)
            .view([rows.len() as i64, -1])
            .to_device(self.decoder.device()))
    }
}
