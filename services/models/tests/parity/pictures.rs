//! Pictures and autoencoders: what both families of renderers compare.

use std::collections::HashMap;

use atelier_models::{
    language::{Reading, TextEncoder},
    renderer::{Pipeline, Renderer, autoencoder::Tiles, regions},
};
use image::{GrayImage, RgbImage};
use tch::{Device, Kind, Tensor};

use super::{Comparison, Failure, Subject};

/// States of a prompt `(T, C)` by the checkpoint's own text encoder, compared with those of the dump where it has them: all of them, or where
/// most are padding the first ones and the last.
pub fn states(
    subject: &Subject,
    renderer: &Renderer,
    comparison: &mut Comparison,
    name: &str,
    prompt: &str,
) -> Result<Tensor, Failure> {
    let reading: fn(usize) -> Reading = match renderer.pipeline() {
        Pipeline::ZImage => Reading::z_image,
        Pipeline::Klein | Pipeline::KleinBase => |_| Reading::klein(),
    };
    let encoder = TextEncoder::load(&subject.checkpoint, reading, Device::Cpu)?;
    let states = encoder
        .states(&[prompt.to_owned()])?
        .pop()
        .ok_or("nothing was encoded")?;
    if subject.has(name) {
        let dumped = |name: &str| {
            let states = subject.tensor(name)?;
            Ok::<_, Failure>(states.view([-1, states.size()[states.dim() - 1]]))
        };
        let (head, tail) = (dumped(name)?, format!("{name}.tail"));
        if subject.has(&tail) {
            let last = dumped(&tail)?;
            let (rows, all) = (last.size()[0], states.size()[0]);
            comparison.near(name, &states.f_narrow(0, 0, head.size()[0])?, &head);
            comparison.near(&tail, &states.f_narrow(0, all - rows, rows)?, &last);
        } else {
            comparison.near(name, &states, &head);
        }
    }
    Ok(states)
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    let flat = tensor.to_kind(Kind::Uint8).contiguous().view([-1]);
    Vec::try_from(flat).unwrap()
}

/// The picture of a dump, `(h, w, 3)`.
pub fn picture(tensor: &Tensor) -> RgbImage {
    let size = tensor.size();
    RgbImage::from_raw(size[1] as u32, size[0] as u32, bytes(tensor)).unwrap()
}

/// The mask of a dump, `(h, w)`.
pub fn gray(tensor: &Tensor) -> GrayImage {
    let size = tensor.size();
    GrayImage::from_raw(size[1] as u32, size[0] as u32, bytes(tensor)).unwrap()
}

/// `(h, w, 3)`.
fn tensor(picture: &RgbImage) -> Tensor {
    Tensor::from_slice(picture.as_raw()).view([
        i64::from(picture.height()),
        i64::from(picture.width()),
        3,
    ])
}

/// `(B, C, h, w)` to `(B, h * w, C)`.
pub fn tokens(latents: &Tensor) -> Tensor {
    regions::to_tokens(latents).contiguous()
}

/// No byte of a picture is further than 1 from that of the dump, `(h, w, 3)`.
pub fn compare_bytes(
    comparison: &mut Comparison,
    name: &str,
    found: &RgbImage,
    reference: &Tensor,
) {
    comparison.equal(
        &format!("{name}: size"),
        &tensor(found).size(),
        &reference.size(),
    );
    if tensor(found).size() == reference.size() {
        let apart = (tensor(found).to_kind(Kind::Int) - reference.to_kind(Kind::Int))
            .abs()
            .max()
            .int64_value(&[]);
        comparison.equal(&format!("{name}: within 1 of 255"), &(apart <= 1), &true);
    }
}

/// Decoding and encoding, level by level, and decoding in tiles; gives the picture that is encoded, `(1, 3, H, W)`.
pub fn compare_autoencoder(
    subject: &Subject,
    renderer: &Renderer,
    comparison: &mut Comparison,
) -> Result<Tensor, Failure> {
    let _no_grad = tch::no_grad_guard();
    let autoencoder = renderer.autoencoder();
    let mut seen = HashMap::new();
    let mut observe = |name: &'static str, index: usize, tensor: &Tensor| {
        seen.insert(format!("{name}.{index}"), tensor.shallow_clone());
    };
    let decoded = autoencoder.pictures_observed(&subject.tensor("vae.z")?, &mut observe);
    let pixels = picture_pixels(&subject.tensor("vae.image_u8")?);
    comparison.near("pixels", &pixels, &subject.tensor("vae.pixels")?);
    let (mean, _) = autoencoder.moments_observed(&pixels, &mut observe);
    let levels = [
        ("middle", "dec.mid"),
        ("up", "dec.up"),
        ("down", "enc.down"),
    ];
    for (own, dumped) in levels {
        for i in 0..4 {
            let suffix = if own == "middle" {
                String::new()
            } else {
                format!(".{i}")
            };
            let name = format!("vae.{dumped}{suffix}");
            if let Some(found) = seen.get(&format!("{own}.{i}"))
                && subject.has(&name)
            {
                comparison.near(&name, found, &subject.tensor(&name)?);
            }
        }
    }
    comparison.near("decoded", &decoded, &subject.tensor("vae.decoded")?);
    comparison.near("mean", &mean, &subject.tensor("vae.mode")?);
    if subject.has("tiled.z") {
        let tiled = autoencoder.pictures_tiled(&subject.tensor("tiled.z")?, Tiles { side: 8 });
        let sampled = tiled.slice(2, None, None, 3).slice(3, None, None, 3);
        comparison.near("tiled", &sampled, &subject.tensor("tiled.sampled")?);
    }
    Ok(pixels)
}

/// `(h, w, 3)` bytes to `(1, 3, h, w)` in -1..1.
fn picture_pixels(bytes: &Tensor) -> Tensor {
    (bytes.to_kind(Kind::Float) / 255.0 * 2.0 - 1.0)
        .permute([2, 0, 1])
        .unsqueeze(0)
        .contiguous()
}
