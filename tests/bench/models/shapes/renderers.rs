//! Renderers: one denoise step, and the autoencoder both ways.

use serde_json::{Value as Json, json};

use super::{Case, Work};

/// Sizes of a FLUX.2 transformer.
struct Klein {
    double: i64,
    single: i64,
    heads: i64,
    head: i64,
    axes: [i64; 4],
    channels: i64,
    text: i64,
}

fn klein(sizes: &Klein) -> Json {
    json!({
        "_class_name": "Flux2Transformer2DModel", "patch_size": 1, "in_channels": sizes.channels, "out_channels": null,
        "num_layers": sizes.double, "num_single_layers": sizes.single, "attention_head_dim": sizes.head,
        "num_attention_heads": sizes.heads, "joint_attention_dim": sizes.text, "timestep_guidance_channels": 256,
        "mlp_ratio": 3.0, "axes_dims_rope": sizes.axes, "rope_theta": 2000, "eps": 1e-6, "guidance_embeds": false,
    })
}

fn zimage(width: i64, layers: i64, heads: i64, axes: [i64; 3], text: i64) -> Json {
    json!({
        "_class_name": "ZImageTransformer2DModel", "all_patch_size": [2], "all_f_patch_size": [1], "in_channels": 16,
        "dim": width, "n_layers": layers, "n_refiner_layers": 2, "n_heads": heads, "n_kv_heads": heads, "norm_eps": 1e-5,
        "qk_norm": true, "cap_feat_dim": text, "rope_theta": 256.0, "t_scale": 1000.0, "axes_dims": axes,
        "axes_lens": [1024, 512, 512],
    })
}

fn autoencoder(channels: [i64; 4], latent: i64, groups: i64) -> Json {
    json!({
        "_class_name": "AutoencoderKLFlux2", "block_out_channels": channels, "layers_per_block": 2,
        "latent_channels": latent, "norm_num_groups": groups, "batch_norm_eps": 1e-4, "patch_size": [2, 2],
    })
}

/// The cases of a configuration.
pub fn cases(configuration: &str) -> Vec<Case> {
    let step = |text, rows, columns, references| Work::Step {
        text,
        rows,
        columns,
        references,
    };
    let case = |name: &str, config: Json, work| Case::new(name, config, work);
    match configuration {
        "tiny" => {
            let sizes = Klein {
                double: 2,
                single: 3,
                heads: 3,
                head: 32,
                axes: [8; 4],
                channels: 32,
                text: 192,
            };
            let vae = autoencoder([16, 32, 32, 32], 8, 8);
            let (width, height) = (256, 256);
            vec![
                case(
                    "klein tiny, step 256x256",
                    klein(&sizes),
                    step(512, 16, 16, 0),
                ),
                case(
                    "klein tiny, step with a reference",
                    klein(&sizes),
                    step(512, 16, 16, 1),
                ),
                case(
                    "z-image tiny, step 256x256",
                    zimage(96, 3, 3, [8, 12, 12], 64),
                    step(64, 16, 16, 0),
                ),
                case(
                    "autoencoder tiny, decode 256x256",
                    vae.clone(),
                    Work::Decode { width, height },
                ),
                case(
                    "autoencoder tiny, encode 256x256",
                    vae,
                    Work::Encode { width, height },
                ),
            ]
        }
        "100m" => {
            let sizes = Klein {
                double: 2,
                single: 8,
                heads: 8,
                head: 96,
                axes: [24; 4],
                channels: 128,
                text: 1536,
            };
            let vae = autoencoder([64, 128, 256, 256], 32, 32);
            let (width, height) = (256, 256);
            vec![
                case(
                    "klein 100 M, step 256x256",
                    klein(&sizes),
                    step(512, 16, 16, 0),
                ),
                case(
                    "z-image 100 M, step 256x256",
                    zimage(768, 10, 8, [24, 36, 36], 512),
                    step(64, 16, 16, 0),
                ),
                case(
                    "autoencoder of 64 to 256 channels, decode 256x256",
                    vae.clone(),
                    Work::Decode { width, height },
                ),
                case(
                    "autoencoder of 64 to 256 channels, encode 256x256",
                    vae,
                    Work::Encode { width, height },
                ),
            ]
        }
        "4b" => {
            let sizes = Klein {
                double: 5,
                single: 20,
                heads: 24,
                head: 128,
                axes: [32; 4],
                channels: 128,
                text: 7680,
            };
            let vae = autoencoder([128, 256, 512, 512], 32, 32);
            let (width, height) = (1024, 1024);
            vec![
                case(
                    "klein 4 B, step 1024x1024",
                    klein(&sizes),
                    step(512, 64, 64, 0),
                ),
                case(
                    "klein 4 B, step with a reference",
                    klein(&sizes),
                    step(512, 64, 64, 1),
                ),
                case(
                    "autoencoder 84 M, decode 1024x1024",
                    vae.clone(),
                    Work::Decode { width, height },
                ),
                case(
                    "autoencoder 84 M, encode 1024x1024",
                    vae,
                    Work::Encode { width, height },
                ),
            ]
        }
        _ => Vec::new(),
    }
}
