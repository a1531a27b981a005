//! Whole pictures by a klein of random weights, from the words of a prompt to pixels. Its tokenizer is that of the small checkpoint which the
//! tests have.

use std::rc::Rc;

use anyhow::{Result, bail};
use atelier_models::{
    language::{Decoder, DecoderConfig, Reading, TextEncoder},
    renderer::{
        Canvas, Drawing, NetworkConfig, Noise, Pipeline, RenderScene, Renderer, schedule::Schedule,
    },
    weights::Weights,
};
use image::RgbImage;
use serde_json::{Value as Json, json};
use tch::{Device, Tensor};

use crate::{
    ours::{Call, Effort, autoencoder, bytes, step_flops},
    shapes::Work,
};

const TOKENIZER: [(&str, &str); 3] = [
    (
        "tokenizer.json",
        include_str!(
            "../../../services/models/tests/fixtures/parity/tiny/klein/tokenizer/tokenizer.json"
        ),
    ),
    (
        "tokenizer_config.json",
        include_str!(
            "../../../services/models/tests/fixtures/parity/tiny/klein/tokenizer/tokenizer_config.json"
        ),
    ),
    (
        "chat_template.jinja",
        include_str!(
            "../../../services/models/tests/fixtures/parity/tiny/klein/tokenizer/chat_template.jinja"
        ),
    ),
];
const PROMPT: &str = "a cat in a spacesuit drinks coffee on the moon, a radio beside it";

/// What is done with it.
pub struct Picture {
    pub call: Call,
    pub effort: Effort,
    /// The prompt, and the folder of the tokenizer.
    pub told: Json,
}

/// A pipeline of `config`'s networks that draws.
pub fn call(config: &Json, work: Work, device: Device, weights: &Weights) -> Result<Picture> {
    let Work::Picture {
        side,
        steps,
        edited,
    } = work
    else {
        bail!("{work:?} is no picture");
    };
    let tokenizer = tempfile::tempdir()?;
    for (name, text) in TOKENIZER {
        std::fs::write(tokenizer.path().join(name), text)?;
    }
    let reading = Reading::klein();
    let words = DecoderConfig::parse(config["text_encoder"].clone()).map_err(anyhow::Error::msg)?;
    let (tapped, width) = (
        reading.taps[reading.taps.len() - 1],
        words.heads * words.head,
    );
    let length = reading.most as i64;
    let decoder = Decoder::load_layers(words, &weights.sub("text_encoder"), None, tapped)?;
    let encoder = TextEncoder::new(Rc::new(decoder), tokenizer.path(), reading)?;
    let transformer = &config["transformer"];
    let network = NetworkConfig::from_json(&serde_json::to_vec(transformer)?)?
        .network(&weights.sub("transformer"))?;
    let vae = autoencoder(&serde_json::to_vec(&config["vae"])?, &weights.sub("vae"))?;
    let renderer = Renderer::of(Pipeline::Klein, Schedule::FAMILY, network, vae, device);

    let parts = ["text_encoder", "transformer", "vae"].map(|part| weights.sub(part));
    let [words, steppers, pixels] = &parts;
    let shown = (side / 16).pow(2) * (1 + i64::from(edited));
    let steps_taken = f64::from(steps);
    let mut effort = autoencoder_effort(pixels, side, "decoder")?;
    effort.flops += words_flops(words, length as f64, width as f64, tapped as f64)?
        + steps_taken * step_flops(steppers, transformer, length, shown)?;
    effort.bytes += bytes(words)? + steps_taken * bytes(steppers)?;
    let source = edited.then(|| {
        let pixel = |x: u32, y: u32| image::Rgb([x, y, x * y].map(|value| (value % 256) as u8));
        RgbImage::from_fn(side as u32, side as u32, pixel)
    });
    if edited {
        let read = autoencoder_effort(pixels, side, "encoder")?;
        effort.flops += read.flops;
        effort.bytes += read.bytes;
    }
    let told = json!({"prompt": PROMPT, "tokenizer": tokenizer.path()});
    let call = move || -> Result<Tensor> {
        // The tokenizer's folder is there as long as somebody may read it.
        let _folder = &tokenizer;
        let base = encoder.states(&[PROMPT.to_owned()])?.remove(0);
        let scene = RenderScene {
            base,
            things: Vec::new(),
            negative: None,
        };
        let canvas = match &source {
            Some(picture) => Canvas::Edit {
                picture,
                strength: 1.0,
            },
            None => Canvas::Blank(Some((side as u32, side as u32))),
        };
        let drawing = Drawing {
            scene: &scene,
            noise: Noise::Seed(1),
            canvas,
        };
        // Small pictures are offered on the way; as with the other side, nobody looks.
        let drawn = renderer.draw(&[drawing], Some(steps), &mut |_, _, _, _| true);
        let mut pictures = Vec::new();
        for picture in drawn {
            pictures.extend(picture?.into_raw());
        }
        Ok(Tensor::from_slice(&pictures))
    };
    Ok(Picture {
        call: Box::new(call),
        effort,
        told,
    })
}

/// Of the layers that `tokens` pass, and of their attention.
fn words_flops(weights: &Weights, tokens: f64, width: f64, layers: f64) -> Result<f64> {
    let all = weights.sub("model.layers").tensors()?;
    let numbers: usize = all.iter().map(|(_, tensor)| tensor.numel()).sum();
    Ok(2.0 * numbers as f64 * tokens + 4.0 * tokens * tokens * width * layers)
}

/// Of one half of an autoencoder, `decoder` or `encoder`, for a picture of `side` pixels: its convolutions, and the middle's attention.
pub fn autoencoder_effort(weights: &Weights, side: i64, half: &str) -> Result<Effort> {
    let weights = weights.sub(half);
    let smallest = side / 8;
    let level = |name: &str, levels: &str| {
        let (_, rest) = name.split_once(levels)?;
        rest.split('.').next()?.parse::<u32>().ok()
    };
    let mut flops = 0.0;
    for (name, tensor) in weights.tensors()? {
        if tensor.dim() < 2 {
            continue;
        }
        // Pixels along a side of what comes out.
        let across = if let Some(index) = level(&name, "up_blocks.") {
            smallest << (index + u32::from(name.contains("upsamplers"))).min(3)
        } else if let Some(index) = level(&name, "down_blocks.") {
            side >> (index + u32::from(name.contains("downsamplers"))).min(3)
        } else if name.ends_with("decoder.conv_out.weight")
            || name.ends_with("encoder.conv_in.weight")
        {
            side
        } else {
            smallest
        };
        let places = (across * across) as f64;
        flops += 2.0 * tensor.numel() as f64 * places;
        if name.ends_with("to_q.weight") {
            flops += 4.0 * places * places * tensor.size()[0] as f64;
        }
    }
    Ok(Effort {
        flops,
        bytes: bytes(&weights)?,
    })
}
