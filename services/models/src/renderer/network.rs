//! The transformer of a checkpoint, whichever family it is of.

use serde::Deserialize;
use tch::{Kind, Tensor};

use super::{
    input::TransformerInput,
    klein::{Transformer, TransformerConfig},
    zimage::{PAD_MULTIPLE, ZImageConfig, ZImageTransformer},
};
use crate::weights::{Weights, WeightsError};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TransformerConfigError {
    /// Not JSON of this shape.
    #[error("the transformer's config.json: {0}")]
    Json(#[from] serde_json::Error),
    /// Another class of network.
    #[error(
        "the transformer's config.json names {0}; Flux2Transformer2DModel and ZImageTransformer2DModel are known"
    )]
    Class(String),
    /// A value that this family does not have or that contradicts another.
    #[error("the transformer's config.json: {0}")]
    Value(String),
}

/// A family's configuration.
pub enum NetworkConfig {
    /// FLUX.2 klein.
    Klein(TransformerConfig),
    /// Z-Image.
    ZImage(ZImageConfig),
}

/// A family's transformer.
pub enum Network {
    /// FLUX.2 klein.
    Klein(Transformer),
    /// Z-Image.
    ZImage(ZImageTransformer),
}

impl NetworkConfig {
    /// Reads and checks a `config.json`; `_class_name` says of which family it is, klein where it is left out.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TransformerConfigError> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "_class_name")]
            class: Option<String>,
        }
        let named: Named = serde_json::from_slice(bytes)?;
        if named.class.as_deref() == Some(ZImageConfig::CLASS) {
            Ok(Self::ZImage(ZImageConfig::from_json(bytes)?))
        } else {
            Ok(Self::Klein(TransformerConfig::from_json(bytes)?))
        }
    }

    /// Channels of one token of a picture.
    pub const fn token_channels(&self) -> i64 {
        match self {
            Self::Klein(config) => config.in_channels,
            Self::ZImage(config) => config.token_channels(),
        }
    }

    /// Channels of one text state.
    pub const fn text_channels(&self) -> i64 {
        match self {
            Self::Klein(config) => config.text_channels,
            Self::ZImage(config) => config.text_channels,
        }
    }

    /// The network of this shape.
    pub fn network(&self, weights: &Weights) -> Result<Network, WeightsError> {
        Ok(match self {
            Self::Klein(config) => Network::Klein(Transformer::load(config, weights)?),
            Self::ZImage(config) => Network::ZImage(ZImageTransformer::load(config, weights)?),
        })
    }
}

impl Network {
    /// Channels of one token of a picture.
    pub const fn token_channels(&self) -> i64 {
        match self {
            Self::Klein(network) => network.config().in_channels,
            Self::ZImage(network) => network.config().token_channels(),
        }
    }

    /// Channels of one text state.
    pub const fn text_channels(&self) -> i64 {
        match self {
            Self::Klein(network) => network.config().text_channels,
            Self::ZImage(network) => network.config().text_channels,
        }
    }

    /// Whether it reads pictures beside the one that it draws.
    pub const fn reads_references(&self) -> bool {
        matches!(self, Self::Klein(_))
    }

    /// Text states come in multiples of this; those that are filled in are seen.
    pub const fn text_multiple(&self) -> usize {
        match self {
            Self::Klein(_) => 1,
            Self::ZImage(_) => PAD_MULTIPLE,
        }
    }

    /// Most text states, filled up, that it has positions for.
    pub const fn most_text(&self) -> Option<i64> {
        match self {
            Self::Klein(_) => None,
            // The picture stands behind the text.
            Self::ZImage(network) => Some(network.config().positions[0] - 2),
        }
    }

    /// The kind that it computes in.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Klein(network) => network.kind(),
            Self::ZImage(network) => network.kind(),
        }
    }

    /// What [`Network::velocity`] reads as text at every step, of states `(B, T, text channels)` whose first `real[b]` are no filling.
    /// `ids` and `bias` as in [`TransformerInput`].
    pub fn text(
        &self,
        states: &Tensor,
        real: &[i64],
        ids: &Tensor,
        bias: Option<&Tensor>,
    ) -> Tensor {
        match self {
            Self::Klein(_) => states.to_kind(self.kind()),
            Self::ZImage(network) => {
                let tokens = states.size()[1];
                let among = bias.map(|bias| bias.narrow(2, 0, tokens).narrow(3, 0, tokens));
                network.captions(states, real, ids, among.as_ref(), &mut |_, _, _| {})
            }
        }
    }

    /// Velocity of the noisy tokens from picture to noise, `(B, N, token channels)`.
    pub fn velocity(&self, input: &TransformerInput<'_>) -> Tensor {
        match self {
            Self::Klein(network) => network.forward(input),
            Self::ZImage(network) => network.forward(input),
        }
    }
}
