//! `config.json` of an autoencoder (diffusers `AutoencoderKLFlux2`, or `AutoencoderKL` as FLUX.1 and Z-Image have it).

use serde::{Deserialize, Serialize};

/// Shape of an autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoencoderConfig {
    /// Architecture: [`AutoencoderConfig::CLASS`] or [`AutoencoderConfig::FACTOR_CLASS`].
    #[serde(rename = "_class_name")]
    pub class: String,
    /// Channels of a latent before patches are made of it.
    pub latent_channels: i64,
    /// Channels of each level, finest first; all but the last halve the picture.
    pub block_out_channels: Vec<i64>,
    /// The same for the decoder where it differs.
    #[serde(default)]
    pub decoder_block_out_channels: Option<Vec<i64>>,
    /// Residual blocks a level in the encoder; the decoder has one more.
    pub layers_per_block: i64,
    /// Groups of the group norms.
    pub norm_num_groups: i64,
    /// Added to the variance of tokens where the checkpoint has statistics of them.
    #[serde(default)]
    pub batch_norm_eps: f64,
    /// Latents that make a token: 2 x 2.
    #[serde(default = "two_by_two")]
    pub patch_size: [i64; 2],
    /// What latents are multiplied by where they are not standardised by statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling_factor: Option<f64>,
    /// What is taken off latents before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_factor: Option<f64>,
    /// A 1x1 convolution after the encoder.
    #[serde(default = "yes")]
    pub use_quant_conv: bool,
    /// A 1x1 convolution before the decoder.
    #[serde(default = "yes")]
    pub use_post_quant_conv: bool,
    /// Attention between the two middle blocks.
    #[serde(default = "yes")]
    pub mid_block_add_attention: bool,
}

const fn yes() -> bool {
    true
}

const fn two_by_two() -> [i64; 2] {
    [2, 2]
}

impl AutoencoderConfig {
    /// FLUX.2's: tokens are standardised by statistics.
    pub const CLASS: &str = "AutoencoderKLFlux2";

    /// FLUX.1's and Z-Image's: latents are standardised by one factor and one shift.
    pub const FACTOR_CLASS: &str = "AutoencoderKL";

    /// Reads and checks `config.json`; the message says what is wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let levels = [
            Some(&config.block_out_channels),
            config.decoder_block_out_channels.as_ref(),
        ];
        let groups = config.norm_num_groups;
        let sound =
            |channels: &i64| (1..=8192).contains(channels) && groups > 0 && channels % groups == 0;
        match (config.class.as_str(), config.scaling_factor) {
            (Self::CLASS, None) => {}
            (Self::FACTOR_CLASS, Some(factor)) => {
                let shift = config.shift_factor.unwrap_or(0.0);
                if !(factor.is_finite() && factor > 0.0 && shift.is_finite()) {
                    return Err(format!(
                        "scaling_factor {factor} and shift_factor {shift} standardise nothing"
                    ));
                }
            }
            (Self::CLASS, Some(_)) => {
                return Err(
                    "scaling_factor is set, but tokens are standardised by statistics".into(),
                );
            }
            (Self::FACTOR_CLASS, None) => return Err("scaling_factor is missing".into()),
            (other, _) => {
                return Err(format!(
                    "_class_name is {other:?}; {:?} and {:?} are known",
                    Self::CLASS,
                    Self::FACTOR_CLASS
                ));
            }
        }
        if levels
            .into_iter()
            .flatten()
            .any(|levels| levels.len() != 4 || !levels.iter().all(sound))
        {
            return Err(
                "block_out_channels must be four multiples of norm_num_groups, at most 8192".into(),
            );
        }
        if !(1..=256).contains(&config.latent_channels)
            || !(1..=8).contains(&config.layers_per_block)
        {
            return Err("latent_channels must be 1..=256 and layers_per_block 1..=8".into());
        }
        if config.patch_size != [2, 2] || !config.mid_block_add_attention {
            return Err("only patch_size [2, 2] with attention in the middle is known".into());
        }
        if !(0.0..=1.0).contains(&config.batch_norm_eps) {
            return Err("batch_norm_eps must be within 0..=1".into());
        }
        Ok(config)
    }

    /// Channels of a token: four latents.
    pub const fn token_channels(&self) -> i64 {
        self.latent_channels * 4
    }

    /// Channels of the decoder's levels, finest first.
    pub fn decoder_channels(&self) -> &[i64] {
        self.decoder_block_out_channels
            .as_deref()
            .unwrap_or(&self.block_out_channels)
    }
}
