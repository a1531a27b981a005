//! Renderers: one denoise step, the autoencoder both ways, and whole pictures.

use serde_json::{Value as Json, json};

use super::{Case, Work, language::qwen3};

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

/// The networks of a configuration, with their names.
struct Sizes {
    klein: (&'static str, Json),
    zimage: Option<(&'static str, Json)>,
    autoencoder: (&'static str, Json),
    /// Klein's text encoder.
    encoder: Json,
    /// Pixels of a side of all pictures.
    side: i64,
}

fn sizes(configuration: &str) -> Option<Sizes> {
    Some(match configuration {
        "tiny" => Sizes {
            klein: (
                "klein tiny",
                klein(&Klein {
                    double: 2,
                    single: 3,
                    heads: 3,
                    head: 32,
                    axes: [8; 4],
                    channels: 32,
                    text: 192,
                }),
            ),
            zimage: Some(("z-image tiny", zimage(96, 3, 3, [8, 12, 12], 64))),
            autoencoder: ("autoencoder tiny", autoencoder([16, 32, 32, 32], 8, 8)),
            encoder: qwen3(1_024, 64, 160, 28, [4, 2]),
            side: 256,
        },
        "100m" => Sizes {
            klein: (
                "klein 100 M",
                klein(&Klein {
                    double: 2,
                    single: 8,
                    heads: 8,
                    head: 96,
                    axes: [24; 4],
                    channels: 128,
                    text: 1536,
                }),
            ),
            zimage: Some(("z-image 100 M", zimage(768, 10, 8, [24, 36, 36], 512))),
            autoencoder: (
                "autoencoder of 64 to 256 channels",
                autoencoder([64, 128, 256, 256], 32, 32),
            ),
            encoder: qwen3(1_024, 512, 1_536, 28, [8, 4]),
            side: 256,
        },
        "4b" => Sizes {
            klein: (
                "klein 4 B",
                klein(&Klein {
                    double: 5,
                    single: 20,
                    heads: 24,
                    head: 128,
                    axes: [32; 4],
                    channels: 128,
                    text: 7680,
                }),
            ),
            zimage: None,
            autoencoder: (
                "autoencoder 84 M",
                autoencoder([128, 256, 512, 512], 32, 32),
            ),
            encoder: qwen3(151_936, 2_560, 9_728, 36, [32, 8]),
            side: 1_024,
        },
        _ => return None,
    })
}

/// Single steps and the autoencoder both ways.
pub fn cases(configuration: &str) -> Vec<Case> {
    let Some(sizes) = sizes(configuration) else {
        return Vec::new();
    };
    let side = sizes.side;
    let step = |text, references| Work::Step {
        text,
        rows: side / 16,
        columns: side / 16,
        references,
    };
    let case = |(name, config): &(&str, Json), what: &str, work| {
        Case::new(&format!("{name}, {what}"), config.clone(), work)
    };
    let size = format!("{side}x{side}");
    let mut cases = vec![
        case(&sizes.klein, &format!("step {size}"), step(512, 0)),
        case(&sizes.klein, "step with a reference", step(512, 1)),
    ];
    let zimage = sizes.zimage.iter();
    cases.extend(zimage.map(|zimage| case(zimage, &format!("step {size}"), step(64, 0))));
    let [decode, encode] = [Work::Decode { side }, Work::Encode { side }];
    cases.extend([
        case(&sizes.autoencoder, &format!("decode {size}"), decode),
        case(&sizes.autoencoder, &format!("encode {size}"), encode),
    ]);
    cases
}

/// Whole pictures, as klein is used: from text, and from text and a picture.
pub fn pictures(configuration: &str) -> Vec<Case> {
    let Some(sizes) = sizes(configuration) else {
        return Vec::new();
    };
    let (name, transformer) = sizes.klein;
    let config = json!({
        "transformer": transformer, "vae": sizes.autoencoder.1, "text_encoder": sizes.encoder,
    });
    let case = |what: &str, edited| {
        let (side, steps) = (sizes.side, 4);
        let name = format!("{name}, {what} {side}x{side} in {steps} steps");
        let work = Work::Picture {
            side,
            steps,
            edited,
        };
        Case::new(&name, config.clone(), work)
    };
    vec![case("picture", false), case("picture from another", true)]
}
