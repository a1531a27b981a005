//! The project's own networks with random weights, made on the device.

use anyhow::{Result, ensure};
use atelier_models::{
    renderer::{
        Network, NetworkConfig, TransformerInput,
        autoencoder::{Autoencoder, AutoencoderConfig},
        regions::{Grid, Layout, Positions, ThingTokens},
    },
    weights::Weights,
};
use serde_json::Value as Json;
use tch::{Cuda, Device, Kind, Tensor};

use crate::{
    drawing, looking,
    shapes::{Case, Work},
    writing,
};

/// Something to call again and again.
pub struct Ours {
    /// Numbers in its weights.
    pub parameters: u64,
    /// What one call has to do.
    pub effort: Effort,
    /// What the other side must be told beside the case.
    pub told: Json,
    device: Device,
    call: Call,
}

/// Does it once.
pub type Call = Box<dyn Fn() -> Result<Tensor>>;

/// What a call has to do at least; nothing where it is not counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    /// Multiplications and additions, counted as two operations.
    pub flops: f64,
    /// Bytes of weights that are read, each as often as something new is multiplied with it.
    pub bytes: f64,
}

impl Ours {
    /// The network of a case with its input.
    pub fn new(case: &Case, device: Device) -> Result<Self> {
        let kind = match device {
            Device::Cpu => Kind::Float,
            _ => Kind::BFloat16,
        };
        let weights = Weights::fresh(move |_, shape| random(shape, kind, device));
        let config = serde_json::to_vec(&case.config)?;
        let mut told = Json::Null;
        let (call, effort) = match case.work {
            Work::Step {
                text,
                rows,
                columns,
                references,
            } => {
                let network = NetworkConfig::from_json(&config)?.network(&weights)?;
                let grid = Grid {
                    rows: rows as usize,
                    columns: columns as usize,
                };
                let flops = step_flops(
                    &weights,
                    &case.config,
                    text,
                    rows * columns * (1 + references),
                )?;
                let effort = Effort {
                    flops,
                    bytes: bytes(&weights)?,
                };
                (step(network, grid, text, references, device), effort)
            }
            Work::Decode { side } => {
                let autoencoder = autoencoder(&config, &weights)?;
                let channels = case.config["latent_channels"].as_i64().unwrap_or(0);
                let z = random_input(&[1, channels, side / 8, side / 8], device);
                let call: Call = Box::new(move || Ok(autoencoder.pictures(&z)));
                (
                    call,
                    drawing::autoencoder_effort(&weights, side, "decoder")?,
                )
            }
            Work::Encode { side } => {
                let autoencoder = autoencoder(&config, &weights)?;
                let x = random_input(&[1, 3, side, side], device);
                let call: Call = Box::new(move || Ok(autoencoder.moments(&x).0));
                (
                    call,
                    drawing::autoencoder_effort(&weights, side, "encoder")?,
                )
            }
            Work::Picture { .. } => {
                let picture = drawing::call(&case.config, case.work, device, &weights)?;
                told = picture.told;
                (picture.call, picture.effort)
            }
            Work::Write { .. } => writing::call(&case.config, case.work, &weights)?,
            Work::Look { side, questions } => {
                let looking = looking::call(&config, side, questions, &weights)?;
                told = looking.told;
                (looking.call, looking.effort)
            }
        };
        let parameters = weights
            .tensors()?
            .iter()
            .map(|(_, t)| t.numel() as u64)
            .sum();
        Ok(Self {
            parameters,
            effort,
            told,
            device,
            call,
        })
    }

    /// Calls it once and waits for the result.
    pub fn call(&self) -> Result<()> {
        let out = tch::no_grad(|| (self.call)())?;
        ensure!(out.numel() > 0, "nothing came of it");
        if let Device::Cuda(index) = self.device {
            Cuda::synchronize(index as i64);
        }
        Ok(())
    }
}

/// Bytes of all weights that were made so far.
pub fn bytes(weights: &Weights) -> Result<f64> {
    let size = |tensor: &Tensor| tensor.numel() * tensor.kind().elt_size_in_bytes();
    Ok(weights.tensors()?.iter().map(|(_, t)| size(t) as f64).sum())
}

fn random(shape: &[i64], kind: Kind, device: Device) -> Tensor {
    let noise = Tensor::randn(shape, (kind, device));
    if shape.len() == 1 {
        return noise * 0.1 + 1.0;
    }
    let inputs: i64 = shape[1..].iter().product();
    noise / (inputs as f64).sqrt()
}

fn random_input(shape: &[i64], device: Device) -> Tensor {
    Tensor::randn(shape, (Kind::Float, device))
}

pub fn autoencoder(config: &[u8], weights: &Weights) -> Result<Autoencoder> {
    let config = AutoencoderConfig::from_json(config).map_err(anyhow::Error::msg)?;
    Ok(Autoencoder::load(&config, weights)?)
}

fn step(network: Network, grid: Grid, text: i64, references: i64, device: Device) -> Call {
    let positions = match network {
        Network::Klein(_) => Positions::Family,
        Network::ZImage(_) => Positions::Counted,
    };
    let shown = ThingTokens {
        reference: Some(grid),
        ..Default::default()
    };
    let layout = Layout {
        base: text as usize,
        things: vec![shown; references as usize],
    };
    let arranged = positions.arrange(grid, &[layout], device);
    let channels = network.token_channels();
    let tokens = grid.tokens() as i64;
    let noisy = random_input(&[1, tokens, channels], device);
    let reference =
        (references > 0).then(|| random_input(&[1, tokens * references, channels], device));
    let states = random_input(&[1, text, network.text_channels()], device);
    let times = Tensor::from_slice(&[0.7f32]).to_device(device);
    Box::new(move || {
        // As the other side does it, the text is read anew in every step.
        let states = network.text(&states, &[text], &arranged.text_ids, None);
        Ok(network.velocity(&TransformerInput {
            noisy: &noisy,
            reference: reference.as_ref(),
            text: &states,
            times: &times,
            image_ids: &arranged.image_ids,
            text_ids: &arranged.text_ids,
            bias: None,
            layers: None,
        }))
    })
}

/// Of the matrices that tokens pass, and of attention.
pub fn step_flops(weights: &Weights, config: &Json, text: i64, image: i64) -> Result<f64> {
    let size = |name: &str| config[name].as_f64().unwrap_or(0.0);
    let (all, text, image) = ((text + image) as f64, text as f64, image as f64);
    let mut flops = 0.0;
    for (name, tensor) in weights.tensors()? {
        let name = name.trim_start_matches("transformer.");
        let per_token = 2.0 * tensor.numel() as f64;
        let once_a_step = ["modulation", "time", "t_embedder", "norm_out", "pad_token"];
        if tensor.dim() != 2 || once_a_step.iter().any(|part| name.contains(part)) {
            continue;
        }
        let of_text = ["add_", "ff_context", "context_", "cap_"];
        let of_image = [
            "transformer_blocks.",
            "x_embedder",
            "noise_refiner",
            "proj_out",
            "final",
        ];
        flops += per_token
            * if of_text.iter().any(|part| name.contains(part)) {
                text
            } else if !name.starts_with("single_")
                && of_image.iter().any(|part| name.contains(part))
            {
                image
            } else {
                all
            };
    }
    let (width, blocks) = if config["dim"].is_null() {
        (
            size("attention_head_dim") * size("num_attention_heads"),
            size("num_layers") + size("num_single_layers"),
        )
    } else {
        (size("dim"), size("n_layers"))
    };
    Ok(flops + 4.0 * all * all * width * blocks)
}
