//! Shape of a Qwen3-VL checkpoint, from its config.json. What would be computed wrongly if it were ignored is refused.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Mrope, Qwen3VlError};
use crate::{bounded, language::DecoderConfig};

/// Largest config.json, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// Largest of any size.
const MAX_SIZE: i64 = 1 << 20;
/// Most blocks of the vision tower.
const MAX_DEPTH: i64 = 512;

/// Shape of the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Qwen3VlConfig {
    /// The decoder.
    pub text: DecoderConfig,
    /// How its positions are laid out.
    pub mrope: Mrope,
    /// The vision tower.
    pub vision: VisionConfig,
    /// The token that stands for a piece of a picture.
    pub image_token: u32,
}

/// Shape of the vision tower.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Blocks.
    pub depth: i64,
    /// Width of the residual stream.
    pub hidden: i64,
    /// Width inside the blocks.
    pub intermediate: i64,
    /// Heads of the attention.
    pub heads: i64,
    /// Side of a patch, in pixels.
    pub patch: i64,
    /// Patches along a side that become one token.
    pub merge: i64,
    /// Pictures of a film that share a patch.
    pub temporal: i64,
    /// Width that tokens leave with: the decoder's.
    pub output: i64,
    /// Side of the square table of positions.
    pub table: i64,
    /// Blocks, rising, whose outputs are added behind the decoder's first layers.
    pub deepstack: Vec<i64>,
}

#[derive(Deserialize)]
struct HuggingFace {
    model_type: String,
    text_config: Json,
    vision_config: Tower,
    image_token_id: u32,
    tie_word_embeddings: Option<bool>,
}

#[derive(Deserialize)]
struct Tower {
    depth: i64,
    hidden_size: i64,
    intermediate_size: i64,
    num_heads: i64,
    patch_size: i64,
    spatial_merge_size: i64,
    temporal_patch_size: i64,
    out_hidden_size: i64,
    num_position_embeddings: i64,
    deepstack_visual_indexes: Vec<i64>,
    hidden_act: String,
    in_channels: Option<i64>,
}

#[derive(Deserialize)]
struct Sections {
    mrope_section: [i64; 3],
    mrope_interleaved: Option<bool>,
}

impl Qwen3VlConfig {
    /// Reads `config.json`.
    pub fn read(dir: &Path) -> Result<Self, Qwen3VlError> {
        let path = dir.join("config.json");
        let wrong = |what: String| Qwen3VlError::Config(path.clone(), what);
        let bytes = bounded::read(&path, MAX_CONFIG).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&bytes).map_err(wrong)
    }

    /// The same from the file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut read: HuggingFace =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if read.model_type != "qwen3_vl" {
            return Err(format!(
                "model type {:?}; qwen3_vl is computed",
                read.model_type
            ));
        }
        let text = &mut read.text_config;
        let rope = ["rope_parameters", "rope_scaling"]
            .into_iter()
            .map(|key| text[key].clone())
            .find(|rope| !rope.is_null())
            .ok_or("text_config has no rope_parameters")?;
        let rope: Sections = serde_json::from_value(rope).map_err(|error| error.to_string())?;
        if rope.mrope_interleaved == Some(false) {
            return Err(
                "rotations in whole sections are not computed, interleaved ones are".into(),
            );
        }
        // Some files say it on the outside only.
        if let (Some(tied), Json::Object(text)) = (read.tie_word_embeddings, text) {
            text.entry("tie_word_embeddings").or_insert(tied.into());
        }
        let text = DecoderConfig::parse(read.text_config)?;
        let mrope = Mrope {
            sections: rope.mrope_section,
        };
        // Rows and columns take every third pair: neither may reach past the last one.
        let [time, rows, columns] = mrope.sections;
        let pairs = text.head / 2;
        let parts = [time, rows, columns]
            .iter()
            .all(|part| (1..=pairs).contains(part));
        if !parts || time + rows + columns != pairs || rows.max(columns) > time {
            return Err(format!(
                "sections of {:?} for {pairs} pairs of a head",
                mrope.sections
            ));
        }
        let vision = VisionConfig::of(&read.vision_config)?;
        if vision.output != text.hidden {
            return Err(format!(
                "pictures come as {} numbers a token, the decoder takes {}",
                vision.output, text.hidden
            ));
        }
        if vision.deepstack.len() as i64 > text.layers {
            return Err("more deepstack blocks than layers".into());
        }
        if i64::from(read.image_token_id) >= text.vocabulary {
            return Err(format!("the model has no token {}", read.image_token_id));
        }
        Ok(Self {
            text,
            mrope,
            vision,
            image_token: read.image_token_id,
        })
    }
}

impl VisionConfig {
    fn of(read: &Tower) -> Result<Self, String> {
        if read.hidden_act != "gelu_pytorch_tanh" {
            return Err(format!("activation {:?} is not computed", read.hidden_act));
        }
        if read.in_channels.unwrap_or(3) != 3 {
            return Err("pictures of other than three channels are not read".into());
        }
        let sizes = [
            ("hidden size", read.hidden_size),
            ("intermediate size", read.intermediate_size),
            ("heads", read.num_heads),
            ("output", read.out_hidden_size),
            ("positions", read.num_position_embeddings),
        ];
        let small = [
            ("patch", read.patch_size),
            ("merge", read.spatial_merge_size),
            ("temporal patch", read.temporal_patch_size),
        ];
        let wrong = |most: i64| move |(_, size): &&(&str, i64)| !(1..=most).contains(size);
        if let Some((what, size)) = sizes
            .iter()
            .find(wrong(MAX_SIZE))
            .or_else(|| small.iter().find(wrong(256)))
        {
            return Err(format!("a vision tower's {what} of {size}"));
        }
        if !(1..=MAX_DEPTH).contains(&read.depth) {
            return Err(format!("{} blocks of the vision tower", read.depth));
        }
        // Half of a head turns with the row, half with the column, each in pairs.
        if read.hidden_size % read.num_heads != 0 || read.hidden_size / read.num_heads % 4 != 0 {
            return Err(format!(
                "{} heads of a vision tower of {}",
                read.num_heads, read.hidden_size
            ));
        }
        let table = read.num_position_embeddings.isqrt();
        if table * table != read.num_position_embeddings {
            return Err(format!(
                "{} positions, which are no square",
                read.num_position_embeddings
            ));
        }
        let deepstack = &read.deepstack_visual_indexes;
        let rising = deepstack.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising
            || !deepstack
                .iter()
                .all(|block| (0..read.depth).contains(block))
        {
            return Err(format!("deepstack blocks {deepstack:?} of {}", read.depth));
        }
        Ok(Self {
            depth: read.depth,
            hidden: read.hidden_size,
            intermediate: read.intermediate_size,
            heads: read.num_heads,
            patch: read.patch_size,
            merge: read.spatial_merge_size,
            temporal: read.temporal_patch_size,
            output: read.out_hidden_size,
            table,
            deepstack: deepstack.clone(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(crate) fn vision() -> VisionConfig {
        small_config().vision
    }

    fn small_config() -> Qwen3VlConfig {
        Qwen3VlConfig::parse(small().to_string().as_bytes()).expect("it is sound")
    }

    fn small() -> Json {
        json!({
            "model_type": "qwen3_vl", "image_token_id": 30, "tie_word_embeddings": true,
            "text_config": {
                "model_type": "qwen3_vl_text", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 2,
                "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "rms_norm_eps": 1e-6, "hidden_act": "silu",
                "max_position_embeddings": 512, "rope_theta": 5e6,
                "rope_scaling": {"mrope_section": [2, 1, 1], "mrope_interleaved": true, "rope_type": "default"}
            },
            "vision_config": {
                "depth": 2, "hidden_size": 16, "intermediate_size": 8, "num_heads": 2, "patch_size": 16, "spatial_merge_size": 2,
                "temporal_patch_size": 2, "out_hidden_size": 16, "num_position_embeddings": 9, "deepstack_visual_indexes": [0],
                "hidden_act": "gelu_pytorch_tanh"
            }
        })
    }

    #[test]
    fn what_is_said_on_the_outside_counts() {
        let config = small_config();
        assert!(config.text.tied && config.text.qk_norm);
        assert_eq!((config.vision.table, config.image_token), (3, 30));
    }

    #[test]
    fn what_would_be_computed_wrongly_is_refused() {
        let wrong = [
            ("/model_type", json!("qwen2_vl")),
            ("/image_token_id", json!(40)),
            ("/text_config/rope_scaling/mrope_section", json!([2, 2, 1])),
            ("/text_config/rope_scaling/mrope_section", json!([1, 2, 1])),
            ("/text_config/rope_scaling/mrope_interleaved", json!(false)),
            ("/text_config/rope_scaling/rope_type", json!("yarn")),
            ("/vision_config/depth", json!(-1)),
            ("/vision_config/num_heads", json!(3)),
            ("/vision_config/num_heads", json!(0)),
            ("/vision_config/num_position_embeddings", json!(8)),
            ("/vision_config/out_hidden_size", json!(8)),
            ("/vision_config/deepstack_visual_indexes", json!([2])),
            ("/vision_config/deepstack_visual_indexes", json!([1, 0])),
            ("/vision_config/hidden_act", json!("gelu")),
            ("/vision_config/patch_size", json!(1 << 30)),
        ];
        for (at, value) in wrong {
            let mut config = small();
            *config.pointer_mut(at).expect("it is there") = value.clone();
            let parsed = Qwen3VlConfig::parse(config.to_string().as_bytes());
            assert!(parsed.is_err(), "{at} = {value}");
        }
    }

    proptest! {
        #[test]
        fn rubbish_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Qwen3VlConfig::parse(&bytes).is_err());
        }
    }
}
