//! The small transformer: its shape and how its parameters start.

use std::path::Path;

use atelier_models::{
    renderer::klein::{Transformer, TransformerConfig},
    weights::Weights,
};
use tch::{Device, Kind, Tensor};

use crate::run::{Master, Rule};

/// The shape; 8 heads of 32.
pub fn config() -> TransformerConfig {
    TransformerConfig {
        in_channels: 128,
        double_blocks: 1,
        single_blocks: 4,
        heads: 8,
        head_size: 32,
        text_channels: 1728,
        time_channels: 256,
        hidden: 768,
        axes: [8, 8, 8, 8],
        // The grid has 16 rows: the family's slow turns would tell no two of them apart.
        theta: 100.0,
        eps: 1e-6,
    }
}

/// Fresh parameters from the global seed of libtorch.
pub fn fresh(config: &TransformerConfig) -> anyhow::Result<Master> {
    let weights = Weights::fresh(start);
    Transformer::load(config, &weights)?;
    open_gates(config, &weights)?;
    Ok(Master::new(weights.tensors()?))
}

/// The parameters that the recipe exported to a folder.
pub fn trained(dir: &Path) -> anyhow::Result<Master> {
    let weights = Weights::load_file(&dir.join("transformer/diffusion_pytorch_model.safetensors"))?;
    Ok(Master::new(weights.tensors()?))
}

fn start(name: &str, shape: &[i64]) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    if shape.len() == 1 {
        return Tensor::ones(shape, options);
    }
    let residual = [
        "to_out.0.weight",
        "to_out.weight",
        "to_add_out.weight",
        "linear_out.weight",
    ];
    if name.contains("modulation") || name.starts_with("norm_out") || name.starts_with("proj_out") {
        return Tensor::zeros(shape, options);
    }
    let deviation = if residual.iter().any(|end| name.ends_with(end)) {
        0.01
    } else {
        (1.0 / (3.0 * shape[1] as f64)).sqrt()
    };
    Tensor::randn(shape, options) * deviation
}

/// Makes every gate about 1 at the start: the family has no constant in them, so rows are laid along the mean vector of time.
/// With closed gates the blocks would see no gradient for the first hundreds of steps.
fn open_gates(config: &TransformerConfig, weights: &Weights) -> anyhow::Result<()> {
    tch::no_grad(|| {
        let half = config.time_channels / 2;
        let options = (Kind::Float, Device::Cpu);
        let falling = (Tensor::arange(half, options) * (-(10_000f64.ln()) / half as f64)).exp();
        let angles = Tensor::linspace(1.0, 999.0, 64, options).unsqueeze(1) * falling.unsqueeze(0);
        let sines = Tensor::cat(&[angles.cos(), angles.sin()], 1);
        let time = weights.sub("time_guidance_embed.timestep_embedder");
        let vectors = sines
            .linear(&time.sub("linear_1").get("weight")?, None::<&Tensor>)
            .silu()
            .linear(&time.sub("linear_2").get("weight")?, None::<&Tensor>)
            .silu();
        let mean = vectors.mean_dim([0i64].as_slice(), false, Kind::Float);
        let row = &mean / mean.square().sum(Kind::Float);
        let d = config.width();
        for (name, branches) in [
            ("double_stream_modulation_img.linear", 2),
            ("double_stream_modulation_txt.linear", 2),
            ("single_stream_modulation.linear", 1),
        ] {
            let weight = weights.sub(name).get("weight")?;
            for branch in 0..branches {
                // Shift, scale, gate.
                weight
                    .narrow(0, (3 * branch + 2) * d, d)
                    .copy_(&row.unsqueeze(0).expand([d, -1], false));
            }
        }
        Ok(())
    })
}

/// Matrices of blocks are stepped by Muon, the rest by AdamW.
pub fn rule(name: &str, shape: &[i64]) -> Rule {
    if shape.len() == 2 && name.contains("transformer_blocks.") {
        Rule::Muon
    } else {
        Rule::AdamW
    }
}

/// The network of some tensors.
pub fn of(
    config: &TransformerConfig,
    tensors: Vec<(String, Tensor)>,
) -> anyhow::Result<Transformer> {
    let weights = Weights::from_map(tensors.into_iter().collect());
    Ok(Transformer::load(config, &weights)?)
}
