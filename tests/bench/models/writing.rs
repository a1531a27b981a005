//! Language models of random weights that write.

use std::rc::Rc;

use anyhow::{Result, bail};
use atelier_models::{
    language::{Beginning, Decoder, DecoderConfig, Sampler, Sampling, Until, Writer},
    weights::Weights,
};
use serde_json::Value as Json;
use tch::Tensor;

use crate::{
    ours::{Call, Effort},
    shapes::Work,
};

/// What is done with a language model, and how much that is.
pub fn call(config: &Json, work: Work, weights: &Weights) -> Result<(Call, Effort)> {
    let Work::Write {
        texts,
        behind,
        prompt,
        tokens,
    } = work
    else {
        bail!("{work:?} is nothing to write");
    };
    let config = DecoderConfig::parse(config.clone()).map_err(anyhow::Error::msg)?;
    let vocabulary = config.vocabulary;
    let decoder = Rc::new(Decoder::load(config, weights, None)?);
    let size = |part: &str| -> Result<[f64; 2]> {
        let all = weights.tensors()?;
        let found = all.iter().filter(|(name, _)| name.contains(part));
        let numbers: usize = found.map(|(_, tensor)| tensor.numel()).sum();
        let bytes = numbers * decoder.kind().elt_size_in_bytes();
        Ok([numbers as f64, bytes as f64])
    };
    let (layers, head) = (size("layers.")?, size("embed_tokens")?);
    let (read, written) = (
        (texts * (prompt + tokens - 1)) as f64,
        (texts * tokens) as f64,
    );
    let effort = Effort {
        flops: 2.0 * (layers[0] * read + head[0] * written),
        bytes: (layers[1] + head[1]) * tokens as f64,
    };
    let number = |at: i64| (7 + 31 * at).rem_euclid(vocabulary) as u32;
    let shared: Vec<u32> = (0..behind).map(number).collect();
    let beginning = (behind > 0)
        .then(|| Beginning::read(&decoder, &shared))
        .transpose()?;
    let prompts: Vec<Vec<u32>> = (0..texts)
        .map(|text| {
            let own = (0..prompt).map(|at| number(behind + at + 101 * text));
            shared.iter().copied().chain(own).collect()
        })
        .collect();
    let call = move || -> Result<Tensor> {
        let mut writer = Writer::new(&decoder, vocabulary as usize);
        for prompt in &prompts {
            let sampler = Sampler::new(Sampling::GREEDY, 0)?;
            let guide = Until::new(Vec::new(), tokens as usize);
            writer.join(prompt, beginning.as_ref(), sampler, guide)?;
        }
        let mut written = Vec::new();
        while !writer.is_empty() {
            for ended in writer.step()? {
                written.extend(ended.guide.written().iter().map(|token| i64::from(*token)));
            }
        }
        Ok(Tensor::from_slice(&written))
    };
    Ok((Box::new(call), effort))
}
