//! Drawing as the engine has it done: from text, with guidance, from pictures, in parts of pictures.

use atelier_models::renderer::{
    Area, Canvas, Drawing, Noise, RenderScene, RenderThing, Renderer,
    regions::{self, Grid},
};
use image::{GrayImage, RgbImage};
use tch::Tensor;

use super::{
    Comparison, Failure, Subject, assert_parity, load,
    pictures::{compare_bytes, gray, picture, states, tokens},
};

/// What the dumps of changes are asked for.
const NIGHT: &str = "the same scene at night";

fn scene(states: Tensor) -> RenderScene {
    RenderScene {
        base: states,
        things: Vec::new(),
        negative: None,
    }
}

/// Draws with the tokens after each step compared to the dump's `steps`, then the picture.
fn draw(
    renderer: &Renderer,
    drawing: Drawing<'_>,
    steps: u32,
    seen: &mut Vec<Tensor>,
) -> Result<RgbImage, Failure> {
    let drawn = renderer.draw_observed(
        &[drawing],
        Some(steps),
        &mut |_, _, _, _| true,
        &mut |name, _, tensor| {
            if name == "tokens" {
                seen.push(tensor.shallow_clone());
            }
        },
    );
    Ok(drawn.into_iter().next().ok_or("nothing was drawn")??)
}

fn noise(subject: &Subject, name: &str) -> Result<Tensor, Failure> {
    Ok(tokens(&subject.tensor(name)?).squeeze_dim(0))
}

/// Tokens as the dumps of finished latents have them: not standardised, `(1, latent, H / 8, W / 8)`.
fn finished(renderer: &Renderer, tokens: &Tensor, grid: Grid) -> Tensor {
    renderer
        .autoencoder()
        .latents(&regions::from_tokens(tokens, grid))
}

/// A picture from text: every step, then the bytes.
pub fn text_to_image(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let prompt: String = subject.fact("prompt")?;
    let scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        &prompt,
    )?);
    let drawing = Drawing {
        scene: &scene,
        noise: Noise::Tokens(&noise(subject, "pipe.latents")?),
        canvas: Canvas::Blank(Some((96, 64))),
    };
    comparison.equal("steps", &renderer.config().steps, &4);
    let mut seen = Vec::new();
    let drawn = draw(&renderer, drawing, 4, &mut seen)?;
    for (i, found) in seen.iter().enumerate() {
        let name = format!("pipe.step{i}.latents");
        comparison.near(&name, found, &subject.tensor(&name)?);
    }
    compare_bytes(
        comparison,
        "picture",
        &drawn,
        &subject.tensor("pipe.image_u8")?,
    );
    Ok(())
}

/// A base model: `model_index.json` without distillation is drawn with guidance.
fn guidance(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let mut base = subject.copy();
    base.change_json("model_index.json", |index| {
        index["is_distilled"] = false.into();
    });
    let renderer = load(&base)?;
    let prompt: String = subject.fact("prompt")?;
    let mut scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        &prompt,
    )?);
    scene.negative = Some(states(
        subject,
        &renderer,
        comparison,
        "cfg.negative_embeds",
        "",
    )?);
    let drawing = Drawing {
        scene: &scene,
        noise: Noise::Tokens(&noise(subject, "pipe.latents")?),
        canvas: Canvas::Blank(Some((96, 64))),
    };
    let mut seen = Vec::new();
    draw(&renderer, drawing, 3, &mut seen)?;
    let grid = Grid::of(96, 64);
    comparison.near(
        "latents",
        &finished(&renderer, &seen[2], grid),
        &subject.tensor("cfg.latents_denorm")?,
    );
    Ok(())
}

/// Editing: one picture as the production path reads it, then two of unequal size.
pub fn edit(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let grid = Grid::of(64, 64);
    let first = picture(&subject.tensor("image0_u8")?);
    let mut scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        NIGHT,
    )?);
    let noise = noise(subject, "latents")?;
    let canvas = Canvas::Edit {
        picture: &first,
        strength: 1.0,
    };
    for (name, others) in [("one", 0), ("two", 1)] {
        if others == 1 {
            let second = picture(&subject.tensor("image1_u8")?);
            scene.things.push(RenderThing {
                states: scene.base.narrow(0, 0, 0),
                bbox: None,
                reference: Some(image::DynamicImage::from(second).into_rgba8()),
            });
        }
        let drawing = Drawing {
            scene: &scene,
            noise: Noise::Tokens(&noise),
            canvas,
        };
        let mut seen = Vec::new();
        draw(&renderer, drawing, 4, &mut seen)?;
        comparison.near(
            &format!("{name}: latents"),
            &finished(&renderer, &seen[3], grid),
            &subject.tensor(&format!("{name}.latents_denorm"))?,
        );
    }
    Ok(())
}

/// Repainting by a hard and a soft mask, from the first and from a later step.
pub fn inpaint(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let source = picture(&subject.tensor("image_u8")?);
    let soft = gray(&subject.tensor("mask_u8")?);
    // Half of 255 and more is white.
    let hard = GrayImage::from_fn(soft.width(), soft.height(), |x, y| {
        image::Luma([255 * u8::from(soft.get_pixel(x, y).0[0] >= 128)])
    });
    let scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        NIGHT,
    )?);
    let noise = noise(subject, "noise_first")?;
    for (tag, strength, mask) in [
        ("s1.0", 1.0, &hard),
        ("s0.75", 0.75, &hard),
        ("g1.0", 1.0, &soft),
        ("g0.75", 0.75, &soft),
    ] {
        let drawing = Drawing {
            scene: &scene,
            noise: Noise::Tokens(&noise),
            canvas: Canvas::Repaint {
                picture: &source,
                area: Area::Mask(mask),
                strength,
            },
        };
        let mut seen = Vec::new();
        let drawn = draw(&renderer, drawing, 4, &mut seen)?;
        for (i, found) in seen.iter().enumerate() {
            let name = format!("{tag}.step{i}");
            comparison.near(&name, found, &subject.tensor(&name)?);
        }
        let black = mask
            .enumerate_pixels()
            .filter(|(_, _, share)| share.0[0] == 0);
        let untouched = black
            .map(|(x, y, _)| (drawn.get_pixel(x, y), source.get_pixel(x, y)))
            .all(|(new, old)| new == old);
        comparison.equal(&format!("{tag}: what is black stays"), &untouched, &true);
    }
    Ok(())
}

#[test]
fn klein_draws_as_diffusers_does() {
    assert_parity("klein", "klein", text_to_image);
}

#[test]
fn klein_is_guided_as_diffusers_does() {
    assert_parity("klein", "klein", guidance);
}

#[test]
fn klein_edits_as_diffusers_does() {
    assert_parity("klein", "klein_edit", edit);
}

#[test]
fn klein_inpaints_as_diffusers_does() {
    assert_parity("klein", "klein_inpaint", inpaint);
}
