//! The transformer's `config.json`, as diffusers writes it.

use serde::Deserialize;

use crate::renderer::network::TransformerConfigError;

/// Largest number that any size in a configuration may have; far above every published checkpoint.
const MOST: i64 = 1 << 16;

/// Sizes of a transformer. `D`, the width, is heads times head size.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformerConfig {
    /// Channels of one image token.
    pub in_channels: i64,
    /// Blocks with separate weights for text and image.
    pub double_blocks: i64,
    /// Blocks that see text and image as one sequence.
    pub single_blocks: i64,
    /// Attention heads.
    pub heads: i64,
    /// Channels of one head.
    pub head_size: i64,
    /// Channels of one text state.
    pub text_channels: i64,
    /// Channels of the time's sines and cosines.
    pub time_channels: i64,
    /// Hidden channels of a block's gated part: `D` times the ratio.
    pub hidden: i64,
    /// Channels that each of the four axes (time, row, column, text) rotates; sum is the head size.
    pub axes: [i64; 4],
    /// Base of the rotary frequencies.
    pub theta: f64,
    /// Added to variances.
    pub eps: f64,
}

/// Names as on disk; what this family leaves out takes the family's value.
#[derive(Deserialize)]
struct OnDisk {
    #[serde(rename = "_class_name")]
    class: Option<String>,
    patch_size: i64,
    in_channels: i64,
    out_channels: Option<i64>,
    num_layers: i64,
    num_single_layers: i64,
    attention_head_dim: i64,
    num_attention_heads: i64,
    joint_attention_dim: i64,
    timestep_guidance_channels: i64,
    mlp_ratio: f64,
    axes_dims_rope: Vec<i64>,
    rope_theta: f64,
    eps: f64,
    #[serde(default)]
    guidance_embeds: bool,
}

impl TransformerConfig {
    /// The architecture's name in `_class_name`.
    pub const CLASS: &str = "Flux2Transformer2DModel";

    /// The width: channels of a token inside.
    pub fn width(&self) -> i64 {
        self.heads * self.head_size
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
            ("attention_head_dim", disk.attention_head_dim),
            ("num_attention_heads", disk.num_attention_heads),
            ("joint_attention_dim", disk.joint_attention_dim),
            (
                "timestep_guidance_channels",
                disk.timestep_guidance_channels,
            ),
        ] {
            if !(1..=MOST).contains(&value) {
                return wrong(format!("{name} is {value}, not in 1..={MOST}"));
            }
        }
        for (name, value) in [
            ("num_layers", disk.num_layers),
            ("num_single_layers", disk.num_single_layers),
        ] {
            if !(0..=256).contains(&value) {
                return wrong(format!("{name} is {value}, not in 0..=256"));
            }
        }
        if disk.patch_size != 1 {
            return wrong(format!(
                "patch_size is {}, only 1 is known",
                disk.patch_size
            ));
        }
        if disk.guidance_embeds {
            return wrong(
                "guidance_embeds is true: guidance-distilled members are not known".into(),
            );
        }
        if disk.out_channels.is_some_and(|out| out != disk.in_channels) {
            return wrong("out_channels differs from in_channels".into());
        }
        if disk.timestep_guidance_channels % 2 != 0 {
            return wrong("timestep_guidance_channels is odd".into());
        }
        let Ok(axes) = <[i64; 4]>::try_from(disk.axes_dims_rope.as_slice()) else {
            return wrong(format!(
                "axes_dims_rope has {} axes, not 4",
                disk.axes_dims_rope.len()
            ));
        };
        if axes.iter().any(|&a| !(0..=MOST).contains(&a) || a % 2 != 0)
            || axes.iter().sum::<i64>() != disk.attention_head_dim
        {
            return wrong(format!(
                "axes_dims_rope {axes:?} are not even numbers that add up to attention_head_dim {}",
                disk.attention_head_dim
            ));
        }
        if !(disk.rope_theta.is_finite() && disk.rope_theta > 1.0) {
            return wrong(format!("rope_theta is {}", disk.rope_theta));
        }
        if !(disk.eps > 0.0 && disk.eps < 1.0) {
            return wrong(format!("eps is {}", disk.eps));
        }
        if !(disk.mlp_ratio > 0.0 && disk.mlp_ratio <= 64.0) {
            return wrong(format!("mlp_ratio is {}", disk.mlp_ratio));
        }
        let width = disk.num_attention_heads * disk.attention_head_dim;
        Ok(Self {
            in_channels: disk.in_channels,
            double_blocks: disk.num_layers,
            single_blocks: disk.num_single_layers,
            heads: disk.num_attention_heads,
            head_size: disk.attention_head_dim,
            text_channels: disk.joint_attention_dim,
            time_channels: disk.timestep_guidance_channels,
            // Truncated as the original does.
            hidden: (width as f64 * disk.mlp_ratio) as i64,
            axes,
            theta: disk.rope_theta,
            eps: disk.eps,
        })
    }

    /// The `config.json` that [`TransformerConfig::from_json`] reads back.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "_class_name": Self::CLASS,
            "patch_size": 1,
            "in_channels": self.in_channels,
            "out_channels": null,
            "num_layers": self.double_blocks,
            "num_single_layers": self.single_blocks,
            "attention_head_dim": self.head_size,
            "num_attention_heads": self.heads,
            "joint_attention_dim": self.text_channels,
            "timestep_guidance_channels": self.time_channels,
            "mlp_ratio": self.hidden as f64 / self.width() as f64,
            "axes_dims_rope": self.axes,
            "rope_theta": self.theta,
            "eps": self.eps,
            "guidance_embeds": false,
        })
    }

    /// Names and shapes of all parameters, in the checkpoint's words.
    pub fn parameters(&self) -> Vec<(String, Vec<i64>)> {
        let (d, h, hidden) = (self.width(), self.head_size, self.hidden);
        let mut all = vec![
            (
                "time_guidance_embed.timestep_embedder.linear_1".into(),
                vec![d, self.time_channels],
            ),
            (
                "time_guidance_embed.timestep_embedder.linear_2".into(),
                vec![d, d],
            ),
            ("double_stream_modulation_img.linear".into(), vec![6 * d, d]),
            ("double_stream_modulation_txt.linear".into(), vec![6 * d, d]),
            ("single_stream_modulation.linear".into(), vec![3 * d, d]),
            ("x_embedder".into(), vec![d, self.in_channels]),
            ("context_embedder".into(), vec![d, self.text_channels]),
        ];
        let mut add = |prefix: &str, parts: &[(&str, &[i64])]| {
            for (name, shape) in parts {
                all.push((format!("{prefix}{name}"), shape.to_vec()));
            }
        };
        let (square, head): (&[i64], &[i64]) = (&[d, d], &[h]);
        for i in 0..self.double_blocks {
            let linears = [
                "to_q",
                "to_k",
                "to_v",
                "add_q_proj",
                "add_k_proj",
                "add_v_proj",
                "to_out.0",
                "to_add_out",
            ];
            add(
                &format!("transformer_blocks.{i}.attn."),
                &linears.map(|name| (name, square)),
            );
            let norms = ["norm_q", "norm_k", "norm_added_q", "norm_added_k"];
            add(
                &format!("transformer_blocks.{i}.attn."),
                &norms.map(|name| (name, head)),
            );
            for part in ["ff", "ff_context"] {
                add(
                    &format!("transformer_blocks.{i}.{part}."),
                    &[
                        ("linear_in", &[2 * hidden, d]),
                        ("linear_out", &[d, hidden]),
                    ],
                );
            }
        }
        for i in 0..self.single_blocks {
            add(
                &format!("single_transformer_blocks.{i}.attn."),
                &[
                    ("to_qkv_mlp_proj", &[3 * d + 2 * hidden, d]),
                    ("to_out", &[d, d + hidden]),
                    ("norm_q", &[h]),
                    ("norm_k", &[h]),
                ],
            );
        }
        add(
            "",
            &[
                ("norm_out.linear", &[2 * d, d]),
                ("proj_out", &[self.in_channels, d]),
            ],
        );
        all.into_iter()
            .map(|(name, shape)| (name + ".weight", shape))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(name: &str, value: serde_json::Value) -> String {
        let mut config = sound().to_json();
        config[name] = value;
        TransformerConfig::from_json(config.to_string().as_bytes())
            .unwrap_err()
            .to_string()
    }

    fn sound() -> TransformerConfig {
        TransformerConfig {
            in_channels: 128,
            double_blocks: 5,
            single_blocks: 20,
            heads: 24,
            head_size: 128,
            text_channels: 7680,
            time_channels: 256,
            hidden: 3 * 3072,
            axes: [32; 4],
            theta: 2000.0,
            eps: 1e-6,
        }
    }

    #[test]
    fn the_published_sizes_give_the_published_number_of_parameters() {
        assert_eq!(
            TransformerConfig::from_json(sound().to_json().to_string().as_bytes()).unwrap(),
            sound()
        );
        let count: i64 = sound()
            .parameters()
            .iter()
            .map(|(_, shape)| shape.iter().product::<i64>())
            .sum();
        assert_eq!((count as f64 / 1e6).round(), 3876.0);
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_name() {
        for (name, value) in [
            ("_class_name", json!("ZImageTransformer2DModel")),
            ("patch_size", json!(2)),
            ("guidance_embeds", json!(true)),
            ("out_channels", json!(64)),
            ("num_layers", json!(-1)),
            ("num_attention_heads", json!(0)),
            ("joint_attention_dim", json!(1 << 20)),
            ("timestep_guidance_channels", json!(255)),
            ("axes_dims_rope", json!([32, 32, 32])),
            ("axes_dims_rope", json!([31, 33, 32, 32])),
            ("axes_dims_rope", json!([32, 32, 32, 64])),
            ("rope_theta", json!(0.5)),
            ("mlp_ratio", json!(0.0)),
            ("eps", json!(0.0)),
        ] {
            let error = refused(name, value);
            let said = if name == "_class_name" {
                "ZImage"
            } else {
                name
            };
            assert!(error.contains(said), "{name}: {error}");
        }
    }
}
