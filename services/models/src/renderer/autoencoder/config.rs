//! `config.json` of an autoencoder (diffusers `AutoencoderKLFlux2`).

use serde::{Deserialize, Serialize};

/// Shape of an autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoencoderConfig {
    /// Architecture; must be `AutoencoderKLFlux2`.
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
    /// Added to the variance of latents.
    pub batch_norm_eps: f64,
    /// Latents that make a token: 2 x 2.
    pub patch_size: [i64; 2],
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

impl AutoencoderConfig {
    /// The architecture's name in `_class_name`.
    pub const CLASS: &str = "AutoencoderKLFlux2";

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
        if config.class != Self::CLASS {
            return Err(format!(
                "_class_name is {:?}, not {:?}",
                config.class,
                Self::CLASS
            ));
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
