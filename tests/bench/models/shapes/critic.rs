//! Qwen3-VL: eight checks on one picture.

use serde_json::{Value as Json, json};

use super::{Case, Work};

/// Sizes of a Qwen3-VL.
struct Sizes {
    vocabulary: i64,
    width: i64,
    inner: i64,
    layers: i64,
    heads: [i64; 2],
    head: i64,
    sections: [i64; 3],
    depth: i64,
    tower: i64,
    tower_inner: i64,
    tower_heads: i64,
    deepstack: [i64; 3],
}

fn config(sizes: &Sizes) -> Json {
    json!({
        "model_type": "qwen3_vl", "image_token_id": 367, "video_token_id": 368, "vision_start_token_id": 365, "vision_end_token_id": 366,
        "tie_word_embeddings": true,
        "text_config": {
            "model_type": "qwen3_vl_text", "vocab_size": sizes.vocabulary, "hidden_size": sizes.width, "intermediate_size": sizes.inner,
            "num_hidden_layers": sizes.layers, "num_attention_heads": sizes.heads[0], "num_key_value_heads": sizes.heads[1],
            "head_dim": sizes.head, "rms_norm_eps": 1e-6, "hidden_act": "silu", "max_position_embeddings": 32_768, "attention_bias": false,
            "tie_word_embeddings": true,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5e6, "mrope_interleaved": true, "mrope_section": sizes.sections,
            },
        },
        "vision_config": {
            "model_type": "qwen3_vl_vision", "depth": sizes.depth, "hidden_size": sizes.tower, "intermediate_size": sizes.tower_inner,
            "num_heads": sizes.tower_heads, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3,
            "out_hidden_size": sizes.width, "num_position_embeddings": 2_304, "deepstack_visual_indexes": sizes.deepstack,
            "hidden_act": "gelu_pytorch_tanh",
        },
    })
}

/// The cases of a configuration.
pub fn cases(configuration: &str) -> Vec<Case> {
    let (name, sizes, side) = match configuration {
        "tiny" => (
            "qwen3-vl tiny",
            Sizes {
                vocabulary: 1_024,
                width: 96,
                inner: 256,
                layers: 4,
                heads: [4, 2],
                head: 32,
                sections: [6, 5, 5],
                depth: 4,
                tower: 64,
                tower_inner: 128,
                tower_heads: 4,
                deepstack: [0, 1, 2],
            },
            256,
        ),
        "100m" => (
            "qwen3-vl 100 M",
            Sizes {
                vocabulary: 16_384,
                width: 512,
                inner: 1_536,
                layers: 12,
                heads: [8, 4],
                head: 64,
                sections: [12, 10, 10],
                depth: 12,
                tower: 448,
                tower_inner: 1_792,
                tower_heads: 7,
                deepstack: [2, 5, 8],
            },
            512,
        ),
        "4b" => (
            "Qwen3-VL 4 B",
            Sizes {
                vocabulary: 151_936,
                width: 2_560,
                inner: 9_728,
                layers: 36,
                heads: [32, 8],
                head: 128,
                sections: [24, 20, 20],
                depth: 24,
                tower: 1_024,
                tower_inner: 4_096,
                tower_heads: 16,
                deepstack: [5, 11, 17],
            },
            1_024,
        ),
        _ => return Vec::new(),
    };
    let work = Work::Look { side, questions: 8 };
    let name = format!("{name}, 8 checks of {side}x{side}");
    vec![Case::new(&name, config(&sizes), work)]
}
