//! Language models: Qwen3, Qwen2 and Llama against transformers, adapters against PEFT, prompts as renderers read them.

mod decoding;
mod mistakes;
mod texts;
mod writing;

use std::path::Path;

use atelier_models::{
    language::{Adapter, Decoder, DecoderConfig, LanguageModel},
    weights::Weights,
};
use tch::{Device, Kind};

use super::{Comparison, Failure, Mutation, Subject, assert_all_caught, assert_parity, compare};

fn open(subject: &Subject) -> Result<LanguageModel, Failure> {
    Ok(LanguageModel::load(&subject.checkpoint, None, Device::Cpu)?)
}

fn decoder(dir: &Path, adapter: Option<&Adapter>) -> Result<Decoder, Failure> {
    let weights = Weights::load_dir(dir)?.to_kind(Kind::Float);
    let config = DecoderConfig::from_json(&dir.join("config.json"))?;
    Ok(Decoder::load(config, &weights, adapter)?)
}
