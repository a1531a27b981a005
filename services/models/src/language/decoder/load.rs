//! A decoder out of a checkpoint's tensors.

use tch::{Kind, Tensor};

use super::{Adapter, Decoder, DecoderConfig, layer::Layer};
use crate::{
    nn::RmsNorm,
    weights::{Weights, WeightsError},
};

/// What stands before the names of a decoder's tensors: nothing where the decoder was saved without its output layer.
const ROOTS: [&str; 3] = ["model.language_model.", "model.", ""];
/// The output layer.
const HEAD: &str = "lm_head.weight";

impl Decoder {
    /// Takes weights under the names of Hugging Face checkpoints.
    pub fn load(
        config: DecoderConfig,
        weights: &Weights,
        adapter: Option<&Adapter>,
    ) -> Result<Self, WeightsError> {
        let layers = config.layers as usize;
        Self::load_layers(config, weights, adapter, layers)
    }

    /// The same with the first `count` layers only, for states on the way: no more is read, and no text can be written.
    pub fn load_layers(
        config: DecoderConfig,
        weights: &Weights,
        adapter: Option<&Adapter>,
        count: usize,
    ) -> Result<Self, WeightsError> {
        let (vocabulary, hidden) = (config.vocabulary, config.hidden);
        let model = model(weights);
        let embedding = model.get_shaped("embed_tokens.weight", &[vocabulary, hidden])?;
        let whole = count as i64 >= config.layers;
        let layers = (0..count.min(config.layers as usize))
            .map(|index| {
                let own = model.sub("layers").sub(index);
                Layer::load(&config, index, &own, adapter)
            })
            .collect::<Result<_, _>>()?;
        let head = if !whole {
            None
        } else if !config.tied {
            Some(weights.get_shaped(HEAD, &[vocabulary, hidden])?)
        } else if weights.contains(HEAD) && weights.get(HEAD)?.equal(&embedding) {
            None
        } else if weights.contains(HEAD) {
            // Saved beside the embedding although it is said to be that.
            return Err(WeightsError::Extra(HEAD.into()));
        } else {
            None
        };
        Ok(Self {
            norm: RmsNorm::load(&model, "norm", hidden, config.eps)?,
            frequencies: frequencies(&config, weights, &embedding)?,
            head,
            config,
            embedding,
            layers,
        })
    }

    /// Whether a tensor that [`Decoder::load_layers`] did not read may be in a decoder's checkpoint all the same: layers that are not
    /// needed, and tables that are computed here.
    pub fn spares(&self, name: &str) -> bool {
        let layer = name
            .split_once("layers.")
            .and_then(|(_, rest)| rest.split('.').next()?.parse::<i64>().ok());
        let unneeded =
            layer.is_some_and(|layer| (self.layers() as i64..self.config.layers).contains(&layer));
        let head = name == HEAD && (self.layers() as i64) < self.config.layers;
        unneeded || head || name.ends_with("rotary_emb.inv_freq")
    }
}

/// The view of everything but the output layer.
fn model(weights: &Weights) -> Weights {
    let found = ROOTS
        .iter()
        .find(|root| weights.contains(&format!("{root}embed_tokens.weight")));
    match found.unwrap_or(&"model.").trim_end_matches('.') {
        "" => weights.clone(),
        root => weights.sub(root),
    }
}

/// Radians a token `(head / 2)`, f32: computed in f64, so that late positions are exact.
fn frequencies(
    config: &DecoderConfig,
    weights: &Weights,
    like: &Tensor,
) -> Result<Tensor, WeightsError> {
    let frequencies = Tensor::from_slice(&config.rope.frequencies(config.head));
    let divided = if weights.contains("rope_freqs.weight") {
        let factors = weights.get_shaped("rope_freqs.weight", &[config.head / 2])?;
        frequencies / factors.to_kind(Kind::Double).to_device(tch::Device::Cpu)
    } else {
        frequencies
    };
    Ok(divided.to_kind(Kind::Float).to_device(like.device()))
}
