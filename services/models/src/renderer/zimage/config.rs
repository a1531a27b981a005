//! The transformer's `config.json`, as diffusers writes it for Z-Image.

use serde::Deserialize;

use crate::renderer::network::TransformerConfigError;

/// Largest number that any size in a configuration may have; far above every published checkpoint.
const MOST: i64 = 1 << 16;

/// Channels of the vector that the denoising time is at most.
const TIME_CHANNELS: i64 = 256;

/// Sizes of a transformer. `D`, the width, is heads times head size.
#[derive(Clone, Debug, PartialEq)]
pub struct ZImageConfig {
    /// Channels of one latent; a token is 2 x 2 of them.
    pub latent_channels: i64,
    /// Channels of a token inside.
    pub width: i64,
    /// Blocks that see text and image.
    pub layers: i64,
    /// Blocks before them that see one of the two.
    pub refiners: i64,
    /// Attention heads.
    pub heads: i64,
    /// Channels of one text state.
    pub text_channels: i64,
    /// Channels that each of the three axes (text and time, row, column) rotates; sum is the head size.
    pub axes: [i64; 3],
    /// Positions that each axis has.
    pub positions: [i64; 3],
    /// Base of the rotary frequencies.
    pub theta: f64,
    /// Added to mean squares.
    pub eps: f64,
}

/// Names as on disk.
#[derive(Deserialize)]
struct OnDisk {
    #[serde(rename = "_class_name")]
    class: Option<String>,
    all_patch_size: Vec<i64>,
    all_f_patch_size: Vec<i64>,
    in_channels: i64,
    dim: i64,
    n_layers: i64,
    n_refiner_layers: i64,
    n_heads: i64,
    n_kv_heads: i64,
    norm_eps: f64,
    qk_norm: bool,
    cap_feat_dim: i64,
    rope_theta: f64,
    t_scale: f64,
    axes_dims: Vec<i64>,
    axes_lens: Vec<i64>,
    siglip_feat_dim: Option<i64>,
}

impl ZImageConfig {
    /// The architecture's name in `_class_name`.
    pub const CLASS: &str = "ZImageTransformer2DModel";

    /// Channels of one token: 2 x 2 latents.
    pub const fn token_channels(&self) -> i64 {
        self.latent_channels * 4
    }

    /// Channels of one head.
    pub const fn head_size(&self) -> i64 {
        self.width / self.heads
    }

    /// Hidden channels of a block's gated part.
    pub fn hidden(&self) -> i64 {
        // Truncated as the original does.
        (self.width as f64 / 3.0 * 8.0) as i64
    }

    /// Channels of the vector that the denoising time becomes.
    pub fn time_channels(&self) -> i64 {
        self.width.min(TIME_CHANNELS)
    }

    /// Reads and checks the bytes of a `config.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TransformerConfigError> {
        let disk: OnDisk = serde_json::from_slice(bytes)?;
        if let Some(class) = disk.class
            && class != Self::CLASS
        {
            return Err(TransformerConfigError::Class(class));
        }
        let wrong = |what: String| Err(TransformerConfigError::Value(what));
        for (name, value) in [
            ("in_channels", disk.in_channels),
            ("dim", disk.dim),
            ("n_heads", disk.n_heads),
            ("cap_feat_dim", disk.cap_feat_dim),
        ] {
            if !(1..=MOST).contains(&value) {
                return wrong(format!("{name} is {value}, not in 1..={MOST}"));
            }
        }
        for (name, value) in [
            ("n_layers", disk.n_layers),
            ("n_refiner_layers", disk.n_refiner_layers),
        ] {
            if !(0..=256).contains(&value) {
                return wrong(format!("{name} is {value}, not in 0..=256"));
            }
        }
        if disk.all_patch_size != [2] || disk.all_f_patch_size != [1] {
            return wrong(format!(
                "all_patch_size is {:?} and all_f_patch_size {:?}, only [2] and [1] are known",
                disk.all_patch_size, disk.all_f_patch_size
            ));
        }
        if disk.n_kv_heads != disk.n_heads || !disk.qk_norm {
            return wrong("n_kv_heads must equal n_heads and qk_norm be true".into());
        }
        if disk.siglip_feat_dim.is_some() {
            return wrong(
                "siglip_feat_dim is set: members that read pictures are not known".into(),
            );
        }
        // Times are 0..1 times a thousand in every family.
        if disk.t_scale != 1000.0 {
            return wrong(format!("t_scale is {}, only 1000 is known", disk.t_scale));
        }
        let three = |name: &str, values: &[i64]| {
            <[i64; 3]>::try_from(values).map_err(|_| {
                TransformerConfigError::Value(format!("{name} has {} axes, not 3", values.len()))
            })
        };
        let axes = three("axes_dims", &disk.axes_dims)?;
        let positions = three("axes_lens", &disk.axes_lens)?;
        if axes.iter().any(|&a| !(0..=MOST).contains(&a) || a % 2 != 0)
            || axes.iter().sum::<i64>() * disk.n_heads != disk.dim
        {
            return wrong(format!(
                "axes_dims {axes:?} are not even numbers that add up to dim {} / n_heads {}",
                disk.dim, disk.n_heads
            ));
        }
        if positions.iter().any(|lens| !(1..=MOST).contains(lens)) {
            return wrong(format!("axes_lens is {positions:?}"));
        }
        if !(disk.rope_theta.is_finite() && disk.rope_theta > 1.0) {
            return wrong(format!("rope_theta is {}", disk.rope_theta));
        }
        if !(disk.norm_eps > 0.0 && disk.norm_eps < 1.0) {
            return wrong(format!("norm_eps is {}", disk.norm_eps));
        }
        Ok(Self {
            latent_channels: disk.in_channels,
            width: disk.dim,
            layers: disk.n_layers,
            refiners: disk.n_refiner_layers,
            heads: disk.n_heads,
            text_channels: disk.cap_feat_dim,
            axes,
            positions,
            theta: disk.rope_theta,
            eps: disk.norm_eps,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn published() -> serde_json::Value {
        json!({
            "_class_name": "ZImageTransformer2DModel", "all_patch_size": [2], "all_f_patch_size": [1],
            "in_channels": 16, "dim": 3840, "n_layers": 30, "n_refiner_layers": 2, "n_heads": 30, "n_kv_heads": 30,
            "norm_eps": 1e-5, "qk_norm": true, "cap_feat_dim": 2560, "rope_theta": 256.0, "t_scale": 1000.0,
            "axes_dims": [32, 48, 48], "axes_lens": [1024, 512, 512], "siglip_feat_dim": null,
        })
    }

    #[test]
    fn the_published_sizes_are_read() {
        let config = ZImageConfig::from_json(published().to_string().as_bytes()).unwrap();
        assert_eq!((config.head_size(), config.hidden()), (128, 10240));
        assert_eq!((config.token_channels(), config.time_channels()), (64, 256));
    }

    #[test]
    fn what_is_not_known_or_contradicts_itself_is_refused_by_name() {
        for (name, value) in [
            ("all_patch_size", json!([1])),
            ("all_f_patch_size", json!([2])),
            ("dim", json!(0)),
            ("n_layers", json!(-1)),
            ("n_kv_heads", json!(10)),
            ("qk_norm", json!(false)),
            ("siglip_feat_dim", json!(1152)),
            ("t_scale", json!(1.0)),
            ("axes_dims", json!([32, 48])),
            ("axes_dims", json!([32, 48, 50])),
            ("axes_lens", json!([0, 512, 512])),
            ("rope_theta", json!(-1.0)),
            ("norm_eps", json!(0.0)),
        ] {
            let mut config = published();
            config[name] = value;
            let error = ZImageConfig::from_json(config.to_string().as_bytes()).unwrap_err();
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
        let mut config = published();
        config["_class_name"] = json!("Flux2Transformer2DModel");
        assert!(matches!(
            ZImageConfig::from_json(config.to_string().as_bytes()),
            Err(TransformerConfigError::Class(_))
        ));
    }
}
